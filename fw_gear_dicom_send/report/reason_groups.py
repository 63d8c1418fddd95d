"""Reasons that belong together: one cause, however many files, details and transfer syntaxes."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from ..models import FileEntry, FileReport, ImageRecord, Remark
from ..network.types import NotSent
from ..reasons import Kind, Reason
from .events import Observer

MAX_EXAMPLES = 20
"""Images that are named for a cause."""
MAX_TEXTS = 100
"""Different texts that are kept for a cause."""
MAX_CAUSES = 500
"""Causes that have examples."""
_BY_STATUS = (Kind.REFUSED, Kind.OUT_OF_RESOURCES, Kind.WARNING, Kind.EXISTING_OBJECT)
_NOT_SENT_AGAIN = (Kind.ALREADY_STORED, Kind.SENT_EARLIER)
"""What these mean is counted, and needs no attention."""


@dataclass(frozen=True)
class Cause:
    """What makes two reasons the same: the kind, and the DIMSE status where there is one."""

    kind: Kind
    status: str = ""


@dataclass(frozen=True)
class ImageExample:
    """An image that a cause has; `member` and the UID are empty where it has none."""

    path: str
    member: str = ""
    sop_instance_uid: str = ""


@dataclass
class ReasonGroup:
    """What the files of a run have of one cause: `images` in so many `files`.

    `texts` counts the images of each text, `paths` are the first files that the cause is about as
    a whole.
    """

    cause: Cause
    images: int = 0
    files: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    _last_path: str | None = None

    def add(self, path: str, text: str, images: int) -> None:
        """Count a remark on a file, or on so many of its images; a file's remarks come together."""
        self.images += images
        self.files += path != self._last_path
        self._last_path = path
        if text in self.texts or len(self.texts) < MAX_TEXTS:
            self.texts[text] = self.texts.get(text, 0) + images
        if not images and len(self.paths) < MAX_EXAMPLES:
            self.paths.append(path)


def cause_of(reason: Reason) -> Cause:
    """Return the cause that a reason belongs to."""
    status = reason.detail.partition(" ")[0] if reason.kind in _BY_STATUS else ""
    return Cause(reason.kind, status.rstrip(","))


def failures(reports: Iterable[FileReport]) -> list[ReasonGroup]:
    """Group why images were not sent, and files not read; the most frequent cause is first."""
    return _grouped(
        (report, remark.reasons[-1], remark.text, remark)
        for report, remark in _remarks(reports)
        if remark.failure
    )


def notes(reports: Iterable[FileReport]) -> list[ReasonGroup]:
    """Group what else is worth knowing: warnings, conversions, repairs, replaced files."""
    return _grouped(
        (report, reason, reason.text, remark)
        for report, remark in _remarks(reports)
        if not remark.failure
        for reason in remark.reasons
        if reason.kind not in _NOT_SENT_AGAIN
    )


class ImageExamples(Observer):
    """Keeps the first images of each cause. The mutable state is these images."""

    def __init__(self) -> None:
        """Begin with none."""
        self._images: dict[Cause, dict[ImageExample, None]] = {}

    def image(self, record: ImageRecord) -> None:
        """Note an image that has a reason."""
        result = record.result
        for reason in (result.reason,) if isinstance(result, NotSent) else result.remarks:
            self._add(reason, record.entry, record.name, record.sop_instance_uid)

    def deny(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Note an image that was not sent after all."""
        self._add(reason, entry, "", sop_instance_uid)

    def of(self, cause: Cause) -> tuple[ImageExample, ...]:
        """Return the first images of a cause."""
        return tuple(self._images.get(cause, ()))

    def _add(self, reason: Reason, entry: FileEntry, member: str, uid: str) -> None:
        if reason.kind in _NOT_SENT_AGAIN:
            return
        cause = cause_of(reason)
        if cause not in self._images and len(self._images) >= MAX_CAUSES:
            return
        images = self._images.setdefault(cause, {})
        if len(images) < MAX_EXAMPLES:
            images[ImageExample(entry.fw_path, member, uid)] = None


def _remarks(reports: Iterable[FileReport]) -> Iterator[tuple[FileReport, Remark]]:
    for report in reports:
        for remark in report.remarks:
            yield report, remark


def _grouped(found: Iterable[tuple[FileReport, Reason, str, Remark]]) -> list[ReasonGroup]:
    groups: dict[Cause, ReasonGroup] = {}
    for report, reason, text, remark in found:
        cause = cause_of(reason)
        group = groups.setdefault(cause, ReasonGroup(cause))
        group.add(report.entry.fw_path, text, remark.images)
    return sorted(groups.values(), key=lambda group: (-group.images, -group.files))
