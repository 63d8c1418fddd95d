"""Sends study by study (option `association_per_study`), after a survey of all files.

Some archives take the end of an association for the end of a study, and then route or report it
(Medical Connections' knowledge base; fo-dicom issue 1152). So each study goes over one association.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from sys import intern
from threading import Condition

from ..archive import Archive, InnerItems, Item, Member
from ..config import SendConfig
from ..delivery.results import Planned, Sent
from ..delivery.sender import Sender
from ..dicom.part10 import skips
from ..dicom.stamp import stamp
from ..dicom.types import SOPInstance
from ..models import DownloadFailure, Fetch, FileEntry, NewerVersion
from ..reasons import Kind, Reason, Skipped
from ..source import Fetcher, ImageSource
from ..values import field, mutable, replace
from .downloads import Downloads, Fetched
from .image_queue import FileEnd, ImageQueue, ImageResult


@mutable
class Study:
    """What the files contain of a study: SOP classes with transfer syntaxes, and files.

    `creates` has hashes of the patients and UIDs of the studies that an archive creates with it.
    """

    encodings: set[tuple[str, str]] = field(default_factory=set)
    creates: set[int | str] = field(default_factory=set)
    entries: list[FileEntry] = field(default_factory=list)


class KeptFiles:
    """Source whose files stay on disk until each of their studies is sent.

    The mutable state is the fetched files, which change under the lock of the caller.
    """

    def __init__(self, source: ImageSource, folder: Path) -> None:
        """Fetch the files of `source` to `folder`."""
        self._source = source
        self._fetcher = source.fetcher(folder)
        self._kept: dict[FileEntry, Fetch] = {}
        self.select = source.select

    def keep(self, fetched: Fetched) -> None:
        """Keep a fetched file."""
        match fetched:
            case Fetched(entry, Path() as path, None):
                self._kept[entry] = path
            case Fetched(entry, Path() as path, Reason() as remark):
                self._kept[entry] = NewerVersion(path, remark)

    def fetcher(self, _: Path) -> Fetcher:
        """Return a fetcher that finds kept files, and fetches the others."""
        return replace(self._fetcher, fetch=self._fetch)

    def _fetch(self, entry: FileEntry) -> Fetch:
        if entry not in self._kept:
            fetched = self._fetcher.fetch(entry)
            if isinstance(fetched, DownloadFailure):
                return fetched
            self._kept[entry] = fetched
        return self._kept[entry]

    def release(self, path: Path) -> None:
        """Keep a file, because another study may be in it."""

    def drop(self, entry: FileEntry) -> None:
        """Free the disk space of a file."""
        match self._kept.pop(entry, None):
            case Path() as path:
                self._source.release(path)
            case NewerVersion(path):
                self._source.release(path)


class Survey:
    """Studies in all files, found by reading the headers of all images.

    `studies` are in the order of their first images. `owners` has the study of each member of a
    file, by its position. A member without an image belongs to the first study of its file, and a
    nested archive to the study of its first image. The UID of an image that names no study is
    empty.
    """

    def __init__(self) -> None:
        """Start without files."""
        self.studies: dict[str, Study] = {}
        self.owners: dict[FileEntry, list[str]] = {}

    def add(self, fetched: Fetched, config: SendConfig, folder: Path) -> None:
        """Read the headers of a file. Sending reports what cannot be read."""
        entry, path = fetched.entry, fetched.outcome
        found: list[str | None] = []
        if isinstance(path, Path):
            with suppress(OSError):
                archive = Archive(path, folder, skips, selects=config.names.selects)
                with closing(archive):
                    for task in archive.tasks():
                        item = task() if callable(task) else task
                        items = item.items if isinstance(item, InnerItems) else (item,)
                        found.append(self._owner_of(items, folder))
        first = next((uid for uid in found if uid is not None), "")
        self.owners[entry] = [first if uid is None else uid for uid in found]
        for uid in dict.fromkeys(self.owners[entry] or [first]):
            self._study(uid).entries.append(entry)

    def is_in(self, study: str, entry: FileEntry, position: int) -> bool:
        """Return whether a member belongs to a study. A file may have more members than before."""
        owners = self.owners[entry]
        return study == (owners[position] if position < len(owners) else (owners or [""])[0])

    def _owner_of(self, items: Iterable[Item | None], folder: Path) -> str | None:
        """Return the study of the first image, whose association sends all; None without one."""
        owner = None
        for item in items:
            instance = stamp(item.content, None, folder) if isinstance(item, Member) else None
            if isinstance(instance, SOPInstance):
                with closing(instance):
                    # One string for each study, as each image has its owner in a list.
                    owner = intern(instance.study_instance_uid) if owner is None else owner
                    study = self._study(owner)
                    study.encodings.add((instance.sop_class_uid, instance.transfer_syntax_uid))
                    created: set[int | str] = {instance.patient, instance.study_instance_uid}
                    study.creates |= created - {0, ""}
        return owner

    def _study(self, uid: str) -> Study:
        return self.studies.setdefault(uid, Study())


@mutable
class _FileSoFar:
    """Summaries of a file with several studies, one for each study that is done."""

    studies: int
    ends: list[FileEnd] = field(default_factory=list)

    def end(self, *, is_whole: bool = True) -> FileEnd:
        """Return the summary of the whole file, or of a file in a run that was stopped."""
        first, skipped = self.ends[0], Counter[Skipped]()
        for end in self.ends:
            skipped.update(dict(end.skipped))
        interrupted = None if is_whole else Reason(Kind.INTERRUPTED)
        return replace(
            first,
            images=sum(end.images for end in self.ends),
            trouble=next((end.trouble for end in self.ends if end.trouble), interrupted),
            skipped=tuple(skipped.items()),
            unread=sum(end.unread for end in self.ends),
        )


class StudyQueues:
    """Queues of images, one for each study; each thread sends whole studies.

    A study waits while another one may send the first image of its patient, or of a study in both.
    If it waited with an association, the other study might wait for that association.

    The mutable state is the remaining studies, what each current study may create and what exists,
    the queues with their files so far, and the summaries of files. The condition guards what
    several threads change.
    """

    def __init__(
        self,
        survey: Survey,
        sender: Sender,
        make_queue: Callable[[str], tuple[Downloads, ImageQueue]],
        files: KeptFiles,
    ) -> None:
        """Send the studies of `survey`; `make_queue` returns the files and the queue of a study."""
        self._survey = survey
        self._sender = sender
        self._make_queue = make_queue
        self._files = files
        # Images without a study come last, as they may need the place of another association.
        self._remaining = deque(sorted(survey.studies, key="".__eq__))
        self._creating: dict[str, set[int | str]] = {}
        self._created: set[int | str] = set()
        self._queues: deque[ImageQueue] = deque()
        self._downloads: deque[Downloads] = deque()
        users = Counter(entry for study in survey.studies.values() for entry in study.entries)
        self._so_far = {entry: _FileSoFar(number) for entry, number in users.items()}
        self._changed = Condition()

    def results(self) -> Iterator[ImageResult | FileEnd]:
        """Send studies on the calling thread; yield results and the summaries of files."""
        while (uid := self._next()) is not None:
            downloads, queue = self._make_queue(uid)
            self._queues.append(queue)
            self._downloads.append(downloads)
            downloads.start()
            try:
                with self._sender.study(uid, self._survey.studies[uid].encodings):
                    for result in queue.results():
                        if isinstance(result, ImageResult):
                            self._note_created(uid, result)
                        yield from self._merged(result)
            finally:
                with self._changed:
                    del self._creating[uid]
                    self._changed.notify_all()

    def start(self) -> None:
        """Do nothing, as the threads start the files of their studies."""

    def stop(self) -> None:
        """Start no more studies, and stop the current ones."""
        with self._changed:
            self._remaining.clear()
            self._changed.notify_all()
        for downloads in tuple(self._downloads):
            downloads.stop()

    def close(self) -> None:
        """Stop, and wait for the threads."""
        for downloads in self._downloads:
            downloads.close()

    def unfinished(self) -> Iterator[ImageResult | FileEnd]:
        """Yield the results of each file that is not done; no thread may be at work."""
        for queue in self._queues:
            for result in queue.unfinished():
                yield from self._merged(result)
        for so_far in self._so_far.values():
            if so_far.ends:
                yield so_far.end(is_whole=False)

    def _next(self) -> str | None:
        """Return the next study that creates what no other one may create, None at the end."""
        with self._changed:
            while self._remaining:
                creating = set[int | str]().union(*self._creating.values())
                for uid in self._remaining:
                    creates = self._survey.studies[uid].creates - self._created
                    if creating.isdisjoint(creates):
                        self._remaining.remove(uid)
                        self._creating[uid] = creates
                        return uid
                self._changed.wait()
        return None

    def _note_created(self, uid: str, result: ImageResult) -> None:
        """Record that the server has a patient and a study after their first image."""
        content, creating = result.image.content, self._creating[uid]
        is_stored = isinstance(result.result, Sent | Planned)
        if creating and is_stored and isinstance(content, SOPInstance):
            with self._changed:
                self._created |= creating & {content.patient, content.study_instance_uid}
                creating -= self._created
                self._changed.notify_all()

    def _merged(self, result: ImageResult | FileEnd) -> Iterator[ImageResult | FileEnd]:
        """Yield a result, but the summary of a file only after its last study."""
        if isinstance(result, ImageResult):
            yield result
            return
        with self._changed:
            so_far = self._so_far[result.entry]
            so_far.ends.append(result)
            is_whole = len(so_far.ends) == so_far.studies
            if is_whole:
                del self._so_far[result.entry]
        if is_whole:
            self._files.drop(result.entry)
            yield so_far.end()
