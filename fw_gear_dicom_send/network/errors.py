"""Errors of associations and of the requests over them.

    AssociationError                    the association cannot be opened, or was lost
    ├── TLSError                        the TLS connection failed
    ├── LostAnswerError                 a request reached the peer, but its answer is lost
    ├── NoAssociationError              the run gave the peer up, or has ended
    └── TemporaryError                  a retry may open an association
        ├── NoConnectionError           the connection to the peer failed
        ├── NoHandshakeError            also a TLSError: the peer broke off the handshake
        ├── NoAnswerError               the peer does not answer the association request
        └── TransientRejectionError     the peer temporarily rejects the association

Other packages see them only as a reason, a ServerError or a QueryError.
"""

from ..delivery.sender import RequestError
from ..reasons import Reason
from .tls_errors import HandshakeFailure


class AssociationError(RequestError):
    """The association cannot be opened, or was lost.

    `is_unexplained` means that the peer refused an association without a known cause.
    """

    def __init__(self, reason: Reason, *, is_unexplained: bool = False) -> None:
        """Use the text of the reason as the message."""
        self.is_unexplained = is_unexplained
        super().__init__(reason)


class TLSError(AssociationError):
    """The TLS connection failed, or the peer accepts TLS only.

    `advice` is the recommended action.
    """

    def __init__(self, where: str, failure: HandshakeFailure) -> None:
        """Name the peer, `where`, and the failure."""
        self.advice = failure.advice
        super().__init__(Reason(failure.kind, f"{where}: {failure.cause}"))


class LostAnswerError(AssociationError):
    """A request reached the peer, but its answer is lost. The peer may have carried it out."""


class NoAssociationError(AssociationError):
    """No more associations are opened: the run gave the peer up, or has ended."""


class TemporaryError(AssociationError):
    """The association cannot be opened now, but a retry may succeed."""


class NoConnectionError(TemporaryError):
    """The connection to the peer failed."""


class NoHandshakeError(TLSError, TemporaryError):
    """The peer broke off the TLS handshake without a reason."""


class NoAnswerError(TemporaryError):
    """The peer does not answer the association request correctly."""


class TransientRejectionError(TemporaryError):
    """The peer temporarily rejects the association (PS3.8 9.3.4)."""
