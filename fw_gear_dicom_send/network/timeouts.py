"""Timeouts for a peer."""

from ..values import frozen


@frozen
class Timeouts:
    """Timeouts for a peer, in seconds. When one expires, the association is aborted.

    Attributes:
        resolve: Resolving the host name.
        connect: Connecting to an address of the host; four times that for all of them. Also the
            whole TLS handshake.
        associate: The answer to the association request.
        write: Time without progress while the peer reads the written data.
        min_rate: Minimum average rate at which the peer reads, in bytes per second.
        acknowledge: Acknowledgement of sent data by the peer's TCP stack.
        response: The C-STORE response, after the request has reached the peer.
        echo: The C-ECHO response.
        find: All responses to a C-FIND request.
        action: The N-ACTION response.
        commitment: The N-EVENT-REPORT on the same association.
        late_commitment: The N-EVENT-REPORT on another association.
        release: The answer to a release.
        abort: Writing an abort before the connection is closed.
        tick: Interval between checks of the connection.
        idle: Time without any use of a pool after which the association of a study makes room for
            another study.
        limit: Interval before one more association is requested than the peer allowed.
        proceed: The interim response of an HTTP server before the body of a large request.
    """

    resolve: float = 30.0
    connect: float = 15.0
    associate: float = 30.0
    write: float = 60.0
    min_rate: float = 1000.0
    acknowledge: float = 90.0
    response: float = 300.0
    echo: float = 15.0
    find: float = 60.0
    action: float = 60.0
    commitment: float = 60.0
    late_commitment: float = 300.0
    release: float = 10.0
    abort: float = 2.0
    tick: float = 0.5
    idle: float = 30.0
    limit: float = 60.0
    proceed: float = 0.1


DEFAULT_TIMEOUTS = Timeouts()
