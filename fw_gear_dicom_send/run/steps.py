"""The steps to the server: fetch files, then unpack, stamp and send each image of them.

Files are fetched in the background. Each image goes from its archive to the server on one
thread, of which there is one for each association. What lies on disk is bounded, whatever the
size of the data.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import starmap
from pathlib import Path
from threading import Lock

from ..archive import Archive, BrokenArchive, InnerItems, Item, Member, Task
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance, Unreadable
from ..models import DownloadFailure, FileEntry, SendConfig
from ..network.store import StorageSCU
from ..network.types import AlreadyStored, NotSent, Planned, Sent, StoreResult, Suspect
from ..reasons import Kind, Reason, Skipped
from ..report.events import Observer
from ..report.file_counts import FileCounts
from ..source import ImageSource
from .already_stored import StoredImages
from .background import Background
from .downloads import Downloads, Fetched
from .image import Image, Key
from .open_file import OpenFile, not_unpacked
from .quarantine import DEFAULT_QUARANTINE, PutAside, Quarantine, QuarantinePolicy
from .sent_images import Claim, SentImages
from .work_room import RoomInside, WorkRoom

_MAX_UNCOUNTED = 1000
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
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE


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

    image: Image
    result: StoreResult | Suspect | PutAside


def send(
    equipment: Equipment,
    counts: FileCounts,
    only: Mapping[FileEntry, frozenset[str]] | None = None,
) -> None:
    """Run the steps until all images are sent or counted as not sent.

    With `only`, of each file just the images with these SOP Instance UIDs. Images that the server
    did not take while it lives are tried again at the end.
    """
    config = equipment.config
    quarantine = Quarantine(equipment.scu, equipment.quarantine, config.send_retry_time)
    count = partial(_count, equipment.observer, counts, quarantine)
    is_wanted = _is_any if only is None else partial(_is_among, only)
    downloads = _downloads(equipment, counts.entries)
    line = _Line(equipment, downloads, is_wanted, partial(_sent_or_held, equipment, quarantine))
    workers = (line.results() for _ in range(config.associations))
    try:
        _run(equipment, Background(*workers, ahead=_MAX_UNCOUNTED), count, downloads)
        if quarantine.images:
            again = quarantine.retried(partial(_resend, equipment), partial(_reread, equipment))
            _run(equipment, Background(starmap(_Settled, again), ahead=_MAX_UNCOUNTED), count)
    finally:
        for aside in quarantine.images:
            count(_Settled(aside.image, aside.suspect))


def _run(
    equipment: Equipment,
    settled: Background[_Settled | _End],
    count: Callable[[_Settled | _End], None],
    downloads: Downloads | None = None,
) -> None:
    """Run a step, with the downloads that it takes from, and count what comes of it."""
    scu = equipment.scu
    is_whole = False
    try:
        # A signal may come at any time, also between the start of two threads.
        if downloads:
            downloads.start()
        settled.start()
        for one in settled:
            count(one)
        is_whole = True
    finally:
        if not is_whole:
            scu.finish()
            equipment.room.close()
        if downloads:
            downloads.stop()
        remaining = settled.close(_TIME_TO_FINISH)
        if not is_whole:
            scu.abort()
        for one in (*remaining, *settled.close()):
            count(one)
        if downloads:
            downloads.close()


def _downloads(equipment: Equipment, entries: Sequence[FileEntry]) -> Downloads:
    fetcher = equipment.source.fetcher(equipment.folder)
    return Downloads(fetcher, entries, equipment.room, lambda: equipment.scu.given_up)


class _Line:
    """The images of all files, in their order, for several threads to take and to send.

    The mutable state is the file that is being taken, which is changed with the lock.
    """

    def __init__(
        self,
        equipment: Equipment,
        downloads: Downloads,
        is_wanted: Callable[[Image], bool],
        settle: Callable[[Image], StoreResult | Suspect | PutAside],
    ) -> None:
        """Have images that are wanted settled, as soon as they are unpacked."""
        self._equipment = equipment
        self._downloads = downloads
        self._is_wanted = is_wanted
        self._settle = settle
        self._room = RoomInside(equipment.room.images)
        self._file: OpenFile | None = None
        self._lock = Lock()

    def results(self) -> Iterator[_Settled | _End]:
        """Yield what becomes of the images that one thread takes, and the ends of files."""
        done = None
        while file := self._next_file(done):
            if isinstance(file, _End):
                yield file
                continue
            done = file
            while (member := file.take()) is not None:
                try:
                    settled = self._settled(file, member)
                finally:
                    file.done()
                if settled:
                    yield settled
            if file.is_over():
                yield self._release(file)

    def _next_file(self, done: OpenFile | None) -> OpenFile | _End | None:
        """Return the file that is being taken, or a new one where that is `done`."""
        with self._lock:
            if self._file is None or self._file is done:
                self._file = None
                fetched = self._downloads.take()
                if fetched is None:
                    return None
                opened = self._opened(fetched)
                if isinstance(opened, _End):
                    self._downloads.release(fetched)
                    return opened
                self._file = opened
            return self._file

    def _opened(self, fetched: Fetched) -> OpenFile | _End:
        """Open a file; where it was not fetched, or cannot be read, that is its end."""
        equipment, path = self._equipment, fetched.outcome
        if isinstance(path, DownloadFailure):
            return _End(fetched.entry, 0, path.reason)
        try:
            archive = Archive(path, equipment.folder, skips, room=self._room)
        except OSError as exc:
            equipment.source.release(path)
            return _End(fetched.entry, 0, not_unpacked(exc))
        return OpenFile(fetched, archive, equipment.room.images)

    def _release(self, file: OpenFile) -> _End:
        """Free a file of which all is done."""
        if isinstance(file.fetched.outcome, Path):
            self._equipment.source.release(file.fetched.outcome)
        self._downloads.release(file.fetched)
        return _End(file.entry, file.images, file.trouble, tuple(file.skipped.items()))

    def _settled(self, file: OpenFile, member: Task | Item) -> _Settled | None:
        """Unpack a member, and send it if it is an image."""
        try:
            image = self._image(file, member)
        except OSError as exc:
            file.cut(not_unpacked(exc))
            return None
        if image is None:
            return None
        file.add_image()
        content = image.content
        if isinstance(content, Unreadable):
            return _Settled(image, NotSent(content.reason))
        return _Settled(image, self._settle(image))

    def _image(self, file: OpenFile, member: Task | Item) -> Image | None:
        """Unpack and stamp an image that is wanted; note anything else."""
        item = member() if callable(member) else member
        match item:
            case None:
                return None
            case InnerItems():
                file.add(item.items)
                return None
            case BrokenArchive():
                file.cut(item.reason)
                return None
            case Skipped():
                file.skip(item)
                return None
        image = self._stamped(file.entry, item)
        if self._is_wanted(image):
            return image
        _close(image)
        return None

    def _stamped(self, entry: FileEntry, item: Member | Unreadable) -> Image:
        config = self._equipment.config
        name = _shown_name(item, config)
        if isinstance(item, Unreadable):
            return Image(entry, item.number, name, 0, item)
        content = stamp(item.content, config.tag, self._equipment.folder, self._room)
        return Image(entry, item.number, name, item.position, content)


def _is_any(_: Image) -> bool:
    """Want all images."""
    return True


def _is_among(wanted: Mapping[FileEntry, frozenset[str]], image: Image) -> bool:
    """Tell whether an image is wanted, by its UID."""
    content = image.content
    return isinstance(content, SOPInstance) and content.sop_instance_uid in wanted[image.entry]


def _close(image: Image) -> None:
    if isinstance(image.content, SOPInstance):
        image.content.dataset.close()


def _shown_name(item: Member | Unreadable, config: SendConfig) -> str:
    """Return what a member is called: its number, as its name may be that of the patient."""
    if isinstance(item, Member) and not item.name:  # a file that came alone
        return ""
    if config.show_member_names and item.name:
        return item.name
    return f"member {item.number}" if item.number else ""


def _sent_or_held(
    equipment: Equipment, quarantine: Quarantine, image: Image
) -> StoreResult | PutAside:
    """Send an image, or put it aside."""
    result = _sent(equipment, image)
    return quarantine.hold(image, result) if isinstance(result, Suspect) else result


def _sent(
    equipment: Equipment, image: Image, earlier: Suspect | None = None
) -> StoreResult | Suspect:
    """Send an image, unless the server has it, or has another one of its UID from this run."""
    content = image.content
    if isinstance(content, Unreadable):
        return NotSent(content.reason)
    try:
        claim = equipment.sent.claim(content)
    except OSError as exc:
        content.dataset.close()
        return NotSent(Reason(Kind.NOT_READ, exc.strerror or str(exc)))
    if claim is not Claim.FIRST:
        content.dataset.close()
        is_equal = claim is Claim.EQUAL
        return AlreadyStored() if is_equal else NotSent(Reason(Kind.DUPLICATE_UID))
    result: StoreResult | Suspect = AlreadyStored()
    try:
        if earlier:
            result = equipment.scu.send(content, earlier)
        elif equipment.stored and equipment.stored.has(content):
            content.dataset.close()
        else:
            result = equipment.scu.send(content)
    finally:
        equipment.sent.settle(content, is_sent=isinstance(result, Sent | Planned))
    return result


def _resend(equipment: Equipment, image: Image, earlier: Suspect) -> StoreResult | Suspect:
    """Send an image that was put aside."""
    return _sent(equipment, image, earlier)


def _reread(
    equipment: Equipment,
    images: Mapping[Key, PutAside],
    attempt: Callable[[Image], StoreResult | Suspect],
) -> Iterator[tuple[Image, StoreResult | Suspect]]:
    """Read images from their files again, and have each sent."""

    def is_wanted(image: Image) -> bool:
        aside = images.get(image.key)
        return aside is not None and aside.is_of(image)

    def settle(image: Image) -> StoreResult | Suspect:
        try:
            return attempt(image)
        finally:
            _close(image)

    downloads = _downloads(equipment, list(dict.fromkeys(entry for entry, _ in images)))
    try:
        downloads.start()
        for item in _Line(equipment, downloads, is_wanted, settle).results():
            if isinstance(item, _Settled) and not isinstance(item.result, PutAside):
                yield item.image, item.result
    finally:
        downloads.stop()
        downloads.close()


def _count(
    observer: Observer, counts: FileCounts, quarantine: Quarantine, item: _Settled | _End
) -> None:
    """Count what became of an image; those of a file may come after its end.

    One that is put aside is counted later.
    """
    entry = item.entry if isinstance(item, _End) else item.image.entry
    count = counts[entry]
    count.begin()
    if isinstance(item, _End):
        count.end(item.images, item.trouble, item.skipped)
    elif result := quarantine.settled(item.image, item.result):
        count.add(result, item.image.name)
        observer.reading(entry, item.image.position)
        observer.image(item.image.record(result))
    if count.is_done:
        observer.file(count.report())
