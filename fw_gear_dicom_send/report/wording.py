"""Texts for the number of images: sent, already there, or would be sent."""

from collections.abc import Iterable, Mapping

from ..account import Account
from ..models import FileReport
from ..reasons import Skipped
from ..text import quantity


def at_least(reports: Iterable[FileReport]) -> str:
    """Return the words before a number of images if the run did not read all files."""
    return "at least " if any(report.may_have_more for report in reports) else ""


def image_counts(*reports: FileReport) -> str:
    """Return the number of images that were sent, or would be sent."""
    images = at_least(reports) + quantity(sum(report.images for report in reports), "image")
    already = sum(report.already_stored for report in reports)
    if any(report.planned is not None for report in reports):
        planned = sum(report.planned or 0 for report in reports)
        more = f", {already:,} already there" if already else ""
        return f"{planned:,} of {images} would be sent{more}"
    sent = sum(report.sent for report in reports)
    if already:
        stored = f"{sent + already:,} of {images} on the server"
        return f"{stored}: {already:,} already there, {sent:,} sent"
    return f"{sent:,} of {images} sent"


def headline(account: Account) -> str:
    """Return the result of all files as a sentence."""
    subject = "All images" if account.is_complete else "Not all images"
    already = account.already_stored
    if account.is_dry:
        return f"{subject} would be sent" + (" or are already on the server" if already else "")
    words = f"{subject} are on the server" if already else f"{subject} were sent"
    if account.is_verified or not account.is_complete:
        return words
    return f"{words}, but not all were verified"


def skipped_files(counts: Mapping[Skipped, int]) -> str:
    """Return the numbers of skipped files by kind, empty if there is none."""
    if not counts:
        return ""
    kinds = ", ".join(f"{kind.value} ({count:,})" for kind, count in counts.items())
    return f"Skipped {quantity(sum(counts.values()), 'file')}: {kinds}"
