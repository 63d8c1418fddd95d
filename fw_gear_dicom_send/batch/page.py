"""HTML page with the results of a batch."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from datetime import datetime

from ..models import FileStatus
from ..reasons import Kind
from ..report import page
from ..sections import Bar, Link, Named, Parts, Section, Table, folded
from ..text import duration, natural_key, quantity
from ..values import frozen, replace
from . import plan
from .models import Batch, JobResult

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
    "Outcome": "",
}


@frozen
class _Cause:
    """A problem of sessions with its advice. Causes with one key are the same problem."""

    key: str
    text: str
    advice: str
    images: int
    sessions: int = 1


def render(batch: Batch, outcomes: Sequence[JobResult], gathered: datetime) -> str:
    """Return the page, with problems first. That of dry runs says that nothing was sent."""
    is_dry = any(job.is_dry_run for job in batch.newest)
    verb = "would be" if is_dry else "were"
    good = sum(not outcome.reason for outcome in outcomes)
    is_good = bool(outcomes) and good == len(outcomes)
    images, sent = sum(o.images for o in outcomes), sum(o.sent for o in outcomes)
    files, complete = sum(o.files for o in outcomes), sum(o.complete_files for o in outcomes)
    completed = sum(outcome.state == "complete" for outcome in outcomes)
    groups = _groups(outcomes)
    outcome = f"{'All images of all sessions' if is_good else 'Not all images'} {verb} sent"
    if len(groups) == 1 and (cause := groups[0].text) != f"{outcome[:1].lower()}{outcome[1:]}":
        outcome = f"{outcome}: {cause}"
    dry = " (dry run: nothing was sent)" * is_dry
    servers = tuple(dict.fromkeys(plan.server(job.config) for job in batch.jobs))
    tiles = [
        ("Sessions complete", f"{good:,} of {len(outcomes):,}"),
        ("Images sent", f"{sent:,} of {images:,}"),
        ("Files complete", f"{complete:,} of {files:,}"),
    ]
    if completed != good:
        tiles.insert(1, ("Jobs complete", f"{completed:,} of {len(outcomes):,}"))
    return page.render(
        f"DICOM send: batch {batch.id}{dry}",
        outcome,
        is_good=is_good,
        note=_note(groups),
        about=(*servers, f"{batch.created:%Y-%m-%d %H:%M}"),
        facts=list(_facts(batch, outcomes, gathered, servers)),
        tiles=tiles,
        sections=(
            Section("What went wrong", (_failures(groups),) if groups else ()),
            Section("Sessions", _sessions(outcomes, is_dry=is_dry)),
        ),
    )


def reasons(outcomes: Iterable[JobResult]) -> list[tuple[str, int]]:
    """Return the reasons why sessions are incomplete with their numbers, the largest first."""
    return Counter(outcome.reason for outcome in outcomes if outcome.reason).most_common()


def causes(outcome: JobResult) -> str:
    """Return the problems of a session; empty if there is none."""
    return "; ".join(cause.text for cause in _causes(outcome))


def _facts(
    batch: Batch, outcomes: Sequence[JobResult], gathered: datetime, servers: Sequence[str]
) -> Iterator[Named]:
    """Yield the server, the project, the selection and the user of a batch."""
    if servers:
        yield "Server", ", ".join(servers)
    projects = dict.fromkeys(outcome.project for outcome in outcomes if outcome.project)
    if projects:
        yield "Project", ", ".join(projects)
    selected = quantity(len(outcomes), "session")
    choices = dict.fromkeys(plan.file_choice(job.config) for job in batch.jobs)
    yield "Selection", "; ".join((selected, *filter(None, choices)))
    yield "Started", f"{batch.created:%Y-%m-%d %H:%M:%S %z} by {batch.owner}"
    yield "Reports merged", f"{gathered:%Y-%m-%d %H:%M:%S %z}".rstrip()


def _groups(outcomes: Sequence[JobResult]) -> list[_Cause]:
    """Return the problems of all sessions, the most frequent first."""
    found: dict[str, _Cause] = {}
    for outcome in outcomes:
        for cause in _causes(outcome):
            first = found.get(cause.key, replace(cause, sessions=0, images=0))
            found[cause.key] = replace(
                first, sessions=first.sessions + 1, images=first.images + cause.images
            )
    return sorted(found.values(), key=lambda cause: (-cause.sessions, -cause.images))


def _note(groups: Sequence[_Cause]) -> str:
    """Return the most frequent problem with its advice; empty if there is none."""
    if len(groups) < 2:
        return groups[0].advice if groups else ""  # The outcome has the only cause.
    first, more = groups[0], quantity(len(groups) - 1, "more cause")
    return f"{quantity(first.sessions, 'session')}: {first.text}. {first.advice} {more} below."


def _failures(groups: Sequence[_Cause]) -> Table:
    return Table(
        {"Reason": "", "Sessions": "number", "Images": "number", "What to do": "advice"},
        [(cause.text, cause.sessions, cause.images, cause.advice) for cause in groups],
        name="reasons",
    )


def _causes(outcome: JobResult) -> Iterator[_Cause]:
    """Yield each problem of a session."""
    for code, images in outcome.codes.items():
        if kind := _KINDS.get(code):
            text = kind.template.replace("{}", "…")
            if kind.template in ("{}", "status {}"):
                text = outcome.texts.get(code) or kind.name.lower().replace("_", " ")
            yield _Cause(code, text, kind.advice, images)
        else:
            yield _Cause(code, code.replace("-", " "), outcome.advice, images)
    if outcome.reason and not outcome.codes:
        missing = outcome.images - outcome.sent
        yield _Cause(outcome.reason, outcome.reason, outcome.advice, missing)


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
        causes(outcome) or status,
    )
