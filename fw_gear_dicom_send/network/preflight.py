"""Finds out in seconds whether a server can be sent to, before anything is downloaded."""

import logging
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from ssl import SSLContext
from time import monotonic

import backoff
from backoff.types import Details
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian
from pynetdicom.sop_class import Verification  # type: ignore[attr-defined]

from ..errors import ServerError
from .association import (
    AssociationError,
    NoAnswerError,
    NoConnectionError,
    StorageAssociation,
    TLSError,
    TransientRejectionError,
)
from .contexts import MOST_CONTEXTS, Context
from .types import Greeting, PeerAE

log = logging.getLogger(__name__)

REJECTION_PATIENCE = 10.0
"""Seconds for which a transient rejection is answered by asking again, unless others are said."""

_LONGEST_WAIT = 15.0

_VERIFICATION = tuple(
    Context(str(Verification), str(syntax))
    for syntax in (ExplicitVRLittleEndian, ImplicitVRLittleEndian)
)
_ADVICE = {
    NoConnectionError: "check destination and port, that the server runs, and that no firewall is "
    "in between",
    NoAnswerError: "check that destination and port are those of a DICOM server, and whether it "
    "takes TLS only",
    TransientRejectionError: "try again later, or have its limit of associations raised",
    AssociationError: "check called_ae and calling_ae, and that the server knows both",
}


def check(
    peer: PeerAE, ssl_context: SSLContext | None = None, *, patience: float = REJECTION_PATIENCE
) -> Greeting:
    """Open an association, verify it by C-ECHO where the peer takes that, and release it.

    A peer that rejects it for the time being is asked again for `patience` seconds. What was
    negotiated for TLS is logged.

    Raises ServerError, whose message says what to check (PS3.4 annex A, PS3.8 9.3.4).
    """
    with _explained():
        assoc = _open(peer, ssl_context, _VERIFICATION, patience)
        try:
            status, seconds, session = None, 0.0, assoc.tls
            if session:
                log.info(
                    "%s with %s; the server's certificate is that of %s, issued by %s",
                    session.version,
                    session.cipher,
                    session.subject,
                    session.issuer,
                )
            context = next((one for one in _VERIFICATION if one in assoc.accepted), None)
            if context:
                begun = monotonic()
                status = assoc.send_c_echo(context)
                seconds = monotonic() - begun
            if status:
                log.warning("The server answers a C-ECHO with status 0x%04X", status)
            assoc.release()
        finally:
            assoc.abort()
        return Greeting(assoc.implementation, assoc.longest_pdu, session, status, seconds)


def accepted(
    peer: PeerAE, contexts: Sequence[Context], ssl_context: SSLContext | None = None
) -> frozenset[Context]:
    """Propose presentation contexts, in as many associations as that takes, one after the other.

    Returns those that the peer accepts; raises ServerError as `check` does.
    """
    found: set[Context] = set()
    with _explained():
        for start in range(0, len(contexts), MOST_CONTEXTS):
            proposed = contexts[start : start + MOST_CONTEXTS]
            assoc = _open(peer, ssl_context, proposed, REJECTION_PATIENCE)
            found |= assoc.accepted
            assoc.release()
    return frozenset(found)


@contextmanager
def _explained() -> Iterator[None]:
    try:
        yield
    except TLSError as exc:
        raise ServerError(f"{exc}: {exc.advice}") from exc
    except AssociationError as exc:
        raise ServerError(f"{exc}: {_ADVICE.get(type(exc), _ADVICE[NoAnswerError])}") from exc


def _open(
    peer: PeerAE, ssl_context: SSLContext | None, contexts: Sequence[Context], patience: float
) -> StorageAssociation:
    def tell(details: Details) -> None:
        if details["tries"] == 1 and patience > REJECTION_PATIENCE:
            log.warning("%s: it is asked again for up to %.0f s", sys.exception(), patience)

    @backoff.on_exception(
        backoff.expo,
        TransientRejectionError,
        max_value=_LONGEST_WAIT,
        max_time=patience,
        on_backoff=tell,
        logger=None,
    )
    def open_one() -> StorageAssociation:
        assoc = StorageAssociation(peer, contexts, ssl_context)
        assoc.open()
        return assoc

    return open_one()
