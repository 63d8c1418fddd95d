"""Asks a DICOM server what it has, over an association of its own."""

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from ssl import SSLContext
from threading import Lock
from typing import Protocol

from ..reasons import Kind, Reason
from ..retry import RetryPolicy, retry
from .association import StorageAssociation
from .contexts import WAYS_OUT, Context
from .errors import AssociationError, QueryError, TransientRejectionError
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .types import ImageReference, PeerAE, Verification

MAX_FAILURES = 3
"""Requests that fail in a row, after which the peer is asked nothing more."""
OPEN_POLICY = RetryPolicy(max_tries=5, max_wait=60)
"""The waits before a query association is requested again from a peer at its limit."""

MakeRoom = Callable[[str], None]
Place = Callable[[], AbstractContextManager[MakeRoom]]
"""Makes room for an association, and gives what makes more when the peer refuses it."""


def _alone() -> AbstractContextManager[MakeRoom]:
    """There is room, as there are no other associations."""
    return nullcontext(lambda _: None)


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
    """Opens an association of its own when it asks, and releases it then.

    A server may give only a few, and the images need them: it asks in the place of one of those.
    The mutable state is the association while it asks, how many requests have failed in a row,
    and why the peer is asked nothing more.
    """

    abstract_syntax = ""
    service = ""

    def __init__(
        self,
        peer: PeerAE,
        ssl_context: SSLContext | None = None,
        place: Place = _alone,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        policy: RetryPolicy = OPEN_POLICY,
    ) -> None:
        """Ask `peer`, over TLS where there is a context for it; `place` makes room meanwhile."""
        self._timeouts = timeouts
        self._policy = policy
        self._peer = peer
        self._ssl_context = ssl_context
        self._place = place
        self._make_room: MakeRoom
        self._assoc: StorageAssociation | None = None
        self._lock = Lock()
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
        with self._asking():
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

    @contextmanager
    def _asking(self) -> Iterator[None]:
        """Have the block ask; by one thread at a time."""
        with self._lock, self._place() as self._make_room:
            try:
                yield
            except AssociationError as exc:
                raise QueryError(exc.reason) from exc
            finally:
                if self._assoc:
                    self._assoc.release()
                    self._assoc = None

    def _opened(self) -> tuple[StorageAssociation, Context]:
        """Return an association, and the context that it accepts. Raises QueryError."""
        contexts = tuple(Context(self.abstract_syntax, syntax) for syntax in WAYS_OUT)
        if self._assoc and not self._assoc.is_usable:
            self._assoc.abort()
            self._assoc = None
        if not self._assoc:
            self._assoc = self._open(contexts)
        context = next((one for one in contexts if one in self._assoc.accepted), None)
        if not context:
            raise QueryError(Reason(Kind.NOT_OFFERED, self.service))
        return self._assoc, context

    def _open(self, contexts: Sequence[Context]) -> StorageAssociation:
        """Open an association, if need be in the place of others that the server has to forget."""

        def open_one() -> StorageAssociation:
            assoc = StorageAssociation(self._peer, contexts, self._ssl_context, self._timeouts)
            assoc.open()
            return assoc

        return retry(
            self._policy,
            open_one,
            on=TransientRejectionError,
            before_wait=lambda error, _: self._make_room(str(error)),
        )
