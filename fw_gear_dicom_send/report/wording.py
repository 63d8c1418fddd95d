"""Texts for the number of images: sent, already there, duplicates, or would be sent."""

from collections.abc import Iterable, Mapping

from ..account import Account
from ..models import FileReport
from ..reasons import Skipped
from ..text import quantity

NOT_COUNTED = "not counted"
"""Replacement for the number of images of a run that stopped before its first image."""


def at_least(reports: Iterable[FileReport]) -> str:
    """Return the words before a number of images if the run did not read all files."""
    return "at least " if any(report.may_have_more for report in reports) else ""


def is_uncounted(reports: Iterable[FileReport]) -> bool:
    """Return whether the run stopped before it found an image."""
    rows = list(reports)
    return bool(at_least(rows)) and not any(row.images for row in rows)


def image_counts(*reports: FileReport) -> str:
    """Return the number of images that were sent, or would be sent."""
    if is_uncounted(reports):
        return f"Images {NOT_COUNTED}"
    images = at_least(reports) + quantity(sum(report.images for report in reports), "image")
    known = not_sent_again(
        sum(report.already_stored for report in reports),
        sum(report.duplicates for report in reports),
    )
    if any(report.planned is not None for report in reports):
        planned = sum(report.planned or 0 for report in reports)
        return ", ".join((f"{planned:,} of {images} would be sent", *known))
    sent = f"{sum(report.sent for report in reports):,}"
    if known:
        stored = sum(report.stored for report in reports)
        return f"{stored:,} of {images} on the server: {', '.join((*known, f'{sent} sent'))}"
    return f"{sent} of {images} sent"


def not_sent_again(already_stored: int, duplicates: int) -> tuple[str, ...]:
    """Return the numbers of images that need not be sent, without zeros."""
    already = f"{already_stored:,} already there" if already_stored else ""
    return tuple(filter(None, (already, quantity(duplicates, "duplicate") if duplicates else "")))


def file_result(report: FileReport) -> str:
    """Return the result of a file, which may have no image."""
    if report.images:
        return image_counts(report)
    return "no DICOM image" if report.has_no_image else "not read"


def headline(account: Account) -> str:
    """Return the result of all files in a sentence, without its full stop."""
    if account.cause:
        return early_end(account)
    subject = "All images" if account.is_complete else "Not all images"
    if account.is_without_images:
        return "No DICOM image to send was found"
    if account.is_dry:
        there = " or are already on the server" if account.already_stored else ""
        return f"{subject} would be sent{there}"
    is_known = account.already_stored or account.duplicates
    words = f"{subject} are on the server" if is_known else f"{subject} were sent"
    if account.is_verified or not account.is_complete:
        return words
    return f"{words}, but not all were verified"


def early_end(account: Account) -> str:
    """Return why a run ended early, with the number of images so far, and the rest."""
    cause, so_far = account.cause, _so_far(account)
    cause = f"{cause[:1].upper()}{cause[1:]}"
    # Another colon would look like a part of the cause.
    return f"{cause}. {so_far[:1].upper()}{so_far[1:]}" if ":" in cause else f"{cause}: {so_far}"


def _so_far(account: Account) -> str:
    """Return the number of images, or of files if the run has not opened all, and the rest."""
    rows = account.rows
    good, images = sum(row.good for row in rows), account.images
    verb = "would be sent" if account.is_dry else "sent"
    if not good:
        return "nothing was sent"
    if not any(row.is_unreached for row in rows):
        number = f"{at_least(rows)}{quantity(images, 'image')}"
        return f"{good:,} of {number} {verb}, {images - good:,} left"
    done = sum(row.is_complete and row.images > 0 for row in rows)
    left = sum(not row.is_complete for row in rows)
    inside = f" ({quantity(good, 'image')})" if good != done else ""
    files = quantity(len(rows), account.origin.noun)
    return f"{done:,} of {files} {verb}{inside}, {left:,} left"


def skipped_files(counts: Mapping[Skipped, int]) -> str:
    """Return the numbers of skipped files by kind, empty if there is none."""
    if not counts:
        return ""
    kinds = ", ".join(f"{kind.value} ({count:,})" for kind, count in counts.items())
    return f"Skipped {quantity(sum(counts.values()), 'file')}: {kinds}"
