"""Closing line of a run: its images, its server, its duration, and why it ended early."""

from ..account import Account
from ..text import duration, quantity
from .reason_groups import main_cause
from .wording import at_least, early_end, not_sent_again


def result_line(account: Account, server: str) -> str:
    """Return the result as one line; `server` is the name of the server."""
    end = early_end(account) if account.cause else main_cause(account)
    parts = [end or _counts(account, server)]
    rows, noun = account.rows, account.origin.noun
    unread = sum(not (row.images or row.is_complete or row.is_unreached) for row in rows)
    if unread and not account.cause and not account.is_without_images:
        parts.append(f"{unread:,} of {quantity(len(rows), noun)} not read")
    if checked := account.verification:
        parts += [f"{checked.unverified:,} not verified"] * (not checked.is_whole)
    parts += account.warnings
    if not account.is_reported:
        parts.append("a report could not be written")
    return "; ".join(parts)


def _counts(account: Account, server: str) -> str:
    """Return the numbers of images, and the duration of the run."""
    seconds = f"in {duration(account.throughput.seconds)}"
    if not account.images:
        return f"No DICOM image found to send to {server} {seconds}"
    verb = "would be sent" if account.is_dry else "sent"
    known = account.already_stored + account.duplicates
    missing = account.images - known - account.sent - account.planned
    if missing:
        images = f"{at_least(account.rows)}{quantity(account.images, 'image')}"
        verb = verb.replace("would", "would not") if account.is_dry else f"not {verb}"
        return f"{missing:,} of {images} {verb} to {server} {seconds}"
    there = not_sent_again(account.already_stored, account.duplicates)
    note = f" ({', '.join(there)})" if there else ""
    return f"{quantity(account.images - known, 'image')} {verb} to {server}{note} {seconds}"
