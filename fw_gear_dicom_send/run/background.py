"""Background threads that produce items for one consumer."""

from collections import deque
from collections.abc import Iterable, Iterator
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Generic, Self, TypeVar

from ..exit_codes import accepted_signals, raise_deferred

T = TypeVar("T")

MAX_CLOSE_TIME = 2.0
"""Maximum time, in seconds, to wait for stopped threads."""
_PAUSE = 0.05
"""Seconds between two checks for new items. Waking the consumer for each item would cost more."""


def join(threads: Iterable[Thread], timeout: float) -> None:
    """Wait for threads that were started, at most `timeout` seconds for all together."""
    deadline = monotonic() + timeout
    for thread in threads:
        if thread.ident:
            thread.join(max(0.0, deadline - monotonic()))


class Background(Generic[T]):
    """Iterators that run on one thread each and buffer at most `ahead` items.

    If an iterator raises an exception, all threads stop and the consumer gets the exception.

    The mutable state is the buffered items, the number of running iterators, the first error,
    whether the threads must stop, and a lock that is taken until the consumer must wake.
    """

    def __init__(self, *sources: Iterator[T], ahead: int) -> None:
        """Create the threads without starting them, so that the caller can stop them first."""
        self._ahead = ahead
        self._items: deque[T] = deque()
        self._at_work = len(sources)
        self._error: BaseException | None = None
        self._is_closed = False
        self._changed = Condition()
        self._asleep = Lock()
        self._asleep.acquire()
        self._threads = [Thread(target=self._run, args=(each,), daemon=True) for each in sources]

    def start(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __iter__(self) -> Iterator[T]:
        """Yield items as they arrive until all iterators end or `stop` is called.

        Raises:
            CancelledError: A signal arrived.
        """
        while not self._is_closed:
            raise_deferred()
            is_last = self._has_ended
            while self._items and not self._is_closed:
                yield self._items.popleft()
            with self._changed:
                self._changed.notify_all()
                if is_last and not self._items:
                    break
                is_idle = not (self._items or self._has_ended or self._is_closed)
            if is_idle:
                with accepted_signals():
                    self._asleep.acquire(timeout=_PAUSE)
        if self._error and not self._is_closed:
            raise self._error

    def stop(self) -> None:
        """Stop each thread after its current item."""
        with self._changed:
            self._is_closed = True
            self._wake_all()

    def close(self, timeout: float = MAX_CLOSE_TIME) -> list[T]:
        """Stop the threads and return the items that were not consumed.

        Wait at most `timeout` seconds for the threads.
        """
        self.stop()
        join(self._threads, timeout)
        remaining = []
        while self._items:
            remaining.append(self._items.popleft())
        return remaining

    def _run(self, source: Iterator[T]) -> None:
        error = None
        try:
            while not self._is_over and (item := next(source, None)) is not None:
                # No lock: `deque.append` and `deque.popleft` are atomic.
                self._items.append(item)
                if len(self._items) >= self._ahead:
                    self._wait_for_consumer()
        except BaseException as exc:
            error = exc
        with self._changed:
            self._at_work -= 1
            self._error = self._error or error
            self._wake_all()

    @property
    def _has_ended(self) -> bool:
        return not self._at_work or self._error is not None

    @property
    def _is_over(self) -> bool:
        return self._is_closed or self._error is not None

    def _wait_for_consumer(self) -> None:
        with self._changed:
            self._wake_all()
            self._changed.wait_for(lambda: len(self._items) < self._ahead or self._is_over)

    def _wake_all(self) -> None:
        self._changed.notify_all()
        if self._asleep.locked():
            self._asleep.release()
