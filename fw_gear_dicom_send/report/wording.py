"""Texts for the number of images: sent, already there, or would be sent."""

from collections.abc import Iterable, Sequence

from ..models import FileReport, FileStatus
from ..reasons import Kind
from ..text import quantity


def is_complete(reports: Iterable[FileReport]) -> bool:
    """Return whether there is any image, and all are sent, already there, or would be sent."""
    rows = list(reports)
    return bool(rows) and all(report.is_complete for report in rows)


def is_dry(reports: Iterable[FileReport]) -> bool:
    """Return whether the reports are from a dry run."""
    return any(report.planned is not None for report in reports)


def status_of(reports: Sequence[FileReport], *, is_success: bool) -> FileStatus:
    """Return the status of all files together; `is_success` is the result of the run."""
    if is_dry(reports):
        return FileStatus.DRY_RUN
    if is_success:
        return FileStatus.COMPLETE
    is_any = any(report.stored for report in reports)
    return FileStatus.INCOMPLETE if is_any else FileStatus.FAILED


def at_least(reports: Iterable[FileReport]) -> str:
    """Return the words before a number of images if the run did not read all files."""
    return "at least " if any(report.may_have_more for report in reports) else ""


def image_counts(*reports: FileReport) -> str:
    """Return the number of images that were sent, or would be sent."""
    images = at_least(reports) + quantity(sum(report.images for report in reports), "image")
    already = sum(report.already_stored for report in reports)
    if is_dry(reports):
        planned = sum(report.planned or 0 for report in reports)
        more = f", {already:,} already there" if already else ""
        return f"{planned:,} of {images} would be sent{more}"
    sent = sum(report.sent for report in reports)
    if already:
        stored = f"{sent + already:,} of {images} on the server"
        return f"{stored}: {already:,} already there, {sent:,} sent"
    return f"{sent:,} of {images} sent"


def headline(*reports: FileReport, is_verified: bool) -> str:
    """Return the result of all files as a sentence."""
    subject = "All images" if is_complete(reports) else "Not all images"
    already = any(report.already_stored for report in reports)
    if is_dry(reports):
        return f"{subject} would be sent" + (" or are already on the server" if already else "")
    words = f"{subject} are on the server" if already else f"{subject} were sent"
    if is_verified or not is_complete(reports):
        return words
    return f"{words}, but not all were verified"


def number_of_images_with(kind: Kind, reports: Iterable[FileReport]) -> int:
    """Return the number of images with a remark of this kind."""
    remarks = (remark for report in reports for remark in report.remarks)
    return sum(
        remark.images for remark in remarks if any(reason.kind is kind for reason in remark.reasons)
    )
