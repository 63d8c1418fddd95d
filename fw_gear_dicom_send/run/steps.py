"""The three steps to the server: fetch, unpack and stamp, send.

They go on at the same time: the next files are fetched while the images of this one are
unpacked and stamped, and while those are sent, over several associations at once. What lies
on disk is bounded, whatever the size of the data.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

from .. import archive
from ..archive.types import BrokenArchive, Member
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance, Unreadable
from ..models import DownloadFailure, FileEntry, ImageRecord, SendConfig
from ..network.store import StorageSCU
from ..network.types import AlreadyStored, NotSent, Planned, Sent, StoreResult
from ..reasons import Kind, Reason, Skipped
from ..report.events import Observer
from ..report.file_counts import FileCounts
from ..source import ImageSource
from .already_stored import StoredImages
from .background import Background
from .downloads import Downloads
from .sent_images import Claim, SentImages
from .work_room import WorkRoom

_IMAGES_AHEAD = 8
_TIME_TO_FINISH = 4.0


@dataclass(frozen=True)
class Equipment:
    """What the steps work with; `folder` is for data on its way.

    With `stored`, images that the server has already are not sent. `sent` knows those of this run.
    """

    config: SendConfig
    source: ImageSource
    folder: Path
    scu: StorageSCU
    observer: Observer
    stored: StoredImages | None = None
    room: WorkRoom = field(default_factory=WorkRoom)
    sent: SentImages = field(default_factory=SentImages)


@dataclass(frozen=True)
class _Image:
    """An image of a file, and what it is called: the member of an archive by number or name."""

    entry: FileEntry
    name: str
    position: int
    content: SOPInstance | Unreadable


@dataclass(frozen=True)
class _End:
    """The end of a file: how many images came out of it, why not more, and what else is in it."""

    entry: FileEntry
    images: int
    trouble: Reason | None
    skipped: tuple[tuple[Skipped, int], ...] = ()


@dataclass(frozen=True)
class _Settled:
    """What became of an image."""

    image: _Image
    result: StoreResult


def send(
    equipment: Equipment,
    counts: FileCounts,
    only: Mapping[FileEntry, frozenset[str]] | None = None,
) -> None:
    """Run the three steps until all images are sent or counted as not sent.

    With `only`, of each file just the images with these SOP Instance UIDs.
    """
    config, scu = equipment.config, equipment.scu
    downloads = Downloads(
        equipment.source.fetcher(equipment.folder),
        counts.entries,
        equipment.room,
        lambda: scu.given_up,
    )
    reads = Background(_read(equipment, downloads, only), ahead=_IMAGES_AHEAD)
    senders = (map(partial(_settle, equipment), reads) for _ in range(config.associations))
    settled = Background(*senders, ahead=config.associations)
    is_whole = False
    try:
        # A signal may come at any time, also between the start of two threads.
        for step in (downloads, reads, settled):
            step.start()
        for one in settled:
            _count(equipment.observer, counts, one)
        is_whole = True
    finally:
        if not is_whole:
            scu.finish()
            equipment.room.close()
        downloads.stop()
        reads.stop()
        remaining = settled.close(_TIME_TO_FINISH)
        if not is_whole:
            scu.abort()
        for one in (*remaining, *settled.close()):
            _count(equipment.observer, counts, one)
        reads.close()
        downloads.close()


def _read(
    equipment: Equipment,
    downloads: Downloads,
    only: Mapping[FileEntry, frozenset[str]] | None,
) -> Iterator[_Image | _End]:
    """Yield the images of each file, stamped, and its end; release the file then."""
    room = equipment.room
    while file := downloads.take():
        entry, path = file.entry, file.outcome
        if isinstance(path, DownloadFailure):
            downloads.release(file)
            yield _End(entry, 0, path.reason)
            continue
        wanted = None if only is None else only[entry]
        images, trouble = 0, None
        skipped: Counter[Skipped] = Counter()
        try:
            for item in archive.read(path, equipment.folder, skips, room=room.images):
                if isinstance(item, BrokenArchive):
                    trouble = item.reason
                    continue
                if isinstance(item, Skipped):
                    skipped[item] += 1
                    continue
                image = _stamped(equipment, entry, item)
                if wanted is not None and not _is_among(image.content, wanted):
                    continue
                images += 1
                if isinstance(image.content, SOPInstance):
                    room.images.enter()
                yield image
        except OSError as exc:
            trouble = Reason(Kind.NOT_UNPACKED, exc.strerror or str(exc))
        equipment.source.release(path)
        downloads.release(file)
        yield _End(entry, images, trouble, tuple(skipped.items()))


def _is_among(content: SOPInstance | Unreadable, wanted: frozenset[str]) -> bool:
    """Tell whether an image is wanted; the dataset of one that is not is closed."""
    is_wanted = isinstance(content, SOPInstance) and content.sop_instance_uid in wanted
    if isinstance(content, SOPInstance) and not is_wanted:
        content.dataset.close()
    return is_wanted


def _stamped(equipment: Equipment, entry: FileEntry, item: Member | Unreadable) -> _Image:
    name = _shown_name(item, equipment.config)
    if isinstance(item, Unreadable):
        return _Image(entry, name, 0, item)
    content = stamp(item.content, equipment.config.tag, equipment.folder, equipment.room.images)
    return _Image(entry, name, item.position, content)


def _shown_name(item: Member | Unreadable, config: SendConfig) -> str:
    """Return what a member is called: its number, as its name may be that of the patient."""
    if isinstance(item, Member) and not item.name:  # a file that came alone
        return ""
    if config.show_member_names and item.name:
        return item.name
    return f"member {item.number}" if item.number else ""


def _settle(equipment: Equipment, item: _Image | _End) -> _Settled | _End:
    """Send what can be sent."""
    if isinstance(item, _End):
        return item
    content = item.content
    if isinstance(content, Unreadable):
        return _Settled(item, NotSent(content.reason))
    try:
        return _Settled(item, _sent(equipment, content))
    finally:
        equipment.room.images.leave()


def _sent(equipment: Equipment, content: SOPInstance) -> StoreResult:
    """Send an image, unless the server has it, or has another one of its UID from this run."""
    try:
        claim = equipment.sent.claim(content)
    except OSError as exc:
        content.dataset.close()
        return NotSent(Reason(Kind.NOT_READ, exc.strerror or str(exc)))
    if claim is not Claim.FIRST:
        content.dataset.close()
        is_equal = claim is Claim.EQUAL
        return AlreadyStored() if is_equal else NotSent(Reason(Kind.DUPLICATE_UID))
    result: StoreResult = AlreadyStored()
    try:
        if equipment.stored and equipment.stored.has(content):
            content.dataset.close()
        else:
            result = equipment.scu.send(content)
    finally:
        equipment.sent.settle(content, is_sent=isinstance(result, Sent | Planned))
    return result


def _count(observer: Observer, counts: FileCounts, item: _Settled | _End) -> None:
    """Count what became of an image; those of a file may come after its end."""
    entry = item.entry if isinstance(item, _End) else item.image.entry
    count = counts[entry]
    count.begin()
    if isinstance(item, _End):
        count.end(item.images, item.trouble, item.skipped)
    else:
        count.add(item.result, item.image.name)
        observer.reading(entry, item.image.position)
        observer.image(_record(item.image, item.result))
    if count.is_done:
        observer.file(count.report())


def _record(image: _Image, result: StoreResult) -> ImageRecord:
    content = image.content
    if isinstance(content, Unreadable):
        return ImageRecord(image.entry, image.name, result)
    return ImageRecord(
        image.entry,
        image.name,
        result,
        content.sop_class_uid,
        content.sop_instance_uid,
        content.study_instance_uid,
        content.series_instance_uid,
        content.transfer_syntax_uid,
        content.dataset.size,
    )
