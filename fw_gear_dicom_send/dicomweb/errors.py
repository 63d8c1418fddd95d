"""Errors of HTTP connections and of the requests over them.

    RequestError
    ├── LostError      the connection was lost, or the server gave no valid response in time
    └── ClosedError    no more connections are opened: the run gave the server up, or has ended

A connection that cannot be opened raises the errors of `network.errors`.
"""

from ..delivery.sender import RequestError
from ..reasons import Reason


class LostError(RequestError):
    """The connection was lost, or the server gave no valid response in time.

    If the request `is_whole`, all of it reached the server, which may have carried it out. If the
    connection `was_idle`, the server closed it before the request, as it may.
    """

    def __init__(self, reason: Reason, *, is_whole: bool = False, was_idle: bool = False) -> None:
        """Say what the server may have done."""
        self.is_whole = is_whole
        self.was_idle = was_idle
        super().__init__(reason)


class ClosedError(RequestError):
    """No more connections are opened."""
