"""Counters for the image results of each file."""

from collections.abc import Iterable

from ..delivery.results import AlreadyStored, NotSent, Planned, Sent, StoreResult
from ..models import FileEntry, FileReport, Remark
from ..reasons import Kind, Reason, Skipped
from ..values import field, mutable, replace

_MAX_REMARKS = 50
_NOT_REACHED = Reason(Kind.NOT_REACHED)
_INTERRUPTED = Reason(Kind.INTERRUPTED)
_OTHER_FILES = {Skipped.NOT_DICOM, Skipped.DICOMDIR, Skipped.EMPTY}
"""Kinds of files in an archive that hide no image."""


@mutable
class FileCount:
    """Counts of one file so far; equal remarks are stored once with their number."""

    entry: FileEntry
    is_dry: bool = False
    images: int = 0
    sent: int = 0
    already_stored: int = 0
    duplicates: int = 0
    planned: int = 0
    _remarks: dict[tuple[tuple[Reason, ...], bool], Remark] = field(default_factory=dict)
    _trouble: Reason | None = _NOT_REACHED
    _expected: int | None = None
    _skipped: tuple[tuple[Skipped, int], ...] = ()
    _remark: Reason | None = None
    _unread: int = 0
    _is_void: bool = False

    def begin(self) -> None:
        """Note that processing of the file has started."""
        if self._trouble == _NOT_REACHED:
            self._trouble = _INTERRUPTED

    def add(self, result: StoreResult, member: str = "") -> None:
        """Count an image; `member` is its name in the archive."""
        is_failure = isinstance(result, NotSent)
        self.images += 1
        self.sent += isinstance(result, Sent)
        if isinstance(result, AlreadyStored):
            self.already_stored += not result.is_duplicate
            self.duplicates += result.is_duplicate
        self.planned += isinstance(result, Planned)
        reasons = (
            (*result.remarks, result.reason) if isinstance(result, NotSent) else result.remarks
        )
        if reasons:
            key = (_without_place(reasons), is_failure)
            if key not in self._remarks and len(self._remarks) >= _MAX_REMARKS:
                reasons = (Reason(Kind.OTHER),)
                key = (reasons, is_failure)
            new = Remark(reasons, 0, failure=is_failure, member=member)
            known = self._remarks.get(key, new)
            self._remarks[key] = replace(known, images=known.images + 1)

    def end(
        self,
        images: int,
        trouble: Reason | None,
        skipped: tuple[tuple[Skipped, int], ...] = (),
        remark: Reason | None = None,
        *,
        unread: int = 0,
        is_archive: bool = False,
    ) -> None:
        """Note that the file was read and contains `images` images, counted or not.

        `trouble` is why the file, or the rest of it, could not be read. `skipped` counts the files
        in it that are not images. `remark` is an additional note. `unread` counts the members that
        a stopped run did not read; they count as images. An archive that was read completely and
        has no image is no failure.
        """
        self._unread = unread
        self._skipped = skipped
        self._remark = remark
        self._expected = images
        self._trouble = trouble or (None if images or unread else Reason(Kind.NO_IMAGE))
        self._is_void = is_archive and not trouble and {kind for kind, _ in skipped} <= _OTHER_FILES

    @property
    def is_done(self) -> bool:
        """Whether the file was read and all its images are counted."""
        return self.images == self._expected

    def report(self) -> FileReport:
        """Return the row of the report.

        A file that was not read completely counts one extra image, so that it is never `Complete`.
        """
        remarks = list(self._remarks.values())
        if self._remark:
            remarks.insert(0, Remark((self._remark,), 0, failure=False))
        images = max(self.images, self._expected or 0)
        interrupted = _INTERRUPTED if self.images < images else None
        total = images + bool(self._trouble and images)
        if trouble := self._trouble or interrupted:
            unseen = total - self.images
            remarks.append(Remark((trouble,), 0, failure=not self._is_void, unseen=unseen))
        if self._unread:
            remarks.append(Remark((_NOT_REACHED,), self._unread, failure=True))
        return FileReport(
            self.entry,
            total + self._unread,
            self.sent,
            tuple(remarks),
            already_stored=self.already_stored,
            planned=self.planned if self.is_dry else None,
            skipped=self._skipped,
            duplicates=self.duplicates,
        )


def _without_place(reasons: tuple[Reason, ...]) -> tuple[Reason, ...]:
    """Return reasons without the places of other images, which would each be a remark."""
    *others, last = reasons
    return (*others, Reason(last.kind)) if last.kind is Kind.DUPLICATE_UID else reasons


class FileCounts(dict[FileEntry, FileCount]):
    """Counts of all files of a run, in order."""

    def __init__(self, entries: Iterable[FileEntry], *, is_dry: bool = False) -> None:
        """Create a count of zero for each file; `is_dry` marks a dry run."""
        super().__init__((entry, FileCount(entry, is_dry)) for entry in entries)

    def reports(self) -> list[FileReport]:
        """Return the current result of each file."""
        return [count.report() for count in self.values()]
