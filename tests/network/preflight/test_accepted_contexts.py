"""Any number of presentation contexts can be proposed to a server."""

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.contexts import MAX_CONTEXTS, Context
from fw_gear_dicom_send.network.preflight import accepted
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.few_contexts import FewContexts, Refusal, only_first, rejection
from tests.support.peers import peer_of
from tests.support.scripted import UNKNOWN_CALLED_AE

CT, EXPLICIT = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1"


def accept(peer: Peer) -> None:
    peer.accept()
    peer.read_to_end()


@pytest.mark.parametrize(
    ("number", "associations"),
    [(1, 1), (MAX_CONTEXTS - 1, 1), (MAX_CONTEXTS, 2), (2 * MAX_CONTEXTS - 1, 3)],
)
def test_each_context_is_proposed(number: int, associations: int) -> None:
    """Contexts beyond the limit of one association go into another one (PS3.8 9.3.2.2).

    Each association also proposes C-ECHO.
    """
    contexts = [Context(f"{CT}.{n}", EXPLICIT) for n in range(number)]
    with FaultSCP(accept) as server:
        assert accepted(peer_of(server), contexts) == frozenset(contexts)
        assert server.connections == associations
    assert server.ends == ["released"] * associations


@pytest.mark.parametrize(
    ("number", "requests"),
    [(128, [128, 128, 47]), (60, [128, 60, 60, 60, 60, 60, 6]), (30, [128, 60, *[30] * 10, 11])],
)
@pytest.mark.parametrize(
    "refusal", [rejection(1, 1, 1), Peer.abort, Peer.close, Peer.reset, "first"]
)
def test_a_server_that_takes_few_contexts_shows_all(
    number: int, requests: list[int], refusal: Refusal | str
) -> None:
    """After a refusal, fewer contexts are proposed in each association."""
    contexts = [Context(f"{CT}.{n}", EXPLICIT) for n in range(300)]
    refuse = only_first(number) if isinstance(refusal, str) else refusal
    with FewContexts(number, refuse) as server:
        assert accepted(peer_of(server), contexts) == frozenset(contexts)
    assert server.requests == requests


@pytest.mark.parametrize(
    ("answer", "requests"), [((1, 1, 1), [128, 60, 30]), (UNKNOWN_CALLED_AE, [128])]
)
def test_a_server_that_rejects_any_number_gets_few_requests(
    answer: tuple[int, int, int], requests: list[int]
) -> None:
    """The last answer is the error."""
    contexts = [Context(f"{CT}.{n}", EXPLICIT) for n in range(300)]
    with (
        FewContexts(0, rejection(*answer)) as server,
        pytest.raises(ServerError, match=wording.REJECTED),
    ):
        accepted(peer_of(server), contexts)
    assert server.requests == requests
