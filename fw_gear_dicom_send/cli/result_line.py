"""Closing line of a run: the number of images sent, the server and the duration."""

import logging
from pathlib import Path

from ..account import Account
from ..errors import ExitCode
from ..report.wording import at_least
from ..report_names import Report
from ..text import duration, quantity
from . import server_words

log = logging.getLogger(__name__)
# --quiet hides all other lines of this level.
log.setLevel(logging.INFO)


def log_result(account: Account, seconds: float) -> None:
    """Log the result of a run, which took `seconds`."""
    is_good = account.exit_code == ExitCode.SUCCESS
    log.log(logging.INFO if is_good else logging.ERROR, "%s", result_line(account, seconds))


def result_line(account: Account, seconds: float) -> str:
    """Return the result as one line."""
    parts = [f"{_counts(account)} in {duration(seconds)}"]
    rows = account.rows
    if unreached := sum(row.is_unreached for row in rows):
        parts.append(f"{unreached:,} of {quantity(len(rows), 'path')} not processed")
    incomplete = sum(not row.is_complete for row in rows) - unreached
    if account.verification and not account.is_verified:
        parts.append(f"{account.images - account.verification.verified:,} not verified")
    if incomplete and _missing(account) == 0:
        parts.append(f"{incomplete:,} of {quantity(len(rows), 'path')} without DICOM images")
    if not account.is_reported:
        parts.append("a report could not be written")
    if report := account.report(Report.PAGE) or next(iter(account.reports), ""):
        parts.append(f"see {_short(report)}")
    return "; ".join(parts)


def _missing(account: Account) -> int:
    """Return the number of images that are neither on the server nor planned by a dry run."""
    return account.images - account.sent - account.already_stored - account.planned


def _counts(account: Account) -> str:
    host, port, called_ae = account.server.key
    server = server_words.word_of(called_ae, host, port)
    already = account.already_stored
    if not account.images:
        return f"No images found to send to {server}"
    would = "would be sent" if account.is_dry else "sent"
    if missing := _missing(account):
        verb = "would not be sent" if account.is_dry else "not sent"
        images = f"{at_least(account.rows)}{quantity(account.images, 'image')}"
        return f"{missing:,} of {images} {verb} to {server}"
    there = f" ({already:,} already there)" if already else ""
    return f"{quantity(account.images - already, 'image')} {would} to {server}{there}"


def _short(path: str) -> str:
    """Return a path relative to the current folder if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
