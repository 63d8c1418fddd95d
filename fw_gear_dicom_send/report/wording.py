"""What a run says of the number of its images: sent, already there, or would be sent."""

from collections.abc import Iterable, Sequence

from ..models import FileReport, FileStatus
from ..reasons import Kind


def is_complete(reports: Iterable[FileReport]) -> bool:
    """Tell whether there was an image, and all were sent, already there or would be sent."""
    rows = list(reports)
    return bool(rows) and all(report.is_complete for report in rows)


def is_dry(reports: Iterable[FileReport]) -> bool:
    """Tell whether these are of a dry run."""
    return any(report.planned is not None for report in reports)


def status_of(reports: Sequence[FileReport], *, is_success: bool) -> FileStatus:
    """Return the status of all files together, where it is known whether all is well."""
    if is_dry(reports):
        return FileStatus.DRY_RUN
    if is_success:
        return FileStatus.COMPLETE
    is_any = any(report.stored for report in reports)
    return FileStatus.INCOMPLETE if is_any else FileStatus.FAILED


def counted(*reports: FileReport) -> str:
    """Return how many images of the files were sent, or would be."""
    images = sum(report.images for report in reports)
    already = sum(report.already_stored for report in reports)
    if is_dry(reports):
        planned = sum(report.planned or 0 for report in reports)
        more = f", {already} already there" if already else ""
        return f"{planned} of {images} images would be sent{more}"
    sent = sum(report.sent for report in reports)
    if already:
        stored = sent + already
        return f"{stored} of {images} images on the server: {already} already there, {sent} sent"
    return f"{sent} of {images} images sent"


def headline(*reports: FileReport, is_verified: bool) -> str:
    """Return in a sentence what became of all files."""
    subject = "All images" if is_complete(reports) else "Not all images"
    already = any(report.already_stored for report in reports)
    if is_dry(reports):
        return f"{subject} would be sent" + (" or are already on the server" if already else "")
    words = f"{subject} are on the server" if already else f"{subject} were sent"
    if is_verified or not is_complete(reports):
        return words
    return f"{words}, but not all were verified"


def number_with(kind: Kind, reports: Iterable[FileReport]) -> int:
    """Return how many images have a remark of this kind."""
    remarks = (remark for report in reports for remark in report.remarks)
    return sum(one.images for one in remarks if any(why.kind is kind for why in one.reasons))
