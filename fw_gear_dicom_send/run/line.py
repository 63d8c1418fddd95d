"""The images of all files, which several threads take, each to settle what becomes of it."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..archive import Archive, BrokenArchive, InnerItems, Item, Member, Task
from ..dicom.foreign import ForeignFormats
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import Unreadable
from ..models import DownloadFailure, FileEntry, SendConfig
from ..network.types import NotSent, StoreResult, Suspect
from ..reasons import Kind, Reason, Skipped
from ..source import ImageSource
from .crew import Crew
from .downloads import Downloads, Fetched
from .image import Image
from .open_file import OpenFile, not_unpacked
from .quarantine import PutAside
from .work_room import RoomInside, WorkRoom


@dataclass(frozen=True)
class End:
    """The end of a file: how many images came out of it, why not more, and what else is in it.

    `remark` is what else is worth knowing about the file.
    """

    entry: FileEntry
    images: int
    trouble: Reason | None
    skipped: tuple[tuple[Skipped, int], ...] = ()
    remark: Reason | None = None


@dataclass(frozen=True)
class Settled:
    """What became of an image."""

    image: Image
    result: StoreResult | Suspect | PutAside


class Line:
    """The images of all files, in their order, for several threads to take and to send.

    The mutable state is the file that members are taken from, those that got more members after
    that, and those that are not done, as they may still get some. Who looks for a file has the
    lock; whoever adds members, or is done with a file, does so by one step that needs none.
    """

    def __init__(
        self,
        config: SendConfig,
        source: ImageSource,
        downloads: Downloads,
        folder: Path,
        room: WorkRoom,
        *,
        is_wanted: Callable[[Image], bool],
        settle: Callable[[Image], StoreResult | Suspect | PutAside],
    ) -> None:
        """Have images that are wanted settled, as soon as they are unpacked in `folder`."""
        self._config = config
        self._source = source
        self._downloads = downloads
        self._folder = folder
        self._is_wanted = is_wanted
        self._settle = settle
        self._images = room.images
        self._room = RoomInside(room.images)
        self._file: OpenFile | None = None
        self._extended: deque[OpenFile] = deque()
        self._open: set[OpenFile] = set()
        self._lock = Lock()
        self._crew = Crew(config.associations)
        self._formats = ForeignFormats()

    def results(self) -> Iterator[Settled | End]:
        """Yield what becomes of the images that one thread takes, and the ends of files."""
        while file := self._next_file():
            if isinstance(file, End):
                yield file
                continue
            while True:
                with self._crew.at_work():
                    member = file.take()
                    if member is None:
                        break
                    try:
                        settled = self._settled(file, member)
                    finally:
                        file.done()
                if settled:
                    yield settled
            if file.is_over():
                yield self._release(file)
        self._crew.leave()

    def _next_file(self) -> OpenFile | End | None:
        """Return a file that has members, or the end of one; None where there will be no more."""
        with self._lock:
            while True:
                while self._extended and not self._extended[0].has_members:
                    self._extended.popleft()
                if self._extended:
                    return self._extended[0]
                if self._file and self._file.has_members:
                    return self._file
                fetched = self._downloads.take(lambda: bool(self._extended))
                if fetched:
                    return self._begun(fetched)
                self._downloads.wait_for(lambda: bool(self._extended) or not self._open)
                if not self._extended:
                    return None

    def _begun(self, fetched: Fetched) -> OpenFile | End:
        opened = self._opened(fetched)
        if isinstance(opened, End):
            self._downloads.release(fetched)
        else:
            self._file = opened
            self._open.add(opened)
        return opened

    def _opened(self, fetched: Fetched) -> OpenFile | End:
        """Open a file; where it was not fetched, or cannot be read, that is its end."""
        path = fetched.outcome
        if isinstance(path, DownloadFailure):
            return End(fetched.entry, 0, path.reason)
        try:
            selects = self._config.names.selects
            archive = Archive(path, self._folder, skips, room=self._room, selects=selects)
        except OSError as exc:
            self._source.release(path)
            return End(fetched.entry, 0, not_unpacked(exc))
        return OpenFile(fetched, archive, self._images)

    def _release(self, file: OpenFile) -> End:
        """Free a file of which all is done."""
        trouble = file.trouble
        if isinstance(path := file.fetched.outcome, Path):
            if trouble and trouble.kind is Kind.UNKNOWN_TYPE:
                trouble = self._other_format(path) or trouble
            self._source.release(path)
        self._open.discard(file)
        self._downloads.release(file.fetched)
        skipped = tuple(file.skipped.items())
        return End(file.entry, file.images, trouble, skipped, file.fetched.remark)

    def _other_format(self, path: Path) -> Reason | None:
        """Return what a file is that is no DICOM and no archive, where that is known."""
        name = self._formats.name(path)
        return Reason(Kind.OTHER_FORMAT, name) if name else None

    def _settled(self, file: OpenFile, member: Task | Item) -> Settled | None:
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
            return Settled(image, NotSent(content.reason))
        return Settled(image, self._settle(image))

    def _image(self, file: OpenFile, member: Task | Item) -> Image | None:
        """Unpack and stamp an image that is wanted; note anything else."""
        item = member() if callable(member) else member
        match item:
            case None:
                return None
            case InnerItems():
                file.add(item.items)
                self._extended.append(file)
                self._downloads.wake()
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
        image.close()
        return None

    def _stamped(self, entry: FileEntry, item: Member | Unreadable) -> Image:
        config = self._config
        name = _shown_name(item, config)
        if isinstance(item, Unreadable):
            return Image(entry, item.number, name, 0, item)
        content = stamp(item.content, config.tag, self._folder, self._room)
        return Image(entry, item.number, name, item.position, content)


def _shown_name(item: Member | Unreadable, config: SendConfig) -> str:
    """Return what a member is called: its number, as its name may be that of the patient."""
    if isinstance(item, Member) and not item.name:  # a file that came alone
        return ""
    if config.show_member_names and item.name:
        return item.name
    return f"member {item.number}" if item.number else ""
