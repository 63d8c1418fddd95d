"""The page about a batch."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from html import escape

from ..models import FileStatus
from ..report.html import bar, page, row, table, tiles
from .models import Outcome

_PAGE = page(
    "Gathered on $gathered",
    """\
<h2>Sessions</h2>
<div class="wide"><table id="sessions">
<thead><tr><th scope="col">Session</th><th scope="col">Session ID</th><th scope="col">Job</th>
<th scope="col">Images sent</th><th scope="col">Share</th><th scope="col">Outcome</th></tr></thead>
<tbody>
$sessions</tbody></table></div>
""",
    "#sessions td:nth-child(n+2):nth-child(-n+4) { white-space: nowrap; }\na { color: inherit; }\n",
)


def render(batch_id: str, outcomes: Sequence[Outcome], gathered: datetime, *, is_dry: bool) -> str:
    """Return the page, what went wrong first; `is_dry` tells that nothing was sent."""
    verb = "would be" if is_dry else "were"
    good = sum(not outcome.reason for outcome in outcomes)
    is_good = bool(outcomes) and good == len(outcomes)
    images, sent = sum(o.images for o in outcomes), sum(o.sent for o in outcomes)
    files, complete = sum(o.files for o in outcomes), sum(o.complete_files for o in outcomes)
    completed = sum(outcome.state == "complete" for outcome in outcomes)
    numbers = (
        ("Sessions complete", f"{good:,} of {len(outcomes):,}"),
        ("Jobs complete", f"{completed:,} of {len(outcomes):,}"),
        ("Images sent", f"{sent:,} of {images:,}"),
        ("Files complete", f"{complete:,} of {files:,}"),
    )
    dry = " (dry run: nothing was sent)" * is_dry
    return _PAGE.substitute(
        title=escape(f"DICOM send: batch {batch_id}{dry}"),
        gathered=f"{gathered:%Y-%m-%d %H:%M:%S}",
        state="good" if is_good else "bad",
        outcome=f"{'All images of all sessions' if is_good else 'Not all images'} {verb} sent",
        tiles=tiles(numbers),
        failures=_failures(outcomes),
        sessions="".join(
            _row(outcome, is_dry=is_dry) for outcome in sorted(outcomes, key=lambda o: not o.reason)
        ),
    )


def reasons(outcomes: Iterable[Outcome]) -> list[tuple[str, int]]:
    """Return why sessions are not complete, and how many for each reason, the most first."""
    found: dict[str, int] = {}
    for outcome in outcomes:
        if outcome.reason:
            found[outcome.reason] = found.get(outcome.reason, 0) + 1
    return sorted(found.items(), key=lambda one: one[1], reverse=True)


def _failures(outcomes: Sequence[Outcome]) -> str:
    groups = reasons(outcomes)
    if not groups:
        return "<p>Nothing went wrong.</p>"
    rows = [(reason, str(sessions)) for reason, sessions in groups]
    return table(("Reason", "Sessions"), rows)


def _row(outcome: Outcome, *, is_dry: bool) -> str:
    share = outcome.sent / outcome.images if outcome.images else 0
    state = "good" if not outcome.reason else "part" if outcome.sent else "bad"
    count = f"{outcome.sent:,} of {outcome.images:,}"
    cells = (
        _link(outcome),
        escape(outcome.session_id),
        escape(outcome.state),
        count,
        bar(share, state, f"{count} images sent"),
        escape(outcome.reason or (FileStatus.DRY_RUN if is_dry else FileStatus.COMPLETE)),
    )
    return row(state, cells)


def _link(outcome: Outcome) -> str:
    label = escape(outcome.label)
    return f'<a href="{escape(outcome.url)}">{label}</a>' if outcome.url else label
