"""Follows a batch until all its jobs have ended, and shows the progress."""

import logging
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TimeElapsedColumn
from rich.text import Text

from ..errors import SiteError
from ..retry import RetryPolicy, retry
from ..text import quantity
from .models import STATES, Batch, Job

MAX_FAILURES_SHOWN = 5
"""Maximum number of failed jobs below the bar, the newest first."""

log = logging.getLogger(__name__)


def follow(
    poll: Callable[[], Batch],
    describe: Callable[[Job], str],
    interval: float,
    policy: RetryPolicy,
) -> Batch:
    """Poll a batch every `interval` seconds until all its jobs have ended, and return it.

    `describe` returns a message about a failed job. `policy` limits retries if the site does not
    respond. Raises SiteError if the site rejects a request, or after the last retry.
    """
    with _View(describe) if sys.stderr.isatty() else _Lines() as view:
        while True:
            batch = _polled(poll, policy)
            view.show(batch.newest)
            if not any(job.is_active for job in batch.newest):
                return batch
            time.sleep(interval)


def counts(jobs: Sequence[Job]) -> str:
    """Return the number of jobs in each state: 2 of 3 jobs have ended: 2 complete, 1 running."""
    found = Counter(job.state for job in jobs)
    words = [f"{found[state]:,} {state}" for state in STATES if found[state]]
    done = sum(not job.is_active for job in jobs)
    verb = "has" if len(jobs) == 1 else "have"
    return f"{done:,} of {quantity(len(jobs), 'job')} {verb} ended: {', '.join(words) or 'none'}"


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


class _Lines:
    """Lines in the log, one whenever the counts change."""

    def __init__(self) -> None:
        self._last = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing, as nothing is open."""

    def show(self, jobs: Sequence[Job]) -> None:
        line = counts(jobs)
        if line != self._last:
            log.info("%s", line)
            self._last = line


class _View:
    """Bar on a terminal, with the counts and the newest failures."""

    def __init__(self, describe: Callable[[Job], str]) -> None:
        self._describe = describe
        self._bar = Progress(BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._task = self._bar.add_task("", total=None)
        self._live = Live(self._bar, console=Console(stderr=True))

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()

    def show(self, jobs: Sequence[Job]) -> None:
        done = sum(not job.is_active for job in jobs)
        self._bar.update(self._task, total=len(jobs), completed=done)
        failed = [job for job in jobs if job.state == "failed"]
        newest = sorted(failed, key=lambda job: job.ended or job.created)[-MAX_FAILURES_SHOWN:]
        lines = map(self._describe, reversed(newest))
        self._live.update(Group(self._bar, Text(counts(jobs)), *map(Text, lines)))
