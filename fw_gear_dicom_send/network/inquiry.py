"""Asks a DICOM server what it has, over the associations that send."""

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import Protocol, TypeVar

from ..reasons import Kind, Reason
from .association import StorageAssociation
from .contexts import WAYS_OUT, Context
from .errors import AssociationError, QueryError
from .pool import AssociationPool
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .types import ImageReference, Verification

MAX_FAILURES = 3
"""Requests that fail in a row, after which the peer is asked nothing more."""

T = TypeVar("T")


class Inquirer(Protocol):
    """Asks the server about images that it has acknowledged."""

    @property
    def given_up(self) -> Reason | None:
        """Why the server is asked nothing more, None while it is."""

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return which of them the server has."""


@dataclass
class Findings:
    """What is known so far of the images that were asked for."""

    verified: set[str] = field(default_factory=set)
    absent: set[str] = field(default_factory=set)
    unknown: dict[str, Reason] = field(default_factory=dict)

    def note_rest(self, images: Iterable[ImageReference], reason: Reason) -> None:
        """Note why those images are unknown of which nothing is known yet."""
        known = self.verified | self.absent | self.unknown.keys()
        uids = (image.sop_instance_uid for image in images)
        self.unknown |= {uid: reason for uid in uids if uid not in known}

    def result(self) -> Verification:
        """Return it; an image that is both verified and absent is absent."""
        verified = frozenset(self.verified - self.absent)
        return Verification(verified, frozenset(self.absent), self.unknown)


class InquirySCU:
    """Asks over an association that sends, where the server accepts the service there as well.

    Otherwise it has the pool open one for the service alone, in the place of another. The
    mutable state is whether the server accepts both, how many requests have failed in a row, and
    why the peer is asked nothing more.
    """

    abstract_syntax = ""
    service = ""

    def __init__(
        self,
        pool: AssociationPool,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        rides_along: bool = True,
    ) -> None:
        """Ask over the associations of `pool`, which send images as well if it `rides_along`."""
        self._pool = pool
        self._timeouts = timeouts
        self._lock = Lock()
        self._rides_along = rides_along
        self._failures = 0
        self._given_up: Reason | None = None

    @property
    def given_up(self) -> Reason | None:
        """Why the server is asked nothing more, None while it is."""
        return self._given_up

    def verify(self, images: Collection[ImageReference]) -> Verification:
        """Return which of the images the server has; by any thread.

        A request that fails costs only the images in it. The server is asked nothing more after
        three in a row, or where it does not offer the service.
        """
        findings = Findings()
        if self._given_up:
            findings.note_rest(images, self._given_up)
            return findings.result()
        named = [image for image in images if self._can_name(image)]
        with self._lock:
            for group in self._requests(named):
                if reason := self._given_up or self._failure_of(group, findings):
                    findings.note_rest(group, reason)
        findings.note_rest(images, Reason(Kind.NOT_QUERYABLE))
        return findings.result()

    def _can_name(self, image: ImageReference) -> bool:  # noqa: ARG002
        """Tell whether a request can name an image."""
        return True

    def _requests(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        """Return the images as they go into one request each."""
        raise NotImplementedError

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Ask for images. Raises QueryError or AssociationError where the server does not tell."""
        raise NotImplementedError

    def _failure_of(self, images: Sequence[ImageReference], findings: Findings) -> Reason | None:
        """Ask for images; return why the server did not tell, None where it did."""
        try:
            self._request(images, findings)
        except (QueryError, AssociationError) as exc:
            reason = exc.reason
        else:
            self._failures = 0
            return None
        self._failures += 1
        if reason.kind is Kind.NOT_OFFERED or self._failures >= MAX_FAILURES:
            self._given_up = reason
        return reason

    def _ask(self, ask: Callable[[StorageAssociation, Context], T]) -> T:
        """Call `ask` with an association, and the context of the service in it.

        Raises QueryError where the server does not offer the service or does not tell, and
        AssociationError where the association is lost.
        """
        contexts = [Context(self.abstract_syntax, syntax) for syntax in WAYS_OUT]
        while True:
            with self._pool.association(contexts[0], alone=not self._rides_along) as assoc:
                context = next((one for one in contexts if one in assoc.accepted), None)
                if context:
                    try:
                        return ask(assoc, context)
                    except QueryError as exc:
                        failure = exc
            if context:
                # Raised where the association is lent, it would end it.
                raise failure
            if not self._rides_along:
                raise QueryError(Reason(Kind.NOT_OFFERED, self.service))
            self._rides_along = False
