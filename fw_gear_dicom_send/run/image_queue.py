"""Queue of the images of all files, processed by several threads."""

import logging
import os
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from threading import Lock, Semaphore

from ..archive import Archive, BrokenArchive, InnerItems, Item, Member, Task
from ..config import SendConfig
from ..delivery.results import NotSent, StoreResult, Suspect
from ..delivery.sender import Parallel
from ..dicom.foreign import ForeignFormats
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance, Unreadable
from ..models import DownloadFailure, FileEntry
from ..reasons import Kind, Reason, Skipped
from ..source import ImageSource
from ..text import printable, quantity
from ..values import frozen
from .concurrency import AdaptiveLimit
from .downloads import Downloads, Fetched
from .image import Image
from .open_file import OpenFile, not_unpacked
from .quarantine import Quarantined

log = logging.getLogger(__name__)

_NO_SPACE = Reason(Kind.NO_SPACE)


@frozen
class FileEnd:
    """Summary of a processed file.

    `images` is the number of images in it, `trouble` the reason for missing images, and `skipped`
    the number of other files of each kind. `remark` is an additional note on the file. `unread` is
    the number of members that a stopped run did not read. `is_archive` means a zip or a tar.
    """

    entry: FileEntry
    images: int
    trouble: Reason | None
    skipped: tuple[tuple[Skipped, int], ...] = ()
    remark: Reason | None = None
    unread: int = 0
    is_archive: bool = False


@frozen
class ImageResult:
    """An image and its result."""

    image: Image
    result: StoreResult | Suspect | Quarantined


class ImageQueue:
    """Images of all files in order, unpacked and sent by several threads.

    An image that finds no space on disk is put off. Its file is read again after the others, by
    one thread, while no other file is on disk.

    The mutable state is the current file, the files to which a nested archive added members, all
    files that are open or will be read again, and the number of images that were put off. A thread
    that looks for the next file owns the lock. Adding members and closing a file are atomic steps
    without the lock.
    """

    def __init__(
        self,
        config: SendConfig,
        source: ImageSource,
        downloads: Downloads,
        folder: Path,
        *,
        max_put_off: int,
        is_wanted: Callable[[Image], bool],
        process: Callable[[Image], StoreResult | Suspect | Quarantined],
        picks: Callable[[FileEntry, int], bool] | None = None,
        limit: AdaptiveLimit | None = None,
    ) -> None:
        """Unpack images in `folder`; call `process` for each image that `is_wanted` accepts.

        If `picks` is given, only members whose position in their file it accepts are read.

        Several threads read `results` if `limit` allows several at work, by default one. At most
        `max_put_off` images are put off; further ones without space fail immediately.
        """
        self._config = config
        self._source = source
        self._downloads = downloads
        self._folder = folder
        self._is_wanted = is_wanted
        self._process = process
        self._picks = picks
        self._file: OpenFile | None = None
        self._extended: deque[OpenFile] = deque()
        self._open: dict[FileEntry, OpenFile] = {}
        self._lock = Lock()
        self._limit = limit or AdaptiveLimit(Parallel.of(1))
        self._may_wait = Semaphore(self._limit.most - 1)
        self._remaining_put_offs = max_put_off
        self._formats = ForeignFormats()

    def results(self) -> Iterator[ImageResult | FileEnd]:
        """Process images on the calling thread; yield their results and the summaries of files."""
        while file := self._next_file():
            is_full = False
            while not is_full:
                with self._limit.slot() as work:
                    member = file.take()
                    if member is None:
                        break
                    try:
                        outcome = self._process_member(file, member)
                        work.result = outcome.result if outcome else None
                        is_full = outcome is not None and self._puts_off(file, outcome)
                    finally:
                        file.done()
                if outcome and not is_full:
                    yield outcome
            if file.is_over():
                yield from self._release(file)
            if is_full and self._may_wait.acquire(blocking=False):
                # The last thread does not wait. All others leave it the space that there is.
                self._downloads.wait_for_release()
                self._may_wait.release()
        self._limit.wake_all()

    def unfinished(self) -> Iterator[ImageResult | FileEnd]:
        """Yield the results of each file that is not done; no thread may be at work."""
        for file in tuple(self._open.values()):
            unread = file.unread()
            file.trouble = file.trouble or (Reason(Kind.INTERRUPTED) if unread is None else None)
            file.abandon()
            yield from self._end(file, unread or 0)

    def _next_file(self) -> OpenFile | None:
        """Return a file that may have members; None if no file is left."""
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
                if not self._extended:
                    return None

    def _start_file(self, fetched: Fetched) -> OpenFile:
        """Open a file, for the other threads as well unless it is a second reading."""
        first = self._open.get(fetched.entry)
        file = self._open[fetched.entry] = self._open_file(fetched, first)
        if not first:
            self._file = file
        return file

    def _open_file(self, fetched: Fetched, first: OpenFile | None) -> OpenFile:
        path, selects = fetched.outcome, self._config.names.selects
        try:
            if isinstance(path, DownloadFailure):
                trouble = path.reason
            else:
                archive = Archive(path, self._folder, skips, selects=selects)
                picks = partial(self._picks, fetched.entry) if self._picks else None
                return OpenFile(fetched, archive, first, picks)
        except OSError as exc:
            trouble = not_unpacked(exc)
        file = OpenFile(fetched, None, first)
        file.trouble = file.trouble if first else trouble
        return file

    def _release(self, file: OpenFile) -> Iterator[ImageResult | FileEnd]:
        """Release a file that is completely processed, and yield its summary.

        If images were put off, the file is read again instead.
        """
        if isinstance(path := file.fetched.outcome, Path):
            if file.trouble and file.trouble.kind is Kind.UNKNOWN_TYPE:
                file.trouble = self._other_format(path) or file.trouble
            self._source.release(path)
        again = bool(file.put_off) and not file.is_again
        if again:
            images = quantity(len(file.put_off), "image")
            log.info("%s: no space on disk for %s; retrying at the end", file.entry.name, images)
        else:
            del self._open[file.entry]
        self._downloads.release(file.fetched, again=again)
        if not again:
            yield from self._end(file)

    def _end(self, file: OpenFile, unread: int = 0) -> Iterator[ImageResult | FileEnd]:
        """Yield the failures of images that were put off and lost, and the summary of a file."""
        for image in file.lost_images():
            if isinstance(image.content, SOPInstance) or self._is_wanted(image):
                file.add_image()
                yield ImageResult(image, NotSent(_NO_SPACE))
        yield FileEnd(
            file.entry,
            file.images,
            file.trouble,
            tuple(file.skipped.items()),
            file.fetched.remark,
            unread,
            file.is_archive,
        )

    def _may_put_off(self, file: OpenFile) -> bool:
        return not file.is_again and self._remaining_put_offs > 0

    def _puts_off(self, file: OpenFile, outcome: ImageResult) -> bool:
        """Put off an image that found no space; otherwise count it and return False."""
        result, image = outcome.result, outcome.image
        is_full = isinstance(result, NotSent) and result.reason == _NO_SPACE
        if is_full and self._may_put_off(file):
            self._remaining_put_offs -= 1
            file.put_off[image.number] = image
            return True
        file.add_image()
        return False

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
            # Without its UIDs, only the second reading shows whether an image is wanted.
            is_full = isinstance(image.content, Unreadable) and image.content.reason == _NO_SPACE
            if is_full and self._may_put_off(file):
                return ImageResult(image, NotSent(_NO_SPACE))
            if self._is_wanted(image):
                return ImageResult(image, self._process(image))
        return None

    def _unpack(self, file: OpenFile, member: Task | Item) -> Image | None:
        """Unpack and stamp a member; return None if it is not an image."""
        item = member() if callable(member) else member
        match item:
            case None:
                return None
            case InnerItems():
                file.add(item.items)
                if not file.is_again:
                    self._extended.append(file)
                    self._downloads.wake()
                return None
            case BrokenArchive():
                file.cut(item.reason)
                return None
            case Skipped():
                file.skip(item)
                return None
        if file.wants(item.number):
            images = self._config.images
            if isinstance(item, Unreadable) or not images or images.selects(item.content):
                return self._stamp(file.entry, item)
            file.skip(Skipped.NOT_SELECTED)
        if isinstance(item, Member):
            item.content.close()
        return None

    def _stamp(self, entry: FileEntry, item: Member | Unreadable) -> Image:
        config = self._config
        # A file name on disk has no slash.
        outer, _, inner = item.name.partition("/") if entry.is_folder else ("", "", item.name)
        file = os.path.join(entry.key, outer) if outer else ""
        name = _name_for_reports(item, file, inner, shows_names=config.show_member_names)
        if isinstance(item, Unreadable):
            return Image(entry, item.number, name, 0, item, file)
        content = stamp(item.content, config.tag, self._folder)
        return Image(entry, item.number, name, item.position, content, file)


def _name_for_reports(
    item: Member | Unreadable, file: str, inner: str, *, shows_names: bool
) -> str:
    """Return the name of a file in a folder, or of a member of an archive, for reports.

    A `file` has its path, as the user named the folder. A member, with the name `inner` in its
    archive, has its number by default, because its name may be the patient's name.
    """
    if isinstance(item, Member) and not item.name:  # a file that is not in an archive
        return ""
    number = str(item.number).partition(".")[2] if file else item.number
    member = f"member {number}" if number else ""
    if shows_names and inner:
        member = inner
    return printable(", ".join(filter(None, (file, member)))) if file else member
