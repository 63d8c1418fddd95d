"""Any number of presentation contexts can be proposed to a server."""

import pytest

from fw_gear_dicom_send.network.contexts import MAX_CONTEXTS, Context
from fw_gear_dicom_send.network.preflight import accepted
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.peers import peer_of

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def accept(peer: Peer) -> None:
    peer.accept()
    peer.read_to_end()


@pytest.mark.parametrize(
    ("number", "associations"),
    [(1, 1), (MAX_CONTEXTS, 1), (MAX_CONTEXTS + 1, 2), (2 * MAX_CONTEXTS + 1, 3)],
)
def test_each_context_is_proposed(number: int, associations: int) -> None:
    """Contexts beyond the limit of one association go into another one (PS3.8 9.3.2.2)."""
    contexts = [Context(f"{CT}.{n}", EXPLICIT) for n in range(number)]
    with FaultSCP(accept) as server:
        assert accepted(peer_of(server), contexts) == frozenset(contexts)
        assert server.connections == associations
    assert server.ends == ["released"] * associations
