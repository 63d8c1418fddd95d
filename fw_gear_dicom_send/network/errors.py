"""Why there is no association, or no answer over one.

    AssociationError                    no association can be had, or it was lost
    ├── TLSError                        there is no TLS
    ├── LostAnswerError                 a request was written, and its answer did not come
    ├── NoAssociationError              the peer was given up, or the run has ended
    └── TemporaryError                  there may be an association later
        ├── NoConnectionError           the peer cannot be connected to
        ├── NoHandshakeError            a TLSError, too: the peer broke the handshake off
        ├── NoAnswerError               the peer does not answer the association request
        └── TransientRejectionError     the peer has no association to give now
    QueryError                          the peer does not tell what it has

None of them leaves the room but as a reason, a ServerError, or QueryError.
"""

from ..reasons import Reason
from .tls_errors import HandshakeFailure


class AssociationError(Exception):
    """No association can be had, or it was lost; the reason says why in one line."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason; its text is the message."""
        self.reason = reason
        super().__init__(reason.text)


class TLSError(AssociationError):
    """There is no TLS where it was asked for, or the peer takes nothing else.

    `advice` is what to do about it.
    """

    def __init__(self, where: str, failure: HandshakeFailure) -> None:
        """Say what is the matter with `where`."""
        self.advice = failure.advice
        super().__init__(Reason(failure.kind, f"{where}: {failure.cause}"))


class LostAnswerError(AssociationError):
    """A request was written, and its answer did not come: the peer may have done what it asks."""


class NoAssociationError(AssociationError):
    """No association can be had any more: the peer was given up, or the run has ended."""


class TemporaryError(AssociationError):
    """There is no association to be had now, but there may be one later."""


class NoConnectionError(TemporaryError):
    """The peer cannot be connected to."""


class NoHandshakeError(TLSError, TemporaryError):
    """The peer broke the TLS handshake off without saying why."""


class NoAnswerError(TemporaryError):
    """The peer does not answer an association request as it should."""


class TransientRejectionError(TemporaryError):
    """The peer has no association to give now, but may have one later (PS3.8 9.3.4)."""


class QueryError(Exception):
    """The peer does not tell what it has; the reason says why in one line."""

    def __init__(self, reason: Reason) -> None:
        """Keep the reason; its text is the message."""
        self.reason = reason
        super().__init__(reason.text)
