"""Follows a batch until all its jobs have ended, and shows the progress."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.text import Text

from ..errors import SiteError
from ..retry import RetryPolicy, retry
from ..text import quantity
from .models import STATES, WAITING, Batch, Job

MAX_FAILURES_SHOWN = 5
"""Maximum number of failed jobs below the bar, the newest first."""

_Show = Callable[[Batch], None]

log = logging.getLogger(__name__)


def follow(
    poll: Callable[[], Batch],
    describe: Callable[[Job], str],
    interval: float,
    policy: RetryPolicy,
    start_next: Callable[[Batch], bool] = lambda _: False,
) -> Batch:
    """Poll a batch every `interval` seconds until all its jobs have ended, and return it.

    `describe` returns a message about a failed job. `policy` limits retries if the site does not
    respond. `start_next` starts waiting jobs, and returns whether there were any. Raises SiteError
    if the site rejects a request, or after the last retry.
    """
    with _bar(describe) if sys.stderr.isatty() else _lines() as show:
        while True:
            batch = _polled(poll, policy)
            show(batch)
            is_active = any(job.is_active for job in batch.newest)
            if not start_next(batch) and not is_active:
                return batch
            time.sleep(interval)


def counts(batch: Batch) -> str:
    """Return the number of jobs in each state: 2 of 3 jobs have ended: 2 complete, 1 running."""
    found = Counter(job.state for job in batch.newest)
    found[WAITING] += batch.missing
    words = [f"{found[state]:,} {state}" for state in STATES if found[state]]
    done, total = sum(job.has_ended for job in batch.newest), found.total()
    verb = "has" if total == 1 else "have"
    return f"{done:,} of {quantity(total, 'job')} {verb} ended: {', '.join(words) or 'none'}"


def _polled(poll: Callable[[], Batch], policy: RetryPolicy) -> Batch:
    logged = ""

    def warn(error: SiteError, _: float) -> None:
        nonlocal logged
        if str(error) != logged:
            logged = str(error)
            log.warning("%s; retrying (the batch continues)", error)

    return retry(
        policy,
        poll,
        on=SiteError,
        is_temporary=lambda error: not error.is_final,
        before_wait=warn,
    )


@contextmanager
def _lines() -> Iterator[_Show]:
    """Log a line whenever the counts change."""
    last = ""

    def show(batch: Batch) -> None:
        nonlocal last
        line = counts(batch)
        if line != last:
            log.info("%s", line)
            last = line

    yield show


@contextmanager
def _bar(describe: Callable[[Job], str]) -> Iterator[_Show]:
    """Show a bar on a terminal, with the counts and the newest failures."""
    bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    task = bar.add_task("", total=None)

    def show(batch: Batch) -> None:
        jobs = batch.newest
        bar.update(task, total=len(jobs), completed=sum(job.has_ended for job in jobs))
        failed = [job for job in jobs if job.state == "failed"]
        newest = sorted(failed, key=lambda job: job.ended or job.created)[-MAX_FAILURES_SHOWN:]
        lines = map(describe, reversed(newest))
        live.update(Group(bar, Text(counts(batch)), *map(Text, lines)))

    with Live(bar, console=Console(stderr=True)) as live:
        yield show
