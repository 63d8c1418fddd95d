"""HTML page with the results of a batch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from ..models import FileStatus
from ..reasons import Kind
from ..report import page
from ..sections import Bar, Link, Part, Parts, Section, Table, folded
from ..text import duration, natural_key, quantity
from .models import JobResult

MAX_SESSIONS = 20_000
"""Maximum number of listed sessions in each table."""
_KINDS = {kind.code: kind for kind in Kind}
_COLUMNS = {
    "Subject": "",
    "Session": "",
    "Job": "words",
    "Duration": "number",
    "Images sent": "number",
    "Images found": "number",
    "Share": "minor",
    "What to do": "long",
    "Outcome": "",
}


def render(
    batch_id: str, outcomes: Sequence[JobResult], gathered: datetime, *, is_dry: bool
) -> str:
    """Return the page, with problems first. With `is_dry`, it says that nothing was sent."""
    verb = "would be" if is_dry else "were"
    good = sum(not outcome.reason for outcome in outcomes)
    is_good = bool(outcomes) and good == len(outcomes)
    images, sent = sum(o.images for o in outcomes), sum(o.sent for o in outcomes)
    files, complete = sum(o.files for o in outcomes), sum(o.complete_files for o in outcomes)
    completed = sum(outcome.state == "complete" for outcome in outcomes)
    dry = " (dry run: nothing was sent)" * is_dry
    return page.render(
        f"DICOM send: batch {batch_id}{dry}",
        f"{'All images of all sessions' if is_good else 'Not all images'} {verb} sent",
        is_good=is_good,
        facts=[("Reports merged", f"{gathered:%Y-%m-%d %H:%M:%S %z}".rstrip())],
        tiles=(
            ("Sessions complete", f"{good:,} of {len(outcomes):,}"),
            ("Jobs complete", f"{completed:,} of {len(outcomes):,}"),
            ("Images sent", f"{sent:,} of {images:,}"),
            ("Files complete", f"{complete:,} of {files:,}"),
        ),
        sections=(
            Section("What went wrong", (_failures(outcomes),)),
            Section("Sessions", _sessions(outcomes, is_dry=is_dry)),
        ),
    )


def reasons(outcomes: Iterable[JobResult]) -> list[tuple[str, int]]:
    """Return the reasons why sessions are incomplete with their numbers, the largest first."""
    return Counter(outcome.reason for outcome in outcomes if outcome.reason).most_common()


def _failures(outcomes: Sequence[JobResult]) -> Part:
    found: dict[tuple[str, str], tuple[int, int]] = {}
    for outcome in outcomes:
        for text, advice, images in _causes(outcome):
            sessions, others = found.get((text, advice), (0, 0))
            found[text, advice] = sessions + 1, others + images
    if not found:
        return "Nothing went wrong."
    groups = sorted(found.items(), key=lambda group: group[1], reverse=True)
    return Table(
        {"Reason": "", "Sessions": "number", "Images": "number", "What to do": ""},
        [(text, *counts, advice) for (text, advice), counts in groups],
        name="reasons",
    )


def _causes(outcome: JobResult) -> Iterator[tuple[str, str, int]]:
    """Yield each problem of a session with its advice and its number of images."""
    for code, images in outcome.codes.items():
        if kind := _KINDS.get(code):
            is_detail = kind.template in ("{}", "status {}")
            text = kind.name.lower().replace("_", " ") if is_detail else kind.template
            yield text.replace("{}", "…"), kind.advice, images
        else:
            yield code.replace("-", " "), outcome.advice, images
    if outcome.reason and not outcome.codes:
        yield outcome.reason, outcome.advice, outcome.images - outcome.sent


def _sessions(outcomes: Iterable[JobResult], *, is_dry: bool) -> Parts:
    """Return tables of the sessions, incomplete ones first; many complete sessions are folded."""
    rows = sorted(
        outcomes,
        key=lambda item: (not item.reason, natural_key(item.subject), natural_key(item.label)),
    )
    cells = [_row(outcome, is_dry=is_dry) for outcome in rows]
    table = Table(_COLUMNS, cells, [_state(outcome) for outcome in rows], "sessions")
    return folded(table, "session", MAX_SESSIONS, "the CSV report")


def _state(outcome: JobResult) -> str:
    return "good" if not outcome.reason else "part" if outcome.sent else "bad"


def _row(outcome: JobResult, *, is_dry: bool) -> Parts:
    share = outcome.sent / outcome.images if outcome.images else 0
    causes = list(_causes(outcome))
    status = FileStatus.DRY_RUN if is_dry else FileStatus.COMPLETE
    return (
        outcome.subject,
        Link(outcome.label, outcome.url),
        outcome.state,
        "" if outcome.seconds is None else duration(outcome.seconds),
        outcome.sent,
        outcome.images,
        Bar(
            share, _state(outcome), f"{outcome.sent:,} of {quantity(outcome.images, 'image')} sent"
        ),
        " ".join(dict.fromkeys(advice for _, advice, _ in causes)),
        "; ".join(text for text, _, _ in causes) or status,
    )
