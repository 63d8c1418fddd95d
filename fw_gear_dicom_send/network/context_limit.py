"""Finds out how many presentation contexts a peer takes in one association.

Some peers reject, abort or ignore a request with more, and some accept only the first ones. GE
servers take 60 (DOC0500644).
"""

from collections.abc import Callable

from .association import StorageAssociation
from .contexts import ECHO, MAX_CONTEXTS
from .errors import AssociationError

FEWER_CONTEXTS = (60, 30)
"""Numbers of contexts to try after a refusal."""


def open_with_fitting_contexts(
    prepare: Callable[[int], StorageAssociation], limit: int = MAX_CONTEXTS
) -> tuple[StorageAssociation, int]:
    """Open an association that `prepare` makes with up to `limit` contexts.

    Returns it, and the number of contexts that the peer takes as far as known. Fewer are tried
    after a refusal that may be due to their number, and if the peer does not accept `ECHO`, which
    is the last one. Raises AssociationError as `open` does.
    """
    while True:
        assoc = prepare(limit)
        proposed = assoc.proposed
        fewer = next((number for number in FEWER_CONTEXTS if number < len(proposed)), 0)
        try:
            assoc.open()
        except AssociationError as exc:
            if not (fewer and exc.is_unexplained):
                raise
        else:
            if not fewer or ECHO in assoc.accepted:
                return assoc, limit
            assoc.release()
        limit = fewer
