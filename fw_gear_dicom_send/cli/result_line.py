"""Closing line of a run: the number of images sent, the server and the duration."""

import logging
from pathlib import Path

from ..config import SendConfig
from ..errors import ExitCode
from ..models import Outcome
from ..report.summary import RunFacts
from ..report.wording import at_least
from ..report_names import Report
from ..text import duration, quantity
from . import server_words

log = logging.getLogger(__name__)
# --quiet hides all other lines of this level.
log.setLevel(logging.INFO)


def log_result(facts: RunFacts, seconds: float) -> None:
    """Log the result of a run, which took `seconds`."""
    if facts.outcome and facts.config:
        is_good = facts.exit_code == ExitCode.SUCCESS
        line = result_line(facts, facts.outcome, facts.config, seconds)
        log.log(logging.INFO if is_good else logging.ERROR, "%s", line)


def result_line(facts: RunFacts, outcome: Outcome, config: SendConfig, seconds: float) -> str:
    """Return the result as one line."""
    parts = [f"{_counts(facts, outcome, config)} in {duration(seconds)}"]
    rows = facts.rows
    if unreached := sum(row.is_unreached for row in rows):
        parts.append(f"{unreached:,} of {quantity(len(rows), 'path')} not processed")
    incomplete = sum(not row.is_complete for row in rows) - unreached
    if facts.verification and not facts.verification.is_whole:
        parts.append(f"{outcome.images - facts.verification.verified:,} not verified")
    if incomplete and _missing(facts, outcome) == 0:
        parts.append(f"{incomplete:,} of {quantity(len(rows), 'path')} without DICOM images")
    if not outcome.is_reported:
        parts.append("a report could not be written")
    page = next((path for path in facts.reports if path.endswith(Report.PAGE.suffix)), "")
    if report := page or next(iter(facts.reports), ""):
        parts.append(f"see {_short(report)}")
    return "; ".join(parts)


def _missing(facts: RunFacts, outcome: Outcome) -> int:
    """Return the number of images that are neither on the server nor planned by a dry run."""
    planned = sum(row.planned or 0 for row in facts.rows)
    return outcome.images - outcome.sent - outcome.already_stored - planned


def _counts(facts: RunFacts, outcome: Outcome, config: SendConfig) -> str:
    peer = config.peer
    server = server_words.word_of(peer.called_ae, peer.host, peer.port)
    images, already = outcome.images, outcome.already_stored
    if not images:
        return f"No images found to send to {server}"
    would = "would be sent" if config.dry_run else "sent"
    if missing := _missing(facts, outcome):
        verb = "would not be sent" if config.dry_run else "not sent"
        return (
            f"{missing:,} of {at_least(facts.rows)}{quantity(images, 'image')} {verb} to {server}"
        )
    there = f" ({already:,} already there)" if already else ""
    return f"{quantity(images - already, 'image')} {would} to {server}{there}"


def _short(path: str) -> str:
    """Return a path relative to the current folder if it is below it."""
    try:
        return str(Path(path).relative_to(Path.cwd()))
    except ValueError:
        return path
