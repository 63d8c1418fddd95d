"""The three steps to the server: fetch, unpack and stamp, send.

They go on at the same time: the next file is fetched while the images of this one are
unpacked and stamped, and while those are sent, over several associations at once. At most
three archives and a few images lie on disk, whatever the size of the data.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from .. import archive
from ..archive.types import BrokenArchive, Member
from ..dicom.part10 import is_dicom
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance, Unreadable
from ..models import DownloadFailure, FileEntry, ImageRecord, SendConfig
from ..network.store import StorageSCU
from ..network.types import StoreResult
from ..report.events import Observer
from ..report.file_counts import Tally
from ..report.images_csv import safe_name
from ..source import Source
from .already_stored import Existing
from .background import Stage

ALREADY_THERE = "already there"

_FILES_AHEAD = 1
_IMAGES_AHEAD = 8
_TIME_TO_FINISH = 4.0


@dataclass(frozen=True)
class Line:
    """What the steps work with; `folder` is for data on its way.

    With `existing`, images that the server has already are not sent.
    """

    config: SendConfig
    source: Source
    folder: Path
    scu: StorageSCU
    observer: Observer
    existing: Existing | None = None


@dataclass(frozen=True)
class _Fetched:
    """A file that was fetched, or was not."""

    tally: Tally
    outcome: Path | DownloadFailure


@dataclass(frozen=True)
class _Image:
    """An image, and its name: that of the member of an archive."""

    name: str
    position: int
    content: SOPInstance | Unreadable


@dataclass(frozen=True)
class _End:
    """The end of a file: how many images came out of it, and why not more, if so."""

    images: int
    trouble: str


@dataclass(frozen=True)
class _Read:
    """What was read of a file next."""

    tally: Tally
    outcome: _Image | _End


@dataclass(frozen=True)
class _Settled:
    """What became of what was read."""

    tally: Tally
    outcome: _Image | _End
    result: StoreResult | None = None


def send(
    line: Line, tallies: Iterable[Tally], only: Mapping[FileEntry, frozenset[str]] | None = None
) -> None:
    """Run the three steps until all images are sent or counted as not sent.

    With `only`, of each file just the images with these SOP Instance UIDs.
    """
    config, scu = line.config, line.scu
    fetched = Stage(_fetch(line, tallies), ahead=_FILES_AHEAD)
    reads = Stage(_read(line, fetched, only), ahead=_IMAGES_AHEAD)
    senders = (map(partial(_settle, line=line), reads) for _ in range(config.associations))
    settled = Stage(*senders, ahead=config.associations)
    is_whole = False
    try:
        for one in settled:
            _count(line, one)
        is_whole = True
    finally:
        if not is_whole:
            scu.finish()
        fetched.stop()
        reads.stop()
        left = settled.close(_TIME_TO_FINISH)
        if not is_whole:
            scu.abort()
        for one in (*left, *settled.close()):
            _count(line, one)
        reads.close()
        fetched.close()


def _fetch(line: Line, tallies: Iterable[Tally]) -> Iterator[_Fetched]:
    """Yield each file as it comes; what nobody is left to take is not fetched."""
    fetch = line.source.fetcher(line.folder)
    for tally in tallies:
        reason = line.scu.given_up
        yield _Fetched(tally, DownloadFailure(reason) if reason else fetch(tally.entry))


def _read(
    line: Line, files: Iterable[_Fetched], only: Mapping[FileEntry, frozenset[str]] | None
) -> Iterator[_Read]:
    """Yield the images of each file, stamped, and let go of it."""
    for file in files:
        tally, path = file.tally, file.outcome
        images, trouble = 0, ""
        if isinstance(path, DownloadFailure):
            trouble = path.reason
        else:
            wanted = None if only is None else only[tally.entry]
            try:
                for item in archive.read(path, line.folder, is_dicom):
                    if isinstance(item, BrokenArchive):
                        trouble = item.reason
                        continue
                    image = _stamped(line, item)
                    if wanted is not None and not _is_among(image.content, wanted):
                        continue
                    images += 1
                    yield _Read(tally, image)
            except OSError as exc:
                trouble = f"it could not be unpacked: {exc.strerror or exc}"
            line.source.release(path)
        yield _Read(tally, _End(images, trouble))


def _is_among(content: SOPInstance | Unreadable, wanted: frozenset[str]) -> bool:
    """Tell whether an image is wanted; the dataset of one that is not is closed."""
    is_wanted = isinstance(content, SOPInstance) and content.sop_instance_uid in wanted
    if isinstance(content, SOPInstance) and not is_wanted:
        content.dataset.close()
    return is_wanted


def _stamped(line: Line, item: Member | Unreadable) -> _Image:
    if isinstance(item, Unreadable):
        return _Image(f"member {item.number}" if item.number else "", 0, item)
    try:
        content = stamp(item.content, line.config.tag, line.folder)
    except OSError as exc:
        content = Unreadable(f"the image could not be stamped: {exc.strerror or exc}")
    if isinstance(content, SOPInstance):
        name = safe_name(item.name, item.number, content.identifying)
    else:
        # Nobody knows then whether the name is that of the patient.
        name = f"member {item.number}" if item.name else ""
    return _Image(name, item.position, content)


def _settle(read: _Read, line: Line) -> _Settled:
    """Send what can be sent."""
    outcome = read.outcome
    if isinstance(outcome, _End):
        return _Settled(read.tally, outcome)
    content = outcome.content
    if isinstance(content, Unreadable):
        return _Settled(read.tally, outcome, StoreResult(False, content.reason))
    if line.existing and line.existing.has(content):
        content.dataset.close()
        return _Settled(read.tally, outcome, StoreResult(True, ALREADY_THERE, is_there=True))
    return _Settled(read.tally, outcome, line.scu.send(content))


def _count(line: Line, settled: _Settled) -> None:
    """Count what became of an image; those of a file may come after its end."""
    tally, outcome = settled.tally, settled.outcome
    tally.begin()
    if isinstance(outcome, _End):
        tally.end(outcome.images, outcome.trouble)
    elif settled.result:
        tally.add(settled.result)
        line.observer.reading(tally.entry, outcome.position)
        line.observer.image(_record(tally, outcome, settled.result))
    if tally.is_done:
        line.observer.file(tally.report())


def _record(tally: Tally, image: _Image, result: StoreResult) -> ImageRecord:
    content = image.content
    if isinstance(content, Unreadable):
        return ImageRecord(tally.entry, image.name, result)
    return ImageRecord(
        tally.entry,
        image.name,
        result,
        content.sop_class_uid,
        content.sop_instance_uid,
        content.study_instance_uid,
        content.series_instance_uid,
        content.transfer_syntax_uid,
        content.dataset.size,
    )
