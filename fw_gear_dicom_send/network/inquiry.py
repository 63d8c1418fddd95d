"""Verifies which images a DICOM server has, over the associations that send."""

import logging
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from threading import Lock
from typing import TypeVar

from ..delivery.results import ImageReference, Verification
from ..delivery.sender import QueryError
from ..reasons import Kind, Reason
from .association import StorageAssociation
from .contexts import FALLBACK_SYNTAXES, Context
from .errors import AssociationError
from .pool import AssociationPool
from .timeouts import DEFAULT_TIMEOUTS, Timeouts

log = logging.getLogger(__name__)

MAX_FAILURES = 3
"""Failed requests in a row after which no more are sent."""

T = TypeVar("T")


@dataclass
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


class InquirySCU:
    """SCU of a query service that shares the associations for images if the server allows it.

    Otherwise the pool opens an association for the service alone, in place of another one. An
    `optional` service does without: if the server refused this association, the pool would give
    the server up. The mutable state is whether associations are shared, the number of failed
    requests in a row, and the reason why no more requests are sent.
    """

    abstract_syntax = ""
    service = ""

    def __init__(
        self,
        pool: AssociationPool,
        *,
        timeouts: Timeouts = DEFAULT_TIMEOUTS,
        shares_associations: bool = True,
        optional: bool = False,
    ) -> None:
        """Use the associations of `pool`, which also send images with `shares_associations`."""
        self._pool = pool
        self._optional = optional
        self._timeouts = timeouts
        self._lock = Lock()
        self._shares_associations = shares_associations
        self._failures = 0
        self._given_up: Reason | None = None

    @property
    def contexts(self) -> tuple[Context, ...]:
        """The presentation contexts of the service."""
        return tuple(Context(self.abstract_syntax, syntax) for syntax in FALLBACK_SYNTAXES)

    @property
    def given_up(self) -> Reason | None:
        """The reason why no more requests are sent, None while they are."""
        return self._given_up

    def refusal(self, assoc: StorageAssociation) -> Reason | None:
        """Return why an association does not have the service, None if it has it.

        A query that fails otherwise is only logged: queries for images may succeed.
        """
        context = self._context_of(assoc)
        if context is None:
            return Reason(Kind.NOT_OFFERED, self.service)
        try:
            self._probe(assoc, context)
        except AssociationError as exc:
            return exc.reason
        except QueryError as exc:
            if exc.reason.kind is Kind.NOT_OFFERED:
                return exc.reason
            log.warning("The server may not answer queries: %s", exc)
        return None

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
            for group in self._requests(named):
                if reason := self._given_up or self._failure_of(group, findings):
                    findings.note_rest(group, reason)
        findings.note_rest(images, Reason(Kind.NOT_QUERYABLE))
        return findings.result()

    def _probe(self, assoc: StorageAssociation, context: Context) -> None:
        """Send a harmless request, if there is one. Raises QueryError or AssociationError."""

    def _context_of(self, assoc: StorageAssociation) -> Context | None:
        return next((one for one in self.contexts if one in assoc.accepted), None)

    def _can_name(self, image: ImageReference) -> bool:  # noqa: ARG002
        """Return whether a request can name an image."""
        return True

    def _requests(self, images: Sequence[ImageReference]) -> Iterable[Sequence[ImageReference]]:
        """Return the images in groups, one for each request."""
        raise NotImplementedError

    def _request(self, images: Sequence[ImageReference], findings: Findings) -> None:
        """Send a request for images. Raises QueryError or AssociationError on failure."""
        raise NotImplementedError

    def _failure_of(self, images: Sequence[ImageReference], findings: Findings) -> Reason | None:
        """Send a request for images; return the reason if it fails, else None."""
        try:
            self._request(images, findings)
        except (QueryError, AssociationError) as exc:
            self._note_failure(exc.reason)
            return exc.reason
        self._failures = 0
        return None

    def _note_failure(self, reason: Reason) -> None:
        self._failures += 1
        if reason.kind is Kind.NOT_OFFERED or self._failures >= MAX_FAILURES:
            self._given_up = reason

    def _ask(self, ask: Callable[[StorageAssociation, Context], T]) -> T:
        """Call `ask` with an association and its context for the service.

        Raises QueryError if the server does not offer the service or the query fails, and
        AssociationError if the association is lost.
        """
        wanted = self.contexts[0]
        while True:
            with self._pool.association(wanted, alone=not self._shares_associations) as assoc:
                context = self._context_of(assoc)
                if context:
                    try:
                        return ask(assoc, context)
                    except QueryError as exc:
                        failure = exc
            if context:
                # Raised inside the block, the error would abort the association.
                raise failure
            if self._optional or not self._shares_associations:
                raise QueryError(Reason(Kind.NOT_OFFERED, self.service))
            self._shares_associations = False
