"""Selection of images by their modality, study and series."""

from contextlib import suppress
from io import BytesIO
from typing import BinaryIO

from ..name_patterns import NO_PATTERNS, NamePatterns
from ..values import frozen
from .deflate import InflationError, inflate
from .elements import ElementReader
from .headers import MalformedError
from .part10 import locate
from .uids import DEFLATED

_MODALITY = 0x00080060
_STUDY = (0x0020000D, 0x00081030)
_SERIES = (0x0020000E, 0x0008103E)
"""The Instance UID and the description (PS3.3 C.7.2.1, C.7.3.1)."""
_TAGS = frozenset((_MODALITY, *_STUDY, *_SERIES))
_LAST_GROUP = 0x0020
_MAX_VALUE = 256
_MAX_DEFLATED = 1 << 16


@frozen
class ImageChoice:
    """Selection of images. Without patterns for a property, all values are selected.

    Patterns for a study or a series match its Instance UID or its description.
    """

    modality: NamePatterns = NO_PATTERNS
    study: NamePatterns = NO_PATTERNS
    series: NamePatterns = NO_PATTERNS

    def __bool__(self) -> bool:
        """Return whether there is any pattern."""
        return any((self.modality, self.study, self.series))

    def selects(self, content: BinaryIO) -> bool:
        """Return whether a DICOM file is selected; `content` moves.

        A damaged one is selected unless its values before the damage exclude it. Sending reports
        the damage.
        """
        values: dict[int, str] = {}
        is_whole = False
        with suppress(MalformedError, InflationError, OSError):
            is_whole = _read(content, values)
        for patterns, tags in (
            (self.modality, (_MODALITY,)),
            (self.study, _STUDY),
            (self.series, _SERIES),
        ):
            known = [values[tag] for tag in tags if tag in values]
            is_known = is_whole or len(known) == len(tags)
            if patterns and is_known and not any(map(patterns.match, known or [""])):
                return False
        return True


def _read(content: BinaryIO, values: dict[int, str]) -> bool:
    """Add the values that decide; return whether they are all.

    Raises MalformedError, InflationError or OSError for damage.
    """
    location = locate(content)
    start = location.start
    if location.transfer_syntax_uid in DEFLATED:
        content.seek(start)
        content, start = BytesIO(next(inflate([content.read(_MAX_DEFLATED)]))), 0
    reader = ElementReader(content)
    end = start
    for tag, _, value, end in reader.walk(start, location.encoding, _LAST_GROUP):
        if tag in _TAGS and end <= reader.size:
            values[tag] = _text(reader.bytes_at(value, min(end, value + _MAX_VALUE)))
    return end <= reader.size


def _text(value: bytes) -> str:
    """Return a value in UTF-8 or Latin-1. Patterns match other characters by `?` or `*`."""
    try:
        text = value.decode()
    except UnicodeDecodeError:
        text = value.decode("latin-1")
    return text.strip(" \0")
