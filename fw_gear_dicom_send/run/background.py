"""A step of a pipeline, on threads of its own."""

from collections import deque
from collections.abc import Iterator
from threading import Condition, Lock, Thread
from time import monotonic
from typing import Generic, Self, TypeVar

T = TypeVar("T")

MAX_CLOSE_TIME = 2.0
"""Seconds to wait for threads that are stopped."""


class Background(Generic[T]):
    """Runs iterators, each on a thread of its own, `ahead` items before its consumers.

    Each item goes to one consumer, of which there may be several. What an iterator
    raises ends the stage, and is raised at each consumer.
    """

    def __init__(self, *sources: Iterator[T], ahead: int) -> None:
        """Create the threads; `start` starts them, where the caller can already stop them."""
        self._ahead = ahead
        self._items: deque[T] = deque()
        self._at_work = len(sources)
        self._error: BaseException | None = None
        self._is_closed = False
        lock = Lock()
        self._can_take = Condition(lock)
        self._can_make = Condition(lock)
        self._threads = [Thread(target=self._run, args=(each,), daemon=True) for each in sources]

    def start(self) -> Self:
        """Start the threads."""
        for thread in self._threads:
            thread.start()
        return self

    def __iter__(self) -> Iterator[T]:
        """Yield items as they come, until the last one or until the stage is closed."""
        while True:
            with self._can_take:
                while self._at_work and not (self._items or self._error or self._is_closed):
                    self._can_take.wait()
                if self._is_closed:
                    return
                if not self._items:
                    if self._error:
                        raise self._error
                    return
                item = self._items.popleft()
                self._can_make.notify()
            yield item

    def stop(self) -> None:
        """Let the threads end, each with the item that it is at."""
        with self._can_take:
            self._is_closed = True
            self._can_take.notify_all()
            self._can_make.notify_all()

    def close(self, timeout: float = MAX_CLOSE_TIME) -> list[T]:
        """Stop the threads; return what they made and nobody took.

        An item that takes longer than `timeout`, in seconds, is not waited for.
        """
        self.stop()
        deadline = monotonic() + timeout
        for thread in self._threads:
            if thread.ident:  # it was started
                thread.join(max(0.0, deadline - monotonic()))
        with self._can_take:
            left = list(self._items)
            self._items.clear()
        return left

    def _run(self, source: Iterator[T]) -> None:
        error = None
        try:
            while not self._is_closed and (item := next(source, None)) is not None:
                if not self._hand_over(item):
                    break
        except BaseException as exc:
            error = exc
        with self._can_take:
            self._at_work -= 1
            self._error = self._error or error
            self._can_take.notify_all()
            self._can_make.notify_all()

    def _hand_over(self, item: T) -> bool:
        with self._can_make:
            while len(self._items) >= self._ahead and not (self._is_closed or self._error):
                self._can_make.wait()
            self._items.append(item)
            self._can_take.notify()
            return not (self._is_closed or self._error)
