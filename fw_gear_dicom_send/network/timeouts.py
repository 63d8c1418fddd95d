"""How long to wait for a peer, as one frozen value."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Timeouts:
    """Seconds to wait for each of these, until the association is given up.

    `resolve` is for the host's name, `connect` for each address of the host, `write` for a
    peer to read any of what is written, `acknowledge` for its system to take data in.
    `response` begins once the request has reached the peer; `find` is for each response to a
    C-FIND request, `action` for that to an N-ACTION request, and `commitment` for the
    N-EVENT-REPORT on the same association; `late_commitment` is for one on another association.
    `abort` is for an abort to be written before the connection is cut. `tick` is how often to look
    whether the connection is still there. `limit` is after how long to request one more
    association than the peer gave.
    """

    resolve: float = 30.0
    connect: float = 15.0
    associate: float = 30.0
    write: float = 60.0
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
    limit: float = 60.0


DEFAULT_TIMEOUTS = Timeouts()
