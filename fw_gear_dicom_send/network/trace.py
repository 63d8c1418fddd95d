"""Debug log of an association: the negotiation, and the end.

Log lines are only composed if the log level is DEBUG.
"""

import logging
from collections.abc import Sequence
from itertools import count
from typing import TYPE_CHECKING

from ..dicom.uids import known_name_of
from ..text import day
from .contexts import Context, describe_result
from .pdus import MAX_RECEIVED_PDU
from .protocol import Accepted, Rejected
from .tls_errors import describe
from .types import PeerAE

if TYPE_CHECKING:
    from ssl import SSLSocket

_RESULTS = {1: "permanent", 2: "transient"}
_SOURCES = {1: "service user", 2: "service provider, ACSE", 3: "service provider, presentation"}

log = logging.getLogger(__name__)


class Trace:
    """Debug log of one association. The mutable state is whether its end was logged."""

    _numbers = count(1)

    def __init__(self) -> None:
        """Number the associations of the process."""
        self.number = next(self._numbers)
        self._is_over = False

    @property
    def is_on(self) -> bool:
        """Whether the log level is DEBUG."""
        return log.isEnabledFor(logging.DEBUG)

    def requested(self, peer: PeerAE, contexts: Sequence[Context], tls: "SSLSocket | None") -> None:
        """Log the TLS session, if any, and the request for an association."""
        if not self.is_on:
            return
        if tls:
            session = describe(tls)
            self._log(
                f"{session.version} with {session.cipher}; server certificate: "
                f"{session.subject}, issued by {session.issuer}, valid until {day(session.expires)}"
            )
        identity = f", user identity of type {peer.identity.kind}" if peer.identity else ""
        self._log(
            f"requested by {peer.calling_ae} from {peer.called_ae} at {peer.host} port "
            f"{peer.port}; {len(contexts)} presentation contexts{identity}; maximum PDU length "
            f"to receive: {MAX_RECEIVED_PDU} bytes"
        )

    def accepted(self, answer: Accepted, proposed: Sequence[Context], max_pdu: int) -> None:
        """Log the peer's answer, with the result of each context."""
        if not self.is_on:
            return
        limit = f"{answer.max_pdu} bytes" if answer.max_pdu else "unlimited"
        self._log(
            f"accepted with {len(answer.contexts)} of {len(proposed)} presentation contexts; "
            f"implementation {answer.implementation}, class UID {answer.class_uid}; maximum PDU "
            f"length of the server: {limit}, used: {max_pdu} bytes"
        )
        for context in proposed:
            # An import may fail if the limit of open files is reached.
            sop_class = known_name_of(context.abstract_syntax)
            syntax = known_name_of(context.transfer_syntax)
            is_accepted = context in answer.contexts.values()
            result = describe_result(answer.results.get(context), is_accepted=is_accepted)
            self._log(f"{sop_class} in {syntax}: {result}")

    def rejected(self, answer: Rejected, cause: str) -> None:
        """Log a rejection, with its codes (PS3.8 9.3.4)."""
        if self.is_on:
            result, source = _RESULTS[answer.result], _SOURCES[answer.source]
            self._log(
                f"rejected: result {answer.result} ({result}), source {answer.source} ({source}), "
                f"reason {answer.reason} ({cause})"
            )

    def failed(self, why: str) -> None:
        """Log why the association could not be opened, or was lost."""
        if self.is_on:
            self._log(f"failed: {why}")

    def ended(self, how: str) -> None:
        """Log how the association ended, once."""
        if self.is_on and how and not self._is_over:
            self._is_over = True
            self._log(how)

    def _log(self, text: str) -> None:
        log.debug("Association %d: %s", self.number, text)
