"""Protocol of a sender: what a run needs from any server."""

from collections.abc import Collection, Iterable, Mapping
from contextlib import AbstractContextManager
from enum import StrEnum
from math import inf
from typing import Protocol

from ..dicom.types import SOPInstance
from ..reasons import Reason
from ..sections import Section
from ..values import field, frozen, replace
from .results import ImageReference, StoreResult, Suspect, Verification

_MAX_THREADS = 64
_ASSURED, _MAX_AUTO = 4, 16


class RequestError(Exception):
    """A request has no result. The text of the reason is one line."""

    def __init__(self, reason: Reason) -> None:
        """Use the text of the reason as the message."""
        self.reason = reason
        super().__init__(reason.text)


class QueryError(RequestError):
    """The server does not answer a query."""


ServerKey = tuple[str, str, str]
"""Identity of a server in per-image reports: the cells of Host, Port and Called AE."""


Facts = Mapping[str, str | int | bool]
"""Names and values for programs."""


@frozen
class ServerName:
    """Names of a server.

    `label` names it to people, and `security` says how the connection is secured. `request` is the
    request that sends an image, and `proofs` has the service for each value of the option `verify`.
    `details` are further names and values for the page. `facts` are the names for programs.
    """

    key: ServerKey
    label: str
    security: str
    request: str
    proofs: Mapping[str, str] = field(default_factory=dict)
    details: tuple[tuple[str, str], ...] = ()
    facts: Facts = field(default_factory=dict)


@frozen
class SenderFacts:
    """Facts about a sender at one time.

    `connections` is the number of open connections, and `noun` what the protocol calls one.
    `max_rate` is the limit of all connections together, in bytes per second, 0 for none.
    `retries` is the number of resent images. `losses` is the number of connections that were lost
    with an image, and `lost_at` the times of the latest losses, on the clock of the retry policy.
    `given_up` is the reason why the run gave up the server, None if it did not. `is_away` means
    that the run waits for the server, which accepts no connection or no image. `peak` is the
    largest number of connections so far, and `is_refused` means that the server allows no more.
    """

    connections: int = 0
    noun: str = "connection"
    max_rate: float = 0.0
    retries: int = 0
    losses: int = 0
    lost_at: tuple[float, ...] = ()
    given_up: Reason | None = None
    is_away: bool = False
    peak: int = 0
    is_refused: bool = False


class Inquirer(Protocol):
    """Finds out which images a server has. Any thread may use it."""

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more requests are sent, None while they are."""

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return which of the images the server has."""


class Finder(Inquirer, Protocol):
    """Inquirer that can list the images of a series."""

    def present(self, study_instance_uid: str, series_instance_uid: str) -> frozenset[str]:
        """Return the SOP Instance UIDs that the server has of a series.

        Raises QueryError if the server does not answer.
        """


class Health(Protocol):
    """State of the server, as far as its answers show it. Any thread may read it."""

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more images are sent, None while images may be sent."""

    @property
    def is_at_fault(self) -> bool:
        """Whether the server currently accepts no images."""

    @property
    def accepted_at(self) -> float:
        """Time of the latest accepted image, -inf if there is none."""

    def now(self) -> float:
        """Return the time on the policy's clock."""

    def blame(self) -> None:
        """Treat the server as at fault until it accepts an image."""

    def wait_until(self, moment: float) -> None:
        """Wait until `moment` on the policy's clock, or until the run gives up the server."""


class Why(StrEnum):
    """The reason for the number of parallel connections in a run."""

    FIXED = "fixed"
    BY_STUDY = "by-study"
    SHORT = "short"
    NEAR = "near"
    MOST = "most"
    NO_GAIN = "no-gain"
    TROUBLE = "trouble"
    REFUSED = "refused"
    SHARED = "shared"

    @property
    def text(self) -> str:
        """The reason for people."""
        return _WHY[self]


_WHY = {
    Why.FIXED: "up to the configured number",
    Why.BY_STUDY: "the number for whole studies",
    Why.SHORT: "the run ended before more were tried",
    Why.NEAR: "the server is near",
    Why.MOST: "the maximum, as each increase raised the rate",
    Why.NO_GAIN: "more did not raise the rate enough",
    Why.TROUBLE: "with more, images were lost or put off",
    Why.SHARED: "images share requests, so more connections do not help",
    Why.REFUSED: "the server allowed no more",
}


@frozen
class Parallel:
    """Numbers of parallel connections: `assured` ones, and up to `most` if they help.

    `why` is the reason for the number as long as nothing is known about the server.
    """

    assured: int
    most: int
    why: Why = Why.FIXED

    @classmethod
    def of(cls, number: int, *, by_study: bool = False) -> "Parallel":
        """Return the numbers for the option `associations`, which is 0 if they are automatic."""
        if number:
            return cls(number, number)
        if by_study:
            return cls(_ASSURED, _ASSURED, Why.BY_STUDY)
        return cls(_ASSURED, _MAX_AUTO, Why.SHORT)

    @property
    def is_fixed(self) -> bool:
        """Whether there is nothing to try."""
        return self.assured == self.most

    def threads(self, images_per_request: int) -> "Parallel":
        """Return the numbers of threads: one for each image in a request, but at most 64."""
        assured, most = (
            min(number * images_per_request, _MAX_THREADS) for number in (self.assured, self.most)
        )
        is_shared = assured == most and not self.is_fixed
        return replace(self, assured=assured, most=most, why=Why.SHARED if is_shared else self.why)


class Sender(Protocol):
    """Sends images to one server."""

    @property
    def health(self) -> Health:
        """The state of the server."""

    @property
    def images_per_request(self) -> int:
        """Maximum number of images that share a request, as the check decides."""
        return 1

    def check(self, first: tuple[str, str] | None = None) -> None:
        """Check that the server accepts connections.

        `first` is the SOP class and transfer syntax of an image that is likely to be sent at once.
        Raises ServerError, whose message says what to check.
        """

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> StoreResult | Suspect:
        """Send one image. Several threads may call this at the same time.

        `earlier` is the result of an earlier call for the same image. The caller may resend a
        Suspect. The caller closes the dataset.
        """

    def study(
        self, study_instance_uid: str, encodings: Iterable[tuple[str, str]]
    ) -> AbstractContextManager[None]:
        """Send the images of a study over a connection of its own while the block runs.

        `encodings` are the pairs of SOP class and transfer syntax of its images. The UID is empty
        for images that name no study; they share the other connections.
        """

    def inquirer(self, method: str) -> Inquirer:
        """Return an inquirer for a value of the option `verify`."""

    def finder(self, timeout: float = inf) -> Finder:
        """Return an inquirer that can list the images of a series.

        It waits for an answer for `timeout` seconds at most. With a timeout, the service is
        optional: if the server refuses it, the run goes on.
        """

    def facts(self) -> SenderFacts:
        """Return the current facts. Progress asks for them several times a second."""

    def sections(self) -> tuple[Section, ...]:
        """Return sections about the connections, for the page."""

    def trim(self, number: int) -> None:
        """Release connections beyond `number` as they get idle."""

    def finish(self) -> None:
        """Let current requests finish, and start no more."""

    def close(self) -> None:
        """Release the connections."""

    def abort(self) -> None:
        """Abort the connections and their current requests."""
