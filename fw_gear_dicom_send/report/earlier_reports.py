"""Per-image reports of earlier runs: read which images are on a server."""

import logging
import re
from collections.abc import Iterator
from pathlib import Path

from ..delivery.sender import ServerKey
from ..reasons import Kind
from ..server_url import is_url
from ..text import printable, quantity
from ..values import frozen
from .csv_rows import Row, read_table
from .schemas import ALREADY_THERE, IMAGES, SENT, SENT_WITH_WARNING, SERVER, needed
from .verification import Verdict

log = logging.getLogger(__name__)

_NEEDED = (*needed(IMAGES), *SERVER)
_ON_SERVER = (SENT, SENT_WITH_WARNING, ALREADY_THERE)
_SIZE = re.compile(r"[0-9]{1,18}")
_CRC32 = re.compile(r"[0-9A-Fa-f]{8}|[0-9]{1,7}")
"""A spreadsheet removes leading zeros of a number without letters."""


@frozen
class EarlierImage:
    """An image that an earlier run sent, with the size and CRC-32 of its dataset.

    If the server lost it afterwards, `is_stored` is false, and size and CRC-32 are 0.
    """

    sop_instance_uid: str
    size: int = 0
    crc32: int = 0
    is_stored: bool = True


def images_on(server: ServerKey, path: Path) -> Iterator[EarlierImage]:
    """Yield the images of a report that are on a server with this host, port and AE title.

    Damaged and truncated rows are skipped, and a warning has their number. A file without the
    needed columns is skipped with a warning.
    """
    damaged, name = 0, printable(path.name)
    try:
        with path.open("rb") as file:
            rows = read_table(file, _NEEDED)
            if rows is None:
                log.warning(
                    "Skipping the report %s: not a per-image report with the columns %s",
                    name,
                    ", ".join(_NEEDED),
                )
                return
            for row in rows:
                try:
                    image = _image(row, server)
                except ValueError:
                    damaged += 1
                else:
                    if image:
                        yield image
    except OSError as exc:
        log.warning("Cannot read all of the report %s: %s", name, exc.strerror)
    if damaged:
        log.warning("Skipping %s in the report %s", quantity(damaged, "damaged row"), name)


def is_about(server: ServerKey, path: Path) -> bool:
    """Return whether a file is a per-image report whose first image was sent to a server."""
    try:
        with path.open("rb") as file:
            row = next(read_table(file, _NEEDED) or iter(()), None)
    except OSError:
        return False
    return row is not None and _is_to(server, row)


def _is_to(server: ServerKey, row: Row) -> bool:
    """Return whether the image of a row was sent to a server."""
    host, *place = (row[name] for name in SERVER)
    return (_folded(host), *place) == (_folded(server[0]), *server[1:])


def _image(row: Row | None, server: ServerKey) -> EarlierImage | None:
    """Return the image in a row, None if the row is not about a known dataset on the server.

    Raises ValueError if the row is damaged.
    """
    if row is None:
        raise ValueError
    uid = row["SOP Instance UID"]
    if not uid or not _is_to(server, row):
        return None
    if Kind.NOT_STORED.code == row.get("Code") or row.get("Verified") == Verdict.ABSENT.value:
        return EarlierImage(uid, is_stored=False)
    size, crc32 = row["Bytes"], row["CRC-32"]
    if row["Outcome"] not in _ON_SERVER or not crc32:
        return None
    # int() accepts a sign, spaces, underscores and any length.
    if not (_SIZE.fullmatch(size) and _CRC32.fullmatch(crc32)):
        raise ValueError
    return EarlierImage(uid, int(size), int(crc32, 16))


def _folded(host: str) -> str:
    """Return a host name without case; the path of a URL has one."""
    return host if is_url(host) else host.lower()
