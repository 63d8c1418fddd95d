"""Single tries to send an image, and their results."""

from math import inf
from typing import Protocol

from ..dicom.types import SOPInstance
from ..reasons import Reason
from ..values import frozen
from .results import AlreadyStored, NotSent, Planned, Resending, Sent


@frozen
class History:
    """The earlier tries to send an image, and whether one may have stored it without an answer.

    `is_slow` means that the server did not answer the latest try in time. It gets twice the time
    for the next one, but `answer_timeout` seconds at most. With `is_first`, a busy server put off
    all earlier tries.
    """

    tries: int
    may_be_stored: bool
    is_slow: bool = False
    answer_timeout: float = inf
    is_first: bool = True


@frozen
class Judged:
    """A try that has a result, and when to resend the image after it."""

    result: Sent | Planned | NotSent
    resending: Resending = Resending.NEVER


@frozen
class Busy(Judged):
    """A try that a busy server put off: there is no connection until its pause is over.

    `may_be_stored` means that a gateway gave the answer, and the server may have the image.
    """

    may_be_stored: bool = False


@frozen
class Lost:
    """A try that was lost with its connection after `seconds`.

    `may_be_stored` means that the whole request reached the server.
    """

    reason: Reason
    may_be_stored: bool = False
    seconds: float = 0.0


@frozen
class Closed:
    """A try that got no connection, because the run gave up the server or has ended."""

    reason: Reason


Try = Judged | AlreadyStored | Lost | Closed
"""Result of one try to send an image."""


class Connections(Protocol):
    """Connections to a server. Times are on the clock of the retry policy."""

    @property
    def closed_reason(self) -> Reason | None:
        """The reason why there are no more connections, None while there are."""

    @property
    def recovered_at(self) -> float:
        """Time of the latest first connection after an outage, -inf if there is none."""

    @property
    def peak(self) -> int:
        """Largest number of connections so far."""

    def give_up(self, reason: Reason) -> None:
        """Open no more connections."""

    def wait(self, seconds: float) -> None:
        """Wait, but stop as soon as the run gives up the server."""


class Attempts(Protocol):
    """Single requests over these connections, each opened after a given time."""

    def attempt(self, instance: SOPInstance, history: History, opened_after: float) -> Try:
        """Try to send an image once."""

    def probe(self, instance: SOPInstance, opened_after: float) -> Reason | Closed | None:
        """Ask the server for a sign of life; return the reason if it gives none."""
