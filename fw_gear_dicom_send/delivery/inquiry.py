"""Verifies which images a server has, by requests for groups of images."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from threading import Lock

from ..reasons import Kind, Reason
from ..retry import RetryPolicy, retry
from ..values import field, mutable, replace
from .results import ImageReference, Verification
from .sender import QueryError, RequestError

MAX_FAILURES = 3
"""Failed requests in a row after which no more are sent."""
MAX_TRIES = 3
"""Tries of a query for existing images."""
_TEMPORARY = (Kind.QUERY_FAILED, Kind.CONNECTION_LOST, Kind.WRONG_ANSWER)


@mutable
class Findings:
    """Results so far of the requested images."""

    verified: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    unknown: dict[str, Reason] = field(default_factory=dict)

    def note_rest(self, images: Iterable[ImageReference], reason: Reason) -> None:
        """Record the reason why the remaining images are unknown."""
        known = self.verified | self.absent | self.unknown.keys()
        uids = (image.sop_instance_uid for image in images)
        self.unknown |= {uid: reason for uid in uids if uid not in known}

    def result(self) -> Verification:
        """Return the verification. An image that is both verified and absent is absent."""
        verified = frozenset(self.verified - self.absent)
        return Verification(verified, frozenset(self.absent), self.unknown)


class GroupInquirer:
    """Inquirer that sends one request after another, each for a group of images.

    The mutable state is the number of failed requests in a row, and the reason why no more requests
    are sent. The thread that asks holds `_lock`.
    """

    def __init__(self) -> None:
        """Start without a failure."""
        self._lock = Lock()
        self._failures = 0
        self._given_up: Reason | None = None

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more requests are sent, None while they are."""
        return self._given_up

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return which of the images the server has. Any thread may call this.

        A failed request affects only its own images. After three failures in a row, or if the
        server does not offer the service, no more requests are sent.
        """
        findings = Findings()
        if self._given_up:
            findings.note_rest(images, self._given_up)
            return findings.result()
        named = [image for image in images if self._can_name(image)]
        with self._lock:
            for group in self._groups(named):
                if reason := self._given_up or self._failure_of(group, findings):
                    findings.note_rest(group, reason)
        findings.note_rest(images, Reason(Kind.NOT_QUERYABLE))
        return findings.result()

    def _can_name(self, image: ImageReference) -> bool:  # noqa: ARG002
        """Return whether a request can name an image."""
        return True

    def _groups(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        """Return the images in groups that fail together."""
        raise NotImplementedError

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Send the requests for a group. Raises RequestError on failure."""
        raise NotImplementedError

    def _failure_of(self, images: Sequence[ImageReference], findings: Findings) -> Reason | None:
        """Send the requests for a group; return the reason if one fails, else None."""
        try:
            self._request(images, findings)
        except RequestError as exc:
            self._note_failure(exc.reason)
            return exc.reason
        self._failures = 0
        return None

    def _retried(self, policy: RetryPolicy, query: Callable[[], frozenset[str]]) -> frozenset[str]:
        """Return the result of a query, which is retried twice with the waits of `policy`.

        Raises QueryError if all tries fail, which is one failure.
        """
        if self._given_up:
            raise QueryError(self._given_up)
        try:
            return retry(
                replace(policy, max_tries=MAX_TRIES),
                query,
                on=QueryError,
                is_temporary=lambda exc: exc.reason.kind in _TEMPORARY,
            )
        except QueryError as exc:
            with self._lock:
                self._note_failure(exc.reason)
            raise

    def _note_failure(self, reason: Reason) -> None:
        self._failures += 1
        if reason.kind is Kind.NOT_OFFERED or self._failures >= MAX_FAILURES:
            self._given_up = reason


def by_series(images: Iterable[ImageReference]) -> Iterator[list[ImageReference]]:
    """Yield the images of one series after another."""
    key = attrgetter("series")
    for _, group in groupby(sorted(images, key=key), key=key):
        yield list(group)
