"""What `debug` tells of an association: what was negotiated, and how it ended.

Nothing is made up for a log that nobody asked for: each line is composed where `is_on`.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from itertools import count
from ssl import SSLSocket

from ..dicom.uids import known_name_of
from .contexts import Context, describe_result
from .protocol import MAX_RECEIVED_PDU, Accepted, Rejected
from .tls_errors import describe
from .types import PeerAE

_RESULTS = {1: "permanent", 2: "transient"}
_SOURCES = {1: "service user", 2: "service provider, ACSE", 3: "service provider, presentation"}

log = logging.getLogger(__name__)


class Trace:
    """Logs what becomes of one association; the mutable state is whether its end was logged."""

    _numbers = count(1)

    def __init__(self) -> None:
        """Number the associations of the process."""
        self.number = next(self._numbers)
        self._is_over = False

    @property
    def is_on(self) -> bool:
        """Whether anybody reads it."""
        return log.isEnabledFor(logging.DEBUG)

    def requested(self, peer: PeerAE, contexts: Sequence[Context], tls: SSLSocket | None) -> None:
        """Log that an association is about to be requested, over TLS or not."""
        if not self.is_on:
            return
        if tls:
            # What no other line needs may be odd: a certificate of any kind can be accepted.
            with suppress(ValueError, ImportError, OSError):
                session = describe(tls)
                self._tell(
                    f"{session.version} with {session.cipher}; the server's certificate is that "
                    f"of {session.subject}, issued by {session.issuer}, "
                    f"valid until {session.expires:%Y-%m-%d}"
                )
        identity = f", user identity of type {peer.identity.kind}" if peer.identity else ""
        self._tell(
            f"{peer.calling_ae} requests it of {peer.called_ae} at {peer.host} port {peer.port}; "
            f"{len(contexts)} presentation contexts{identity}; PDUs to this side of at most "
            f"{MAX_RECEIVED_PDU} bytes"
        )

    def accepted(self, answer: Accepted, proposed: Sequence[Context], max_pdu: int) -> None:
        """Log what the peer says, and of each context why it rejects it, if it does."""
        if not self.is_on:
            return
        limit = f"{answer.max_pdu} bytes" if answer.max_pdu else "any length"
        self._tell(
            f"the server accepts it: {len(answer.contexts)} of {len(proposed)} presentation "
            f"contexts; implementation {answer.implementation}, class UID {answer.class_uid}; "
            f"it takes PDUs of {limit}, and gets {max_pdu} bytes"
        )
        for context in proposed:
            # An import may fail, where there are as many open files as there may be.
            sop_class = known_name_of(context.abstract_syntax)
            syntax = known_name_of(context.transfer_syntax)
            is_accepted = context in answer.contexts.values()
            result = describe_result(answer.results.get(context), is_accepted=is_accepted)
            self._tell(f"{sop_class} in {syntax}: {result}")

    def rejected(self, answer: Rejected, cause: str) -> None:
        """Log a rejection, with its codes (PS3.8 9.3.4)."""
        if self.is_on:
            result, source = _RESULTS[answer.result], _SOURCES[answer.source]
            self._tell(
                f"the server rejects it: result {answer.result} ({result}), source "
                f"{answer.source} ({source}), reason {answer.reason} ({cause})"
            )

    def failed(self, why: str) -> None:
        """Log why the association cannot be opened, or cannot be used any more."""
        if self.is_on:
            self._tell(f"it fails: {why}")

    def ended(self, how: str) -> None:
        """Log how the association ended, and who ended it; the first time it does."""
        if self.is_on and how and not self._is_over:
            self._is_over = True
            self._tell(how)

    def _tell(self, text: str) -> None:
        log.debug("Association %d: %s", self.number, text)
