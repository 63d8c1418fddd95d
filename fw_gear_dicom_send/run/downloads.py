"""Parallel downloads with a limit on disk space, delivered in order."""

import logging
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import suppress
from heapq import nlargest
from math import inf
from pathlib import Path
from threading import Condition, Thread
from typing import Self, TypeGuard

from ..models import DownloadFailure, Fetch, FileEntry, NewerVersion
from ..reasons import Kind, Reason
from ..retry import Retry
from ..source import Fetcher
from ..text import quantity
from ..values import frozen
from .background import MAX_CLOSE_TIME, join
from .download_limit import DownloadLimit

log = logging.getLogger(__name__)

LARGEST_FILES = 3
MIN_MAX_BYTES = 16 << 20
"""Minimum disk limit in bytes. Many small files may download in parallel, which hides latency."""


@frozen
class Fetched:
    """Result of fetching a file, with an optional remark."""

    entry: FileEntry
    outcome: Path | DownloadFailure
    remark: Reason | None = None


class Downloads:
    """Downloads that run on several threads and deliver files in order.

    If a short first try fails, the file is postponed, so that it does not delay other files.
    Postponed files are retried at the end, in rounds. The fetcher's policy limits the time until
    the last round starts and the length of each round.

    If the source does not respond at all, no download starts until it responds. After the time
    limit of the policy the source counts as lost, and all remaining files fail immediately.

    Files that are started and not released occupy at most the size of the three largest files, or
    `MIN_MAX_BYTES` if that is more. A file of unknown size counts once it is on disk. A file that
    finds no space lowers this limit. It is downloaded again after the others, while no other file
    is on disk.

    The mutable state is the queue of files, those that are started and not delivered, the
    bytes of each file that is not released, the files that were on disk together with others,
    those that must be alone there, the limit of bytes, the postponed files with their failures,
    the end of the current round, the times at which the running downloads began, whether all
    downloads wait for a round or for the source, the limit on their number, and the threads with
    the number of those that have not ended.
    """

    def __init__(
        self,
        fetcher: Fetcher,
        entries: Sequence[FileEntry],
        given_up: Callable[[], Reason | None],
    ) -> None:
        """Prepare the downloads without starting them.

        Once `given_up` returns a reason, all remaining files fail with that reason.
        """
        self._fetcher = fetcher
        self._given_up = given_up
        self._waiting = deque(entries)
        self._started: dict[FileEntry, Fetched | None] = {}
        self._on_disk: dict[FileEntry, int] = {}
        self._shared: set[FileEntry] = set()
        self._alone: set[FileEntry] = set()
        self._postponed: dict[FileEntry, DownloadFailure] = {}
        self._round_end = inf
        self._rounds = Retry(fetcher.late_policy)
        self._running: dict[FileEntry, float] = {}
        self._is_paused = False
        self._lost: Reason | None = None
        largest = nlargest(LARGEST_FILES, (entry.size or 0 for entry in entries))
        self._max_bytes = max(sum(largest), MIN_MAX_BYTES)
        self._error: BaseException | None = None
        self._is_stopped = False
        self._changed = Condition()
        self._limit = DownloadLimit(fetcher, entries)
        self._threads: list[Thread] = []
        self._alive = 0

    def start(self) -> Self:
        """Start the threads."""
        with self._changed:
            self._start_threads()
        return self

    def take(self, is_cancelled: Callable[[], bool] = lambda: False) -> Fetched | None:
        """Wait for the next file and return it.

        Return None after `stop`, or when the last file is released. Also return None if
        `is_cancelled` becomes true, which is checked after each `wake`. An exception of a download
        is raised here.
        """
        with self._changed:
            self._changed.wait_for(
                lambda: self._is_over or self._is_finished or self._has_next() or is_cancelled()
            )
            if self._error:
                raise self._error
            if self._is_stopped or not self._has_next():
                return None
            return self._started.pop(next(iter(self._started)))

    def wake(self) -> None:
        """Wake the thread that takes the next file."""
        with self._changed:
            self._changed.notify_all()

    def release(self, file: Fetched, *, again: bool = False) -> None:
        """Free the space of a file that was deleted or was not downloaded.

        `again` downloads the file again, after the others and alone on disk.
        """
        with self._changed:
            self._leave(file.entry)
            if again:
                self._retry_alone(file.entry)
            self._changed.notify_all()

    def wait_for_release(self) -> None:
        """Wait until one of the files on disk is released, or the downloads stop."""
        with self._changed:
            files = set(self._on_disk)
            self._changed.wait_for(
                lambda: self._is_over or not files or not files <= self._on_disk.keys()
            )

    def stop(self) -> None:
        """Stop all downloads."""
        with self._changed:
            self._is_stopped = True
            self._changed.notify_all()
        self._fetcher.stop()

    def close(self) -> None:
        """Stop the threads and wait for them, at most `MAX_CLOSE_TIME` seconds."""
        self.stop()
        if self._limit.peak > self._fetcher.parallel.assured:
            log.info("Up to %s ran at once", quantity(self._limit.peak, "download"))
        join(self._threads, MAX_CLOSE_TIME)

    @property
    def _is_over(self) -> bool:
        return self._is_stopped or self._error is not None

    @property
    def _is_finished(self) -> bool:
        return not (self._waiting or self._started or self._postponed or self._on_disk)

    def _has_next(self) -> bool:
        """Return whether the next file is complete; without threads, fetch it here."""
        is_idle = not (self._fetcher.parallel.most or self._started)
        if is_idle and self._waiting and self._fits(self._waiting[0]):
            self._fetch(self._start_download(self._waiting.popleft()))
        return next(iter(self._started.values()), None) is not None

    def _start_threads(self) -> None:
        """Start the threads that are allowed, but no more than there are files for them."""
        files = len(self._running) + len(self._waiting)
        while self._alive < min(self._limit.threads, files) and not self._is_stopped:
            thread = Thread(target=self._run, daemon=True)
            thread.start()
            self._threads.append(thread)
            self._alive += 1

    def _run(self) -> None:
        try:
            while entry := self._start_next():
                self._fetch(entry)
        except BaseException as exc:
            with self._changed:
                self._error = self._error or exc
                self._is_stopped = True
                self._changed.notify_all()

    def _fetch(self, entry: FileEntry) -> None:
        reason = self._given_up() or self._lost
        failure = DownloadFailure(reason) if reason else None
        self._finish(entry, failure or self._fetcher.fetch(entry))

    def _start_next(self) -> FileEntry | None:
        """Wait for space and start the next file; return None if no file is left."""
        with self._changed:
            while not self._is_stopped and self._alive <= self._limit.threads:
                if self._postponed and self._fetcher.late_policy.clock.now() > self._round_end:
                    self._deliver_failures()
                if self._waiting and not self._is_paused and self._fits(self._waiting[0]):
                    return self._start_download(self._waiting.popleft())
                if self._postponed and not (self._waiting or self._running or self._is_paused):
                    self._start_round()
                elif self._waiting or self._postponed or self._on_disk:
                    self._changed.wait()
                else:
                    break
            self._alive -= 1
            return None

    def _start_download(self, entry: FileEntry) -> FileEntry:
        self._postponed.pop(entry, None)
        if self._on_disk:
            # With two files or more on disk, all are shared already.
            self._shared |= {entry, next(iter(self._on_disk))}
        self._on_disk[entry] = entry.size or 0
        self._running[entry] = self._limit.begin()
        self._started[entry] = None
        return entry

    def _start_round(self) -> None:
        """Queue the postponed files after a wait, or let them fail if the time is over."""
        late, files = self._fetcher.late_policy, tuple(self._postponed)
        after = max(failure.retry_after or 0 for failure in self._postponed.values())
        is_over = self._lost or self._given_up()
        wait = None if is_over else self._rounds.wait_time(at_least=after)
        if wait is None:
            self._deliver_failures()
            return
        log.info("Retrying the download of %s in %.1f s", quantity(len(files), "file"), wait)
        self._is_paused = True
        late.clock.wait_for(self._changed, lambda: self._is_stopped, wait)
        self._is_paused = False
        self._round_end = late.clock.now() + late.max_time
        self._waiting.extend(files)
        self._changed.notify_all()

    def _deliver_failures(self) -> None:
        """Deliver the postponed files as failed."""
        for entry, failure in self._postponed.items():
            reason = self._given_up() or failure.reason
            self._started[entry] = Fetched(entry, DownloadFailure(reason))
        self._waiting = deque(entry for entry in self._waiting if entry not in self._postponed)
        self._postponed.clear()
        self._changed.notify_all()

    def _fits(self, entry: FileEntry) -> bool:
        """Return whether a file may be on disk together with the files that are there."""
        if not self._on_disk:
            return True
        size = sum(self._on_disk.values()) + (entry.size or 0)
        is_alone = entry in self._alone or not self._on_disk.keys().isdisjoint(self._alone)
        return size <= self._max_bytes and not is_alone

    def _leave(self, entry: FileEntry) -> None:
        self._started.pop(entry, None)
        self._on_disk.pop(entry, None)
        self._shared.discard(entry)

    def _retry_alone(self, entry: FileEntry) -> None:
        self._alone.add(entry)
        self._waiting.append(entry)

    def _finish(self, entry: FileEntry, fetch: Fetch) -> None:
        remark, outcome = None, fetch
        if isinstance(outcome, NewerVersion):
            remark, outcome = outcome.remark, outcome.path
        size = _size(outcome) if remark or entry.size is None else entry.size
        with self._changed:
            self._limit.end(self._running.pop(entry), outcome, size)
            with suppress(RuntimeError):  # The system may allow no more threads.
                self._start_threads()
            self._changed.notify_all()
            if _found_no_space(outcome) and entry in self._shared:
                log.info("%s: no space on disk; downloading it again at the end", entry.name)
                self._max_bytes = min(self._max_bytes, sum(self._on_disk.values()) - 1)
                self._leave(entry)
                self._retry_alone(entry)
                return
            if not self._is_postponed(outcome):
                self._on_disk[entry] = size
                self._started[entry] = Fetched(entry, outcome, remark)
                return
            self._leave(entry)
            self._postponed[entry] = outcome
            if self._is_paused or self._lost:
                return
            self._is_paused = True
        self._wait_for_source(outcome)

    def _is_postponed(self, outcome: Path | DownloadFailure) -> TypeGuard[DownloadFailure]:
        return (
            isinstance(outcome, DownloadFailure)
            and outcome.retry_after is not None
            and self._fetcher.late_policy.max_time > 0
        )

    def _wait_for_source(self, failure: DownloadFailure) -> None:
        """Pause all downloads while the source does not respond or asks to wait."""
        clock, trouble = self._fetcher.late_policy.clock, Retry(self._fetcher.late_policy)
        found = failure if failure.retry_after else self._fetcher.outage()
        while found and not (self._is_stopped or self._given_up()):
            wait = trouble.wait_time(at_least=found.retry_after or 0)
            if wait is None:
                log.error("Flywheel does not respond; giving up: %s", found.reason.text)
                self._lost = found.reason
                break
            log.warning("Pausing all downloads for %.1f s: %s", wait, found.reason.text)
            with self._changed:
                clock.wait_for(self._changed, lambda: self._is_stopped, wait)
            found = self._fetcher.outage()
        with self._changed:
            self._is_paused = False
            self._changed.notify_all()


def _size(outcome: Path | DownloadFailure) -> int:
    """Return the disk usage of a file in bytes; 0 if the file does not exist."""
    try:
        return 0 if isinstance(outcome, DownloadFailure) else outcome.stat().st_size
    except OSError:
        return 0


def _found_no_space(outcome: Path | DownloadFailure) -> bool:
    return isinstance(outcome, DownloadFailure) and outcome.reason.kind is Kind.DOWNLOAD_NOT_WRITTEN
