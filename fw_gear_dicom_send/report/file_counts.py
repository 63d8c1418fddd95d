"""Counts what becomes of a Flywheel file's images."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from ..models import FileEntry, FileReport, Remark
from ..network.types import AlreadyStored, NotSent, Planned, Sent, StoreResult
from ..reasons import Kind, Reason, Skipped

_MAX_REMARKS = 50
_NOT_REACHED = Reason(Kind.NOT_REACHED)
_INTERRUPTED = Reason(Kind.INTERRUPTED)


@dataclass(frozen=True)
class _Key:
    """What makes two remarks the same."""

    reasons: tuple[Reason, ...]
    failure: bool


@dataclass
class FileCount:
    """What is known so far of one file; equal remarks are kept once, with their number."""

    entry: FileEntry
    is_dry: bool = False
    images: int = 0
    sent: int = 0
    already_stored: int = 0
    planned: int = 0
    _remarks: Counter[_Key] = field(default_factory=Counter)
    _members: dict[_Key, str] = field(default_factory=dict)
    _trouble: Reason | None = _NOT_REACHED
    _expected: int | None = None
    _skipped: tuple[tuple[Skipped, int], ...] = ()
    _remark: Reason | None = None

    def begin(self) -> None:
        """Note that the run has come to the file."""
        if self._trouble == _NOT_REACHED:
            self._trouble = _INTERRUPTED

    def add(self, result: StoreResult, member: str = "") -> None:
        """Count an image, which is called `member` in its archive."""
        is_failure = isinstance(result, NotSent)
        self.images += 1
        self.sent += isinstance(result, Sent)
        self.already_stored += isinstance(result, AlreadyStored)
        self.planned += isinstance(result, Planned)
        reasons = (
            (*result.remarks, result.reason) if isinstance(result, NotSent) else result.remarks
        )
        if reasons:
            key = _Key(reasons, is_failure)
            if key not in self._remarks and len(self._remarks) >= _MAX_REMARKS:
                key = _Key((Reason(Kind.OTHER),), is_failure)
            self._remarks[key] += 1
            self._members.setdefault(key, member)

    def end(
        self,
        images: int,
        trouble: Reason | None,
        skipped: tuple[tuple[Skipped, int], ...] = (),
        remark: Reason | None = None,
    ) -> None:
        """Note that the file was read, and gave so many `images`; some may not be counted yet.

        `trouble` is why the file, or the rest of it, could not be had; `skipped` is how many
        files in it are no images; `remark` is what else is worth knowing about it.
        """
        self._skipped = skipped
        self._remark = remark
        self._expected = images
        self._trouble = trouble or (None if images else Reason(Kind.NO_IMAGE))

    @property
    def is_done(self) -> bool:
        """Whether the file was read, and all its images are counted."""
        return self.images == self._expected

    def report(self) -> FileReport:
        """Return the row of the report.

        A file that was not read to its end counts one image more than were seen, so
        that it never passes for complete.
        """
        remarks = [
            Remark(key.reasons, count, failure=key.failure, member=self._members[key])
            for key, count in self._remarks.items()
        ]
        if self._remark:
            remarks.insert(0, Remark((self._remark,), 0, failure=False))
        images = max(self.images, self._expected or 0)
        interrupted = _INTERRUPTED if self.images < images else None
        if trouble := self._trouble or interrupted:
            remarks.append(Remark((trouble,), 0, failure=True))
        unseen = bool(self._trouble and images)
        return FileReport(
            self.entry,
            images + unseen,
            self.sent,
            tuple(remarks),
            already_stored=self.already_stored,
            planned=self.planned if self.is_dry else None,
            skipped=self._skipped,
        )


class FileCounts:
    """The counts of all files of a run, in their order."""

    def __init__(self, entries: Iterable[FileEntry], *, is_dry: bool = False) -> None:
        """Begin with no image counted; in a run that `is_dry` none is sent."""
        self._counts = {entry: FileCount(entry, is_dry) for entry in entries}

    def __getitem__(self, entry: FileEntry) -> FileCount:
        """Return the count of a file."""
        return self._counts[entry]

    @property
    def entries(self) -> list[FileEntry]:
        """The files."""
        return list(self._counts)

    def reports(self) -> list[FileReport]:
        """Return what has become of each file by now."""
        return [count.report() for count in self._counts.values()]
