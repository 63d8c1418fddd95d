"""Checks that the server accepts associations, before anything is downloaded."""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING

from ..dicom.uids import PATIENT_ROOT_FIND, STORAGE_COMMITMENT, STUDY_ROOT_FIND, VERIFICATION
from ..errors import ServerError
from ..reasons import Kind
from ..retry import RetryPolicy, retry
from .association import StorageAssociation
from .context_limit import open_with_fitting_contexts
from .contexts import ECHO, FALLBACK_SYNTAXES, MAX_CONTEXTS, Context, describe_result
from .errors import (
    AssociationError,
    NoAnswerError,
    NoConnectionError,
    TLSError,
    TransientRejectionError,
)
from .inquiry import InquirySCU
from .timeouts import DEFAULT_TIMEOUTS, Timeouts
from .transport import Transport
from .types import PeerAE, ServerInfo, ServiceAnswer, UserIdentity

if TYPE_CHECKING:
    from .tls import TLSContext

log = logging.getLogger(__name__)

REJECTION_POLICY = RetryPolicy(max_time=10)
"""Default retries after a transient rejection."""

SERVICES = (STUDY_ROOT_FIND, PATIENT_ROOT_FIND, STORAGE_COMMITMENT)
"""SOP classes besides storage that `dicom-send echo` checks."""

_VERIFICATION = tuple(Context(VERIFICATION, syntax) for syntax in FALLBACK_SYNTAXES)
_ADVICE = {
    NoConnectionError: "check {destination} and {port}, that the server runs, and that no firewall "
    "blocks the connection",
    NoAnswerError: "check that a DICOM server uses {destination} and {port}, and whether it "
    "requires TLS",
    TransientRejectionError: "try again later, or have the server's limit of associations raised",
    AssociationError: "check {called_ae} and {calling_ae}, and that the server knows both",
}
_UNKNOWN_HERE = (
    "the server may end an association at a query because it does not know calling_ae; add it "
    "there (Orthanc: in DicomModalities), name another AE in query_ae and query_port, or turn off "
    "verify and skip_existing"
)
"""Orthanc accepts associations from any AE title, but no queries."""
_NO_SERVICE = (
    "have it enabled for {calling_ae} (Orthanc: in DicomModalities), name another AE in {query_ae} "
    "and {query_port}, or turn off {verify} and {skip_existing}"
)


def check(
    peer: PeerAE,
    tls_context: "TLSContext | None" = None,
    *,
    policy: RetryPolicy = REJECTION_POLICY,
    timeouts: Timeouts = DEFAULT_TIMEOUTS,
    purpose: str = "",
    services: Collection[InquirySCU] = (),
) -> ServerInfo:
    """Open an association, send a C-ECHO if the peer accepts it, and release the association.

    Raises ServerError as `checked` does.
    """
    transport = Transport(tls_context, timeouts)
    assoc, info = checked(peer, transport, policy=policy, purpose=purpose, services=services)
    assoc.release()
    return info


def checked(
    peer: PeerAE,
    transport: Transport,
    *,
    policy: RetryPolicy,
    purpose: str = "",
    services: Collection[InquirySCU] = (),
    images: Sequence[Context] = (),
    sends: bool = False,
) -> tuple[StorageAssociation, ServerInfo]:
    """Open an association, and return it with the properties of the server.

    `images` are contexts for the first images. A C-ECHO is sent if the peer accepts it, unless the
    caller `sends` an image at once and the peer accepts one of the contexts. The TLS session is
    logged. `policy` is for temporary rejections. Errors start with `purpose`. Services that the
    association lacks are retried, each over an association of its own, after its release.

    Raises ServerError, whose message says what to check (PS3.4 annex A, PS3.8 9.3.4).
    """
    with _explained(purpose):
        assoc = _open_with(images, services, peer, transport, policy)
        try:
            status, seconds, session = None, 0.0, assoc.tls
            if session:
                from .tls import log_session

                log_session(session)
            if peer.identity:
                _log_identity(peer.identity, is_confirmed=bool(assoc.confirms_identity))
            context = next((one for one in _VERIFICATION if one in assoc.accepted), None)
            if context and not (sends and assoc.accepted.intersection(images)):
                begun = monotonic()
                status = assoc.send_c_echo(context)
                seconds = monotonic() - begun
            if status:
                log.warning("The server answered the C-ECHO with status 0x%04X", status)
            refused = [service for service in services if service.refusal(assoc)]
        except BaseException:
            assoc.abort()
            raise
        if refused:
            assoc.release()
        for service in refused:
            alone = _open(peer, transport, service.contexts, policy)
            refusal = service.refusal(alone)
            alone.release()
            if refusal:
                is_lost = refusal.kind is Kind.CONNECTION_LOST
                advice = _UNKNOWN_HERE if is_lost else _NO_SERVICE
                raise _refusal(service.service, peer, refusal.text, advice)
        info = ServerInfo(
            assoc.implementation,
            assoc.max_pdu_length,
            session,
            status,
            seconds,
            assoc.confirms_identity,
            assoc.class_uid,
        )
        return assoc, info


def accepted(
    peer: PeerAE, contexts: Sequence[Context], tls_context: "TLSContext | None" = None
) -> frozenset[Context]:
    """Return the presentation contexts that the peer accepts.

    They are proposed in as many associations as needed, one after another. Raises ServerError as
    `check` does.
    """
    found: set[Context] = set()
    rest, limit = contexts, MAX_CONTEXTS

    def prepare(number: int) -> StorageAssociation:
        return StorageAssociation(peer, (*rest[: number - 1], ECHO), Transport(tls_context))

    with _explained():
        while rest:
            assoc, limit = retry(
                REJECTION_POLICY,
                partial(open_with_fitting_contexts, prepare, limit),
                on=TransientRejectionError,
            )
            found |= assoc.accepted
            rest = rest[len(assoc.proposed) - 1 :]
            assoc.release()
    return frozenset(found) - {ECHO}


def services(
    peer: PeerAE, beside: Sequence[Context], tls_context: "TLSContext | None" = None
) -> tuple[ServiceAnswer, ...]:
    """Return whether the peer offers queries and storage commitment.

    They are proposed together with the contexts `beside` for images, and then alone. No query is
    sent. A failed association counts as a refusal.
    """
    asked = {uid: [Context(uid, syntax) for syntax in FALLBACK_SYNTAXES] for uid in SERVICES}
    every = [context for contexts in asked.values() for context in contexts]
    together, _ = _answers(peer, [*beside, *every], tls_context)
    found = []
    for uid, contexts in asked.items():
        if not together.isdisjoint(contexts):
            found.append(ServiceAnswer(uid, is_accepted=True))
            continue
        alone, refusal = _answers(peer, contexts, tls_context)
        found.append(ServiceAnswer(uid, bool(alone), is_alone=bool(alone), refusal=refusal))
    return tuple(found)


def _answers(
    peer: PeerAE, contexts: Sequence[Context], tls_context: "TLSContext | None"
) -> tuple[frozenset[Context], str]:
    """Return the accepted contexts, and in words why the first one was refused."""
    try:
        assoc = _open(peer, Transport(tls_context), contexts, REJECTION_POLICY)
    except AssociationError as exc:
        return frozenset(), str(exc)
    assoc.release()
    first = contexts[0]
    is_accepted = first in assoc.accepted
    words = describe_result(assoc.results.get(first), is_accepted=is_accepted)
    return assoc.accepted, "" if is_accepted else words


def _refusal(service: str, peer: PeerAE, cause: object, advice: str = _NO_SERVICE) -> ServerError:
    """Return the error for a server without a service that the run needs."""
    return ServerError(f"Cannot use {service} at {peer.where}: {cause}", advice)


def _log_identity(identity: UserIdentity, *, is_confirmed: bool) -> None:
    """Log whether the peer confirmed the identity (PS3.7 D.3.3.7.2)."""
    if is_confirmed:
        log.info("The server confirmed the user identity")
    elif identity.wants_response:
        # Some servers check a passcode, but confirm other types only: pynetdicom does.
        log.info("The server did not confirm the user identity; it may have ignored it")


def _open_with(
    images: Sequence[Context],
    services: Collection[InquirySCU],
    peer: PeerAE,
    transport: Transport,
    policy: RetryPolicy,
) -> StorageAssociation:
    """Open an association for images, services and Verification, or else without the images.

    Raises ServerError if the peer accepts one only without the services.
    """
    needed = [one for service in services for one in service.contexts]
    if images:
        try:
            return _open(peer, transport, [*images, *needed, ECHO], policy)
        except AssociationError as exc:
            if not exc.is_unexplained:
                raise
    try:
        return _open(peer, transport, [*_VERIFICATION, *needed], policy)
    except AssociationError as exc:
        if not (services and exc.is_unexplained):
            raise
        _open(peer, transport, _VERIFICATION, policy).release()
        names = " and ".join(service.service for service in services)
        raise _refusal(names, peer, exc) from exc


@contextmanager
def _explained(purpose: str = "") -> Iterator[None]:
    start = f"{purpose}: " if purpose else ""
    try:
        yield
    except TLSError as exc:
        raise ServerError(f"{start}{exc}", exc.advice) from exc
    except AssociationError as exc:
        advice = _ADVICE.get(type(exc), _ADVICE[NoAnswerError])
        raise ServerError(f"{start}{exc}", advice) from exc


def _open(
    peer: PeerAE, transport: Transport, contexts: Sequence[Context], policy: RetryPolicy
) -> StorageAssociation:
    is_logged = policy.max_time <= REJECTION_POLICY.max_time

    def log_once(error: Exception, _: float) -> None:
        nonlocal is_logged
        if not is_logged:
            is_logged = True
            log.warning("%s. Retrying for up to %.0f s", error, policy.max_time)

    def open_one() -> StorageAssociation:
        assoc = StorageAssociation(peer, contexts, transport, policy.clock)
        assoc.open()
        return assoc

    return retry(policy, open_one, on=TransientRejectionError, before_wait=log_once)
