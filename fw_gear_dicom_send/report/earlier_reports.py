"""Per-image reports of earlier runs: read which images are on a server."""

import csv
import logging
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from ..network.types import PeerAE
from ..reasons import Kind
from .csv_rows import read_rows
from .images_csv import ALREADY_THERE, COLUMNS, SENT, SENT_WITH_WARNING
from .verification import Verdict

log = logging.getLogger(__name__)

_MAX_LINE = 1 << 16
"""Maximum length of a row in bytes; names and comments are far shorter."""
_NEEDED = frozenset(COLUMNS[1:])
"""All columns except the path, which has another title in reports of the command."""
_ON_SERVER = (SENT, SENT_WITH_WARNING, ALREADY_THERE)


@dataclass(frozen=True)
class EarlierImage:
    """An image that an earlier run sent, with the size and CRC-32 of its dataset.

    If the server lost it afterwards, `is_stored` is false, and size and CRC-32 are 0.
    """

    sop_instance_uid: str
    size: int = 0
    crc32: int = 0
    is_stored: bool = True


def images_on(peer: PeerAE, path: Path) -> Iterator[EarlierImage]:
    """Yield the images of a report that are on a server with the same host, port and AE title.

    Damaged and truncated rows are skipped. A file that is not a per-image report, or that lacks
    columns of this version, is skipped with a warning.
    """
    try:
        with path.open("rb") as file:
            lines = _lines(file)
            header = _cells(next(lines, b""))
            if not _NEEDED.issubset(header):
                log.warning(
                    "Skipping the report %s: not a per-image report, or from an older version",
                    path.name,
                )
                return
            for line in lines:
                cells = _cells(line)
                if len(cells) == len(header):
                    image = _image(dict(zip(header, cells, strict=True)), peer)
                    if image:
                        yield image
    except OSError as exc:
        log.warning("Cannot read all of the report %s: %s", path.name, exc.strerror)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the complete lines of a file; each row is one line."""
    is_start = True
    while line := file.readline(_MAX_LINE):
        is_end = line.endswith(b"\n")
        if is_start and is_end:
            yield line
        is_start = is_end


def _cells(line: bytes) -> list[str]:
    """Return the cells of a row; no cells if the line is not a valid row."""
    try:
        return next(read_rows([line.decode(errors="replace")]), [])
    except csv.Error:
        return []


def _image(row: dict[str, str], peer: PeerAE) -> EarlierImage | None:
    """Return the image in a row, None if the row is not about an image on the server."""
    server = row["Host"].lower(), row["Port"], row["Called AE"]
    uid = row["SOP Instance UID"]
    if server != (peer.host.lower(), str(peer.port), peer.called_ae) or not uid:
        return None
    if Kind.NOT_STORED.code == row["Code"] or row["Verified"] == Verdict.ABSENT.value:
        return EarlierImage(uid, is_stored=False)
    if row["Outcome"] not in _ON_SERVER:
        return None
    try:
        return EarlierImage(uid, int(row["Bytes"]), int(row["CRC-32"], 16))
    except ValueError:
        return None
