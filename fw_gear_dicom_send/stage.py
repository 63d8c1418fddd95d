"""A step of a pipeline, on a thread of its own."""

import queue
from collections.abc import Iterator
from dataclasses import dataclass
from threading import Event, Thread
from typing import Generic, TypeVar

T = TypeVar("T")

_TICK = 0.2
_LONGEST_GOODBYE = 2.0


@dataclass(frozen=True)
class _Failure:
    error: BaseException


@dataclass(frozen=True)
class _End:
    """No item is left."""


class Stage(Generic[T]):
    """Runs an iterator on a thread of its own, `ahead` items before its consumer.

    What the iterator raises is raised where its items are taken.
    """

    def __init__(self, items: Iterator[T], ahead: int) -> None:
        """Start the thread."""
        self._items = items
        self._queue: queue.Queue[T | _Failure | _End] = queue.Queue(ahead)
        self._is_closed = Event()
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def __iter__(self) -> Iterator[T]:
        """Yield the items as they come, until the last one or until the stage is closed."""
        while not self._is_closed.is_set():
            try:
                item = self._queue.get(timeout=_TICK)
            except queue.Empty:
                continue
            match item:
                case _End():
                    return
                case _Failure():
                    raise item.error
                case _:
                    yield item

    def close(self) -> None:
        """Stop the thread, which drops what it made.

        It ends with the item that it is at; one that takes long is not waited for.
        """
        self._is_closed.set()
        self._thread.join(_LONGEST_GOODBYE)

    def _run(self) -> None:
        last: _Failure | _End = _End()
        try:
            for item in self._items:
                if not self._hand_over(item):
                    break
        except BaseException as error:
            last = _Failure(error)
        self._hand_over(last)

    def _hand_over(self, item: T | _Failure | _End) -> bool:
        while not self._is_closed.is_set():
            try:
                self._queue.put(item, timeout=_TICK)
                return True
            except queue.Full:
                continue
        return False
