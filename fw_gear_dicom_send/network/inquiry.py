"""Verifies which images a DICOM server has, over the associations that send."""

import logging
from collections.abc import Callable
from typing import TypeVar

from ..delivery.inquiry import GroupInquirer
from ..delivery.sender import QueryError
from ..reasons import Kind, Reason
from .association import StorageAssociation
from .contexts import FALLBACK_SYNTAXES, Context
from .errors import AssociationError
from .pool import AssociationPool
from .timeouts import DEFAULT_TIMEOUTS, Timeouts

log = logging.getLogger(__name__)

T = TypeVar("T")


class InquirySCU(GroupInquirer):
    """SCU of a query service that shares the associations for images if the server allows it.

    Otherwise the pool opens an association for the service alone, in place of another one. An
    `optional` service does without: if the server refused this association, the pool would give
    the server up. The mutable state is whether associations are shared, besides that of its base.
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
        super().__init__()
        self._pool = pool
        self._optional = optional
        self._timeouts = timeouts
        self._shares_associations = shares_associations

    @property
    def contexts(self) -> tuple[Context, ...]:
        """The presentation contexts of the service."""
        return tuple(Context(self.abstract_syntax, syntax) for syntax in FALLBACK_SYNTAXES)

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

    def _probe(self, assoc: StorageAssociation, context: Context) -> None:
        """Send a harmless request, if there is one. Raises QueryError or AssociationError."""

    def _context_of(self, assoc: StorageAssociation) -> Context | None:
        return next((one for one in self.contexts if one in assoc.accepted), None)

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
