"""Queue of the images of all files, processed by several threads."""

from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock

from ..archive import Archive, BrokenArchive, InnerItems, Item, Member, Task
from ..delivery.results import StoreResult, Suspect
from ..dicom.foreign import ForeignFormats
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import Unreadable
from ..models import DownloadFailure, FileEntry, SendConfig
from ..reasons import Kind, Reason, Skipped
from ..source import ImageSource
from .concurrency import AdaptiveLimit
from .downloads import Downloads, Fetched
from .image import Image
from .open_file import OpenFile, not_unpacked
from .quarantine import Quarantined
from .work_folder import InnerRoom, WorkFolder


@dataclass(frozen=True)
class FileEnd:
    """Summary of a processed file.

    `images` is the number of images in it, `trouble` the reason for missing images, and `skipped`
    the number of other files of each kind. `remark` is an additional note on the file. `unread` is
    the number of members that a stopped run did not read.
    """

    entry: FileEntry
    images: int
    trouble: Reason | None
    skipped: tuple[tuple[Skipped, int], ...] = ()
    remark: Reason | None = None
    unread: int = 0


@dataclass(frozen=True)
class ImageResult:
    """An image and its result."""

    image: Image
    result: StoreResult | Suspect | Quarantined


class ImageQueue:
    """Images of all files in order, unpacked and sent by several threads.

    The mutable state is the current file, the files to which a nested archive added members, and
    all open files, which may still get such members. A thread that looks for the next file owns
    the lock. Adding members and closing a file are atomic steps without the lock.
    """

    def __init__(
        self,
        config: SendConfig,
        source: ImageSource,
        downloads: Downloads,
        folder: Path,
        room: WorkFolder,
        *,
        is_wanted: Callable[[Image], bool],
        process: Callable[[Image], StoreResult | Suspect | Quarantined],
    ) -> None:
        """Unpack images in `folder`; call `process` for each image that `is_wanted` accepts."""
        self._config = config
        self._source = source
        self._downloads = downloads
        self._folder = folder
        self._is_wanted = is_wanted
        self._process = process
        self._images = room.images
        self._room = InnerRoom(room.images)
        self._file: OpenFile | None = None
        self._extended: deque[OpenFile] = deque()
        self._open: set[OpenFile] = set()
        self._lock = Lock()
        self._limit = AdaptiveLimit(config.associations)
        self._formats = ForeignFormats()

    def results(self) -> Iterator[ImageResult | FileEnd]:
        """Process images on the calling thread; yield their results and the summaries of files."""
        while file := self._next_file():
            if isinstance(file, FileEnd):
                yield file
                continue
            while True:
                with self._limit.slot():
                    member = file.take()
                    if member is None:
                        break
                    try:
                        outcome = self._process_member(file, member)
                    finally:
                        file.done()
                if outcome:
                    yield outcome
            if file.is_over():
                yield self._release(file)
        self._limit.wake_all()

    def unfinished(self) -> Iterator[FileEnd]:
        """Yield a summary of each file that was not read to its end; no thread may be at work."""
        for file in tuple(self._open):
            unread = file.unread()
            trouble = file.trouble or (Reason(Kind.INTERRUPTED) if unread is None else None)
            yield _end_of(file, trouble, unread or 0)

    def _next_file(self) -> OpenFile | FileEnd | None:
        """Return a file with members or the summary of a file; None if no file is left."""
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
                    return self._start_file(fetched)
                self._downloads.wait_for(lambda: bool(self._extended) or not self._open)
                if not self._extended:
                    return None

    def _start_file(self, fetched: Fetched) -> OpenFile | FileEnd:
        opened = self._open_archive(fetched)
        if isinstance(opened, FileEnd):
            self._downloads.release(fetched)
        else:
            self._file = opened
            self._open.add(opened)
        return opened

    def _open_archive(self, fetched: Fetched) -> OpenFile | FileEnd:
        """Open a file; return its summary if it was not fetched or cannot be read."""
        path = fetched.outcome
        if isinstance(path, DownloadFailure):
            return FileEnd(fetched.entry, 0, path.reason)
        try:
            selects = self._config.names.selects
            archive = Archive(path, self._folder, skips, room=self._room, selects=selects)
        except OSError as exc:
            self._source.release(path)
            return FileEnd(fetched.entry, 0, not_unpacked(exc))
        return OpenFile(fetched, archive, self._images)

    def _release(self, file: OpenFile) -> FileEnd:
        """Release a file that is completely processed."""
        trouble = file.trouble
        if isinstance(path := file.fetched.outcome, Path):
            if trouble and trouble.kind is Kind.UNKNOWN_TYPE:
                trouble = self._other_format(path) or trouble
            self._source.release(path)
        self._open.discard(file)
        self._downloads.release(file.fetched)
        return _end_of(file, trouble)

    def _other_format(self, path: Path) -> Reason | None:
        """Return the format of a file that is neither DICOM nor an archive, if it is known."""
        name = self._formats.name(path)
        return Reason(Kind.OTHER_FORMAT, name) if name else None

    def _process_member(self, file: OpenFile, member: Task | Item) -> ImageResult | None:
        """Unpack a member and send it if it is an image."""
        try:
            image = self._unpack(file, member)
        except OSError as exc:
            file.cut(not_unpacked(exc))
            return None
        if image is None:
            return None
        with closing(image):
            if not self._is_wanted(image):
                return None
            file.add_image()
            return ImageResult(image, self._process(image))

    def _unpack(self, file: OpenFile, member: Task | Item) -> Image | None:
        """Unpack and stamp a member; return None if it is not an image."""
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
        return self._stamp(file.entry, item)

    def _stamp(self, entry: FileEntry, item: Member | Unreadable) -> Image:
        config = self._config
        name = _name_for_reports(item, config)
        if isinstance(item, Unreadable):
            return Image(entry, item.number, name, 0, item)
        content = stamp(item.content, config.tag, self._folder, self._room)
        return Image(entry, item.number, name, item.position, content)


def _end_of(file: OpenFile, trouble: Reason | None, unread: int = 0) -> FileEnd:
    skipped = tuple(file.skipped.items())
    return FileEnd(file.entry, file.images, trouble, skipped, file.fetched.remark, unread)


def _name_for_reports(item: Member | Unreadable, config: SendConfig) -> str:
    """Return the name of a member for reports.

    This is its number by default, because the name may be the patient's name.
    """
    if isinstance(item, Member) and not item.name:  # a file that is not in an archive
        return ""
    if config.show_member_names and item.name:
        return item.name
    return f"member {item.number}" if item.number else ""
