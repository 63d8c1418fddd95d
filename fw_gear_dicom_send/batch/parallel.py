"""Runs requests in parallel, with their results in order, and shows the progress."""

import logging
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from itertools import islice
from multiprocessing.pool import ThreadPool
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from ..exit_codes import deferred_signals

REQUESTS_AT_ONCE = 8
LOG_INTERVAL = 30
"""Seconds between two lines about the progress, without a terminal."""

A = TypeVar("A")
B = TypeVar("B")

log = logging.getLogger(__name__)


def in_order(action: Callable[[A], B], items: Sequence[A], title: str = "") -> Iterator[B]:
    """Yield the results of an action in the order of the items; raise the first error.

    A `title` shows the progress. There are never more results in memory than threads. The threads
    are daemons, so that a command that is stopped does not wait for their requests.
    """
    columns = TextColumn(title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    console = Console(stderr=True)
    is_shown = bool(title) and sys.stderr.isatty()
    rest, logged = iter(items), time.monotonic()
    if not items:
        return
    with ExitStack() as stack:
        with deferred_signals():
            pool = stack.enter_context(ThreadPool(min(REQUESTS_AT_ONCE, len(items))))
            bar = Progress(*columns, console=console, transient=True, disable=not is_shown)
            stack.enter_context(bar)
        task = bar.add_task("", total=len(items))
        window = deque(pool.apply_async(action, (item,)) for item in islice(rest, REQUESTS_AT_ONCE))
        for done in range(len(items)):
            yield window.popleft().get()
            window.extend(pool.apply_async(action, (item,)) for item in islice(rest, 1))
            bar.advance(task)
            if title and not is_shown and time.monotonic() >= logged + LOG_INTERVAL:
                logged = time.monotonic()
                log.info("%s: %s of %s", title, f"{done + 1:,}", f"{len(items):,}")
