"""Pool of HTTP connections to one server, as many as it allows."""

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from math import inf
from threading import Condition

from ..delivery.blame import given_up
from ..delivery.results import RUN_ENDED
from ..network.errors import AssociationError, TemporaryError
from ..reasons import Reason
from ..retry import Retry, RetryBudget, RetryPolicy
from .errors import ClosedError
from .exchange import HTTPConnection

log = logging.getLogger(__name__)


class ConnectionPool:
    """Pool that lends connections to threads, which open them as they need them.

    The mutable state is every attribute that the constructor does not set from its arguments. The
    lock of `_changed` guards it. `_limit` is the number of connections that the server allows.
    `_opener` is the only connection that is opened during an outage.
    """

    def __init__(
        self,
        make: Callable[[], HTTPConnection],
        number: int,
        budget: RetryBudget,
        policy: RetryPolicy,
        interval: float,
    ) -> None:
        """Prepare a pool of up to `number` connections, which `make` prepares.

        While no connection can be opened, one is tried with the waits of `policy` until `budget`
        is spent. After a refusal, one more connection is allowed every `interval` seconds.
        """
        self._make = make
        self._number = number
        self._budget = budget
        self._policy = policy
        self._clock = policy.clock
        self._interval = interval
        self._changed = Condition()
        self._idle: list[HTTPConnection] = []
        self._lent: list[HTTPConnection] = []
        self._limit = number
        self._limited_at = self._resume_at = -inf
        self._opener: HTTPConnection | None = None
        self._pauses = Retry(policy)
        self._closed_reason: Reason | None = None
        self._is_limit_logged = False
        self._recovered_at = -inf
        self._peak = 0

    @property
    def open_connections(self) -> int:
        """Number of open connections."""
        with self._changed:
            return sum(one.is_open for one in (*self._idle, *self._lent))

    @property
    def peak(self) -> int:
        """Largest number of connections so far."""
        return self._peak

    @property
    def is_limited(self) -> bool:
        """Whether the server allowed fewer connections than were requested."""
        return self._is_limit_logged

    @property
    def recovered_at(self) -> float:
        """Time of the latest first connection after an outage, -inf if there is none."""
        return self._recovered_at

    @property
    def closed_reason(self) -> Reason | None:
        """The reason why there are no more connections, None while there are."""
        return self._closed_reason

    @contextmanager
    def connection(self, opened_after: float = -inf) -> Iterator[HTTPConnection]:
        """Lend a connection that was opened later than a time, on the clock of the policy.

        Wait until the server allows one. If the block raises an exception, the connection is
        closed. Raises ClosedError if the pool lends no more.
        """
        connection = self._taken(opened_after)
        is_intact = False
        try:
            yield connection
            is_intact = True
        finally:
            with self._changed:
                self._lent.remove(connection)
                is_kept = is_intact and connection.is_open and not self._is_over
                if is_kept:
                    self._idle.append(connection)
                self._changed.notify_all()
            if not is_kept:
                connection.close()

    def restrict(self, number: int) -> None:
        """Use at most `number` connections. None may be lent yet."""
        self._number = self._limit = number

    def adopt(self, connection: HTTPConnection) -> None:
        """Lend a connection that is already open."""
        with self._changed:
            self._idle.append(connection)

    def pause(self, seconds: float, why: str) -> None:
        """Let all requests wait, `seconds` if that is not 0, and then use half the connections."""
        with self._changed:
            now = self._clock.now()
            is_new = now >= self._resume_at
            if is_new:
                # Without a time from the server, the waits grow from pause to pause.
                own = self._pauses.wait_time() or 0.0
                self._limit = max(1, min(self._limit, len(self._lent)) // 2)
                self._limited_at = now
                self._resume_at = now + min(max(seconds, own), self._budget.seconds)
                log.log(
                    logging.DEBUG if self._is_limit_logged else logging.WARNING,
                    "The server is busy (%s): continuing in %.1f s with %d of %d connections",
                    why,
                    self._resume_at - now,
                    self._limit,
                    self._number,
                )
                self._is_limit_logged = True

    def note_success(self) -> None:
        """Record that the server was not busy."""
        if self._pauses.tries:
            with self._changed:
                self._pauses = Retry(self._policy)

    def give_up(self, reason: Reason) -> None:
        """Open no more connections."""
        with self._changed:
            self._closed_reason = self._closed_reason or reason
            self._changed.notify_all()

    def wait(self, seconds: float) -> None:
        """Wait, but stop as soon as the run gives up the server."""
        with self._changed:
            self._clock.wait_for(self._changed, lambda: bool(self._closed_reason), seconds)

    def close(self) -> None:
        """Close the idle connections, and open no more."""
        self.give_up(RUN_ENDED)
        with self._changed:
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()

    def abort(self) -> None:
        """Abort the connections and their current requests."""
        self.close()
        with self._changed:
            lent = list(self._lent)
        for connection in lent:
            connection.abort()

    @property
    def _is_over(self) -> bool:
        return self._closed_reason is not None

    def _taken(self, opened_after: float) -> HTTPConnection:
        """Return a usable connection, which counts as lent."""
        while True:
            connection = self._reserved(opened_after)
            try:
                if connection.is_usable or (not connection.is_open and self._opened(connection)):
                    return connection
            except BaseException:
                self._drop(connection)
                raise
            self._drop(connection)

    def _drop(self, connection: HTTPConnection) -> None:
        with self._changed:
            self._lent.remove(connection)
            if self._opener is connection:
                self._opener = None
            self._changed.notify_all()
        connection.close()

    def _reserved(self, opened_after: float) -> HTTPConnection:
        """Wait for a turn; return an idle connection, or one that is not open yet."""
        with self._changed:
            while wait := self._wait_time():
                self._clock.wait_for(self._changed, lambda: not self._wait_time(), wait)
            if self._closed_reason:
                raise ClosedError(self._closed_reason)
            connection = self._idle.pop() if self._idle else self._make()
            self._lent.append(connection)
            self._peak = max(self._peak, len(self._idle) + len(self._lent))
        if connection.is_open and connection.opened_at <= opened_after:
            # After a loss, older connections may be lost too.
            connection.close()
            with self._changed:
                self._lent.remove(connection)
            return self._reserved(opened_after)
        return connection

    def _wait_time(self) -> float:
        """Return the maximum seconds to wait for a change, 0 if it is a thread's turn."""
        now = self._clock.now()
        if self._limit < self._number and now >= self._limited_at + self._interval:
            self._limit, self._limited_at = self._limit + 1, now
        if self._closed_reason:
            return 0.0
        if now < self._resume_at:
            return self._resume_at - now
        has_turn = len(self._lent) < self._limit and not self._opener
        return 0.0 if has_turn else self._interval

    def _opened(self, connection: HTTPConnection) -> bool:
        """Open a connection; return false if others must do. Raises ClosedError in an outage."""
        retry = Retry(self._policy)
        down_since = 0.0
        while True:
            if self._closed_reason:
                raise ClosedError(self._closed_reason)
            try:
                connection.open()
            except AssociationError as exc:
                connection.close()
                if not self._may_retry(connection, exc):
                    return False
                if not (retry.tries or self._closed_reason):
                    down_since = self._clock.now()
                    log.warning(
                        "No connection: %s. Retrying for up to %.0f s", exc, self._budget.seconds
                    )
                self.wait(retry.wait_time() or 0.0)
                continue
            with self._changed:
                if self._opener is connection:
                    self._opener = None
                    self._recovered_at = self._clock.now()
                    log.info("Connected after %.0f s", self._recovered_at - down_since)
                    self._changed.notify_all()
            return True

    def _may_retry(self, connection: HTTPConnection, failure: AssociationError) -> bool:
        """Return whether to retry a failed opening: only if no other connection is open."""
        with self._changed:
            others = [one for one in (*self._idle, *self._lent) if one.is_open]
            if others:
                self._limit, self._limited_at = len(others), self._clock.now()
                log.log(
                    logging.DEBUG if self._is_limit_logged else logging.WARNING,
                    "Continuing with %d of %d connections: %s",
                    self._limit,
                    self._number,
                    failure,
                )
                self._is_limit_logged = True
                return False
            if self._opener not in (None, connection):
                return False
            self._opener = connection
            if not isinstance(failure, TemporaryError):
                self.give_up(failure.reason)
            elif self._budget.is_spent():
                self.give_up(given_up(self._budget, failure.reason))
            return True
