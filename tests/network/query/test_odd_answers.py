"""A wrong response to a query costs only that query, little memory, and no run."""

from collections.abc import Callable, Iterable

import pytest

from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.network import query
from fw_gear_dicom_send.network.contexts import Context
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.peers import peer_of
from tests.support.querying import find_scu, found, query_answer, query_pool
from tests.support.series import SERIES, STUDY
from tests.support.waiting import LONG_TIMEOUTS

FIND = "1.2.840.10008.5.1.4.1.2.2.1"


def answering(*answers: Iterable[tuple[int, bytes | None]]) -> Callable[[Peer], None]:
    """Return a script that answers each query with the next item."""

    def script(peer: Peer) -> None:
        peer.accept(refused=())
        for one in answers:
            request = peer.read_query()
            for status, identifier in one:
                peer.socket.sendall(query_answer(request, status, identifier))
        peer.read_to_end()

    return script


GOOD = [(0xFF00, found("1.2.3")), (0x0000, None)]


@pytest.mark.parametrize(
    "identifier",
    [
        b"\xff" * 30,
        found("1.2.3")[:-3],
        found(""),
        b"\x08\0\x18\0UI\xff\xff1.2",
        b"\x08\0\x18\0",
        bytes(40),
    ],
)
def test_an_undecodable_response_fails_its_query(identifier: bytes) -> None:
    """The next query is answered over the same association."""
    bad = [(0xFF00, identifier), (0xFF00, found("1.2.4")), (0x0000, None)]
    with FaultSCP(answering(bad, bad, bad, GOOD)) as server:
        find = find_scu(peer_of(server), LONG_TIMEOUTS)
        with pytest.raises(QueryError, match="answer to a C-FIND cannot be decoded"):
            find.present(STUDY, SERIES)
        assert find.present(STUDY, SERIES) == {"1.2.3"}
        assert server.connections == 1


def test_endless_responses_end_the_query(monkeypatch: pytest.MonkeyPatch) -> None:
    """If a server returns more images than a series can have, reading stops."""
    monkeypatch.setattr(query, "MAX_ANSWERS", 50)
    endless = ((0xFF00, found(f"1.2.{n}")) for n in range(100_000))
    with FaultSCP(answering(endless)) as server:
        find = find_scu(peer_of(server), LONG_TIMEOUTS)
        with pytest.raises(QueryError, match="has more than 50 images"):
            find.present(STUDY, SERIES)


def test_a_final_response_after_useless_pending_ones() -> None:
    """Responses without an identifier are ignored."""
    odd = [(0xFF00, None), (0xFF01, None), (0xFF00, found("1.2.3")), (0x0000, None)]
    with FaultSCP(answering(odd)) as server:
        assert find_scu(peer_of(server), LONG_TIMEOUTS).present(STUDY, SERIES) == {"1.2.3"}


def test_queries_are_proposed_in_both_uncompressed_syntaxes() -> None:
    """They are Explicit and Implicit VR Little Endian (PS3.5 10.1)."""
    with FaultSCP(answering(GOOD)) as server:
        pool = query_pool(peer_of(server), LONG_TIMEOUTS)
        with pool.association(Context(FIND, "1.2.840.10008.1.2.1")) as assoc:
            syntaxes = {
                one.transfer_syntax for one in assoc.accepted if one.abstract_syntax == FIND
            }
        pool.close()
    assert syntaxes == {"1.2.840.10008.1.2.1", "1.2.840.10008.1.2"}
