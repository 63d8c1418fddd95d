"""Groups of reasons with the same cause, across files, details and transfer syntaxes."""

from collections.abc import Iterable, Iterator, Mapping

from ..account import Account, Example
from ..delivery.results import NotSent
from ..dicom.uids import printable_uid_or_empty
from ..models import FileEntry, FileReport, ImageRecord, Remark
from ..reasons import NOT_SENT_AGAIN, Kind, Reason
from ..values import field, mutable, replace
from .events import Observer

MAX_PATHS = 20
"""Maximum number of files that are listed for a cause."""
MAX_EXAMPLES = 10_000
"""Maximum number of images that are kept for all causes together."""
MAX_TEXTS = 100
"""Maximum number of different texts of a cause."""
MAX_PER_CAUSE = 1_000
"""Maximum number of images that are kept for a cause."""


@mutable
class ReasonGroup:
    """Images and files of a run with the same cause.

    `texts` counts the images with each text. `paths` are the first files that the cause concerns as
    a whole.
    """

    cause: Reason
    images: int = 0
    files: int = 0
    texts: dict[str, int] = field(default_factory=dict)
    paths: list[str] = field(default_factory=list)
    _last_path: str | None = None

    def add(self, path: str, text: str, remark: Remark) -> None:
        """Count a remark on a file or on its images; remarks on the same file must be adjacent."""
        self.images += remark.count
        self.files += path != self._last_path
        self._last_path = path
        if text in self.texts or len(self.texts) < MAX_TEXTS:
            self.texts[text] = self.texts.get(text, 0) + remark.count
        if not remark.images and len(self.paths) < MAX_PATHS:
            self.paths.append(path)


def cause_of(reason: Reason) -> Reason:
    """Return a reason without what differs between images; the status of the server stays."""
    return replace(reason, detail="")


def failures(reports: Iterable[FileReport]) -> list[ReasonGroup]:
    """Group the reasons for failed images and files, the most frequent cause first."""
    return _group(
        (report, remark.reasons[-1], remark.text, remark)
        for report, remark in _remarks(reports)
        if remark.failure
    )


def common_refusal(reports: Iterable[FileReport]) -> str:
    """Return a sentence if the server refused all images with the same final status, else ""."""
    rows = list(reports)
    images = sum(row.images for row in rows)
    for group in failures(rows):
        if group.cause.kind is Kind.REFUSED and group.images == images > 1:
            text = max(group.texts, key=lambda text: group.texts[text])
            return f"The server refused all {images:,} images: {text}"
    return ""


def main_cause(account: Account) -> str:
    """Return why the run ended early, or why the server refused all images; empty otherwise."""
    return account.cause or common_refusal(account.rows)


def notes(reports: Iterable[FileReport]) -> list[ReasonGroup]:
    """Group all other remarks: warnings, conversions, repairs, replaced files."""
    return _group(
        (report, reason, reason.text, remark)
        for report, remark in _remarks(reports)
        if not remark.failure
        for reason in remark.reasons
        if reason.kind not in NOT_SENT_AGAIN
    )


class ImageExamples(Observer):
    """Collection of the first images of each cause. The mutable state is these images.

    All causes together have `MAX_EXAMPLES` images.
    """

    def __init__(self) -> None:
        """Start with no image."""
        self._images: dict[Reason, dict[Example, None]] = {}
        self._room = MAX_EXAMPLES

    def image(self, record: ImageRecord) -> None:
        """Add an image that has a reason."""
        result = record.result
        for reason in (result.reason,) if isinstance(result, NotSent) else result.remarks:
            self._add(reason, record.entry, record.name, record.sop_instance_uid)

    def mark_missing(self, entry: FileEntry, sop_instance_uid: str, reason: Reason) -> None:
        """Add a resent image that is not on the server."""
        self._add(reason, entry, "", sop_instance_uid)

    def counted(self) -> Mapping[Reason, tuple[Example, ...]]:
        """Return the first images of each cause."""
        return {cause: tuple(images) for cause, images in self._images.items()}

    def _add(self, reason: Reason, entry: FileEntry, member: str, uid: str) -> None:
        if reason.kind in NOT_SENT_AGAIN:
            return
        cause = cause_of(reason)
        if not self._room:
            return
        images = self._images.setdefault(cause, {})
        path, member = (member, "") if entry.is_folder and member else (entry.path, member)
        known = Example(path, member, printable_uid_or_empty(uid))
        if len(images) < MAX_PER_CAUSE and known not in images:
            images[known] = None
            self._room -= 1


def _remarks(reports: Iterable[FileReport]) -> Iterator[tuple[FileReport, Remark]]:
    for report in reports:
        for remark in report.remarks:
            yield report, remark


def _group(found: Iterable[tuple[FileReport, Reason, str, Remark]]) -> list[ReasonGroup]:
    groups: dict[Reason, ReasonGroup] = {}
    for report, reason, text, remark in found:
        cause = cause_of(reason)
        group = groups.setdefault(cause, ReasonGroup(cause))
        group.add(report.entry.path, text, remark)
    return sorted(groups.values(), key=lambda group: (-group.images, -group.files))
