"""Reads what the per-image reports of earlier runs say of images on a server."""

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
"""Bytes; names and comments are far shorter, and what is longer is no row."""
_NEEDED = frozenset(COLUMNS[1:])
"""All but the path, which the reports of the command call otherwise."""
_ON_SERVER = (SENT, SENT_WITH_WARNING, ALREADY_THERE)


@dataclass(frozen=True)
class EarlierImage:
    """An image that an earlier run has sent, with the size and CRC-32 of its dataset.

    One that the server lost afterwards is not stored; its size and CRC-32 are 0.
    """

    sop_instance_uid: str
    size: int = 0
    crc32: int = 0
    is_stored: bool = True


def images_on(peer: PeerAE, path: Path) -> Iterator[EarlierImage]:
    """Yield what a report says of images on a server: the same host, port and called AE title.

    What cannot be read is passed over: a truncated last line, a damaged row. A file that is no
    such report, or one without all of today's columns, is logged.
    """
    try:
        with path.open("rb") as file:
            lines = _lines(file)
            header = _cells(next(lines, b""))
            if not _NEEDED.issubset(header):
                log.warning(
                    "%s is not used: it is no per-image report, or one of an older version",
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
        log.warning("%s cannot be read to its end: %s", path.name, exc.strerror)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the whole lines of a file; a row is one line each."""
    is_start = True
    while line := file.readline(_MAX_LINE):
        is_end = line.endswith(b"\n")
        if is_start and is_end:
            yield line
        is_start = is_end


def _cells(line: bytes) -> list[str]:
    """Return the cells of a row, none of what is no row."""
    try:
        return next(read_rows([line.decode(errors="replace")]), [])
    except csv.Error:
        return []


def _image(row: dict[str, str], peer: PeerAE) -> EarlierImage | None:
    """Return what a row says of an image on the server, None for nothing."""
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
