"""Reader of the DICOM files in a zip, a tar, a folder or a single file, one at a time.

The content of a file decides its format. Names, links and modes from an archive are never used on
disk: members are unpacked to nameless temporary files.
"""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import BinaryIO

from ..dicom.types import Unreadable
from ..reasons import Kind, Reason, Skipped
from ..values import replace
from .folder import folder_tasks, load, open_regular
from .formats import TAR, Format, format_of, is_packed_name
from .limits import HEAD_SIZE, Budget, CorruptError, Limits, OverBudgetError, read_fully, reading
from .shared_file import SharedFile
from .tar_members import compressed_items, tar_items
from .types import (
    BrokenArchive,
    InnerItems,
    Item,
    Member,
    NestedArchive,
    RawItem,
    RawTask,
    Task,
)
from .unpack import Unpacker
from .zip_members import may_be_dicom, zip_tasks

DEFAULT_LIMITS = Limits()
_OF_NESTED = (Skipped.NESTED, Skipped.UNREAD, Skipped.NOT_DICOM)
"""Kinds of a nested archive without images; the first one of its members is its own."""


class Archive:
    """A zip, a tar, a folder or a single DICOM file, which several threads may unpack.

    `is_listed` means that iterating over the tasks unpacks nothing: a folder or a single file.
    `is_packed` means that it is a zip or a tar.
    """

    def __init__(
        self,
        path: Path,
        work: Path,
        skips: Callable[[bytes], Skipped | None],
        limits: Limits = DEFAULT_LIMITS,
        *,
        selects: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """Open an archive, a folder or a file; raises OSError if that fails.

        `work` is the folder for nameless files of large members. `skips` returns why to skip a
        member, or None, from its first `HEAD_SIZE` bytes. `selects` returns whether to read a file
        of a folder, from its name.
        """
        self._path = path
        self._work = work
        self._skips = skips
        self._limits = limits
        self._selects = selects
        self._is_folder = self.is_listed = path.is_dir()
        self.is_packed = False
        self._files = ExitStack()
        descriptor = None if self._is_folder else open_regular(path)
        self._file: BinaryIO | None = None
        if descriptor is not None:
            self._file = self._files.enter_context(open(descriptor, "rb"))

    def close(self) -> None:
        """Close the file, after all tasks have ended."""
        self._files.close()

    def tasks(self) -> Iterator[Task | Item]:
        """Yield the items, or tasks that return them; only one thread at a time may iterate.

        Several threads may call different tasks at the same time. A tar yields items only. A
        `BrokenArchive` is the last item. Tasks raise OSError if they cannot write to `work`, except
        for lack of space.
        """
        if self._is_folder:
            for task in folder_tasks(self._path, self._skips, self._selects):
                yield partial(self._run, task, None) if callable(task) else task
            return
        if self._file is None:
            yield Skipped.SPECIAL
            return
        unpacker = self._unpacker(self._file)
        try:
            yield from self._items(self._file, unpacker)
        except CorruptError:
            yield BrokenArchive(Reason(Kind.CORRUPT_ARCHIVE))
        except OverBudgetError:
            yield self._too_large()

    def _items(self, file: BinaryIO, unpacker: Unpacker) -> Iterator[Task | Item]:
        """Detect the format of a file, and yield its items."""
        with reading():
            head = read_fully(file, HEAD_SIZE)
            file.seek(0)
        if not head:
            yield BrokenArchive(Reason(Kind.EMPTY_FILE))
            return
        # The preamble of a DICOM file may be anything, even the start of a zip (PS3.10 7.1).
        is_marked = head[128:132] == b"DICM"
        form = None if is_marked else format_of(head)
        skipped = Skipped.NOT_DICOM if form else unpacker.skips(head)
        if skipped is None:
            self.is_listed = True
            os.lseek(file.fileno(), 0, os.SEEK_SET)
            content, size = load(os.dup(file.fileno()))
            yield Member(1, content, position=size)
        elif is_marked or skipped is Skipped.DICOMDIR:
            yield skipped
        else:
            self.is_packed = True
            shared = SharedFile(self._files.enter_context(self._path.open("rb")))
            for item in _archive_items(file, head, form, unpacker, shared):
                if callable(item):
                    yield partial(self._run, item, unpacker)
                    continue
                found = (
                    _nested_items(item, unpacker) if isinstance(item, NestedArchive) else (item,)
                )
                for inner in found:
                    yield (
                        replace(inner, position=file.tell()) if isinstance(inner, Member) else inner
                    )

    def _run(self, task: RawTask, unpacker: Unpacker | None) -> Item | InnerItems | None:
        """Run a task of a file; of a folder, whose archives have no common budget, for None."""
        try:
            item = task()
        except OverBudgetError:
            return self._too_large()
        if isinstance(item, NestedArchive):
            return InnerItems(self._nested(item, unpacker))
        return item

    def _nested(self, archive: NestedArchive, unpacker: Unpacker | None) -> Iterator[Item]:
        try:
            yield from _nested_items(archive, unpacker or self._unpacker(archive.content))
        except OverBudgetError:
            broken = self._too_large()
            yield broken if unpacker else Unreadable(broken.reason, archive.number, archive.name)

    def _too_large(self) -> BrokenArchive:
        return BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, str(self._limits.ratio)))

    def _unpacker(self, file: BinaryIO) -> Unpacker:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        budget = Budget(max(self._limits.archive, self._limits.ratio * size))
        return Unpacker(self._work, self._skips, self._limits, budget)


def _archive_items(
    file: BinaryIO, head: bytes, form: Format | None, unpacker: Unpacker, shared: SharedFile
) -> Iterator[RawTask | RawItem]:
    """Yield the items of an archive from `file`, or tasks for any thread that read `shared`."""
    if form is TAR:
        size = file.seek(0, os.SEEK_END)
        file.seek(0)
        yield from tar_items(file, unpacker, size)
    elif form and form.codec:
        yield from compressed_items(file, form.codec, form.signatures[0], unpacker)
    elif form and form.name:
        yield BrokenArchive(Reason(Kind.UNSUPPORTED_FORMAT, form.name))
    else:
        yield from zip_tasks(file, head, unpacker, shared)


def _nested_items(
    archive: NestedArchive, unpacker: Unpacker
) -> Iterator[Member | Unreadable | Skipped]:
    """Yield the items of a nested archive, and close it.

    A nested archive without images, such as an office document, counts as one file that is not
    DICOM.
    """
    images = 0
    failure = None
    skipped = []
    with archive.content as file:
        try:
            with reading():
                head = read_fully(file, HEAD_SIZE)
                file.seek(0)
            inner = replace(unpacker, is_nested=True)
            for task in _archive_items(file, head, format_of(head), inner, SharedFile(file)):
                item = task() if callable(task) else task
                match item:
                    case Member() | Unreadable():
                        images += 1
                        name = "/".join(filter(None, (archive.name, item.name)))
                        yield replace(item, number=f"{archive.number}.{item.number}", name=name)
                    case BrokenArchive():
                        failure = item.reason
                    case Skipped():
                        skipped.append(item)
        except CorruptError:
            failure = Reason(Kind.CORRUPT_ARCHIVE)
    is_archive = is_packed_name(archive.name) or may_be_dicom(archive.name)
    if failure and (images or (is_archive and failure.kind is not Kind.UNKNOWN_TYPE)):
        yield Unreadable(failure, archive.number, archive.name)
    elif images:
        yield from skipped
    else:
        is_unread = bool(failure and failure.kind is not Kind.UNKNOWN_TYPE)
        kinds = {*skipped, *[Skipped.UNREAD] * is_unread, Skipped.NOT_DICOM}
        yield next(kind for kind in _OF_NESTED if kind in kinds)
