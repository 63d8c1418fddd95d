"""How long to wait for a peer, as one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for each of these, until the association is given up.

    `connect` is for each address of the host, `write` for a peer to read any of what is written.
    `response` begins once the request has reached the peer; `find` is for each response to a
    C-FIND request, `action` for that to an N-ACTION request, and `commitment` for the
    N-EVENT-REPORT on the same association. `abort` is for an abort to be written before the
    connection is cut. `tick` is how often to look whether the connection is still there.
    """

    connect: float = 15.0
    associate: float = 30.0
    write: float = 60.0
    response: float = 120.0
    echo: float = 15.0
    find: float = 60.0
    action: float = 60.0
    commitment: float = 60.0
    release: float = 10.0
    abort: float = 2.0
    tick: float = 0.5


DEFAULT_TIMEOUTS = Timeouts()
