"""Body of a store request: images as DICOM files in parts of a multipart message.

PS3.18 10.5 and 8.7.3, RFC 2387, PS3.10 7.1. Orthanc answers 200 and stores nothing if a part
header has a parameter, or if the length or the final boundary is wrong.
"""

import re
import secrets
import string
from collections.abc import Iterator, Sequence
from functools import cached_property
from struct import Struct

from ..dicom.types import SOPInstance
from ..values import frozen

BOUNDARY = "".join(secrets.choice(string.ascii_letters + string.digits) for _ in range(32))
"""No dataset contains it, as it is random in each process."""
CONTENT_TYPE = f'multipart/related; type="application/dicom"; boundary={BOUNDARY}'
ACCEPT = "application/dicom+json"
"""Azure accepts no other type, and Google would answer in XML without it."""
_HEAD = f"--{BOUNDARY}\r\nContent-Type: application/dicom\r\n\r\n".encode("ascii")
_TAIL = f"--{BOUNDARY}--\r\n".encode("ascii")
_END_OF_PART = b"\r\n"
_PREAMBLE = bytes(128) + b"DICM"
IMPLEMENTATION_UID = "2.25.208114732446612383087181351115883378914"
"""It never changes, and no version follows it: Google compares whole files."""
PATH_UID = re.compile(r"[0-9][0-9.]{0,63}")
"""A UID that cannot change what a path names, as `..` would."""
_UI, _UL = Struct("<HH2sH"), Struct("<HH2sHL")
_VERSION = b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01"


@frozen
class StoreBody:
    """Body of a request that stores `instances`."""

    instances: Sequence[SOPInstance]

    @cached_property
    def _heads(self) -> tuple[bytes, ...]:
        """The bytes of each part before its dataset."""
        return tuple(_HEAD + file_start(instance) for instance in self.instances)

    @cached_property
    def size(self) -> int:
        """Exact length of the body, in bytes."""
        parts = zip(self._heads, self.instances, strict=True)
        size = sum(len(head) + one.dataset.size + len(_END_OF_PART) for head, one in parts)
        return size + len(_TAIL)

    def blocks(self) -> Iterator[bytes]:
        """Yield the body. Raises OSError if a dataset cannot be read."""
        for head, instance in zip(self._heads, self.instances, strict=True):
            yield head
            yield from instance.dataset.blocks()
            yield _END_OF_PART
        yield _TAIL


EMPTY_BODY = StoreBody(())
"""A request without an image, which stores nothing."""


def file_start(instance: SOPInstance) -> bytes:
    """Return the preamble and the file meta information of an image (PS3.10 7.1).

    The same image always gets the same bytes.
    """
    meta = _VERSION + b"".join(
        (
            _uid(0x0002, instance.sop_class_uid),
            _uid(0x0003, instance.sop_instance_uid),
            _uid(0x0010, instance.transfer_syntax_uid),
            _uid(0x0012, IMPLEMENTATION_UID),
        )
    )
    return _PREAMBLE + _UL.pack(0x0002, 0x0000, b"UL", 4, len(meta)) + meta


def _uid(element: int, uid: str) -> bytes:
    value = uid.encode("ascii")
    value += bytes(len(value) % 2)
    return _UI.pack(0x0002, element, b"UI", len(value)) + value


def image_path(study: str, series: str, instance: str) -> str | None:
    """Return the path of an image (PS3.18 10.1), None if a UID would change what it names."""
    uids = study, series, instance
    is_valid = all(map(PATH_UID.fullmatch, uids))
    return "/studies/{}/series/{}/instances/{}".format(*uids) if is_valid else None
