"""Verification ends soon with a true result, whatever a server answers to a query."""

from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.network.query import FindSCU
from fw_gear_dicom_send.values import replace
from tests.network.test_fuzz_servers import SHORT_TIMEOUTS, messages, nothing_left, pdus
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.fuzzing import Damage, Fuzz, damaged, in_rounds, many_damages
from tests.support.peers import peer_of
from tests.support.querying import found, query_answer, query_pool
from tests.support.series import reference

UIDS = [f"1.2.{n}.{n}" for n in (11, 12, 13)]
ASKED = [replace(reference(0), sop_instance_uid=uid) for uid in UIDS]
TIMEOUTS = replace(SHORT_TIMEOUTS, find=0.2)

identifiers = (
    st.sampled_from([*map(found, UIDS), found("1.2.99"), None, b""])
    | st.binary(max_size=60)
    | st.builds(damaged, st.sampled_from([*map(found, UIDS)]), many_damages)
)
statuses = st.sampled_from([0xFF00, 0xFF00, 0xFF00, 0xFF01, 0x0000, 0xA700, 0xB000, 0xC000, 0xFE00])
answers = st.lists(st.tuples(statuses, identifiers), max_size=8)
noises = st.just(b"") | pdus() | messages()


def test_any_answer_to_a_query(fuzz: Fuzz) -> None:
    """Each image has one verdict, and a verified image was named in an answer."""

    @in_rounds
    @given(answers, many_damages, noises, st.booleans())
    def check(
        case: list[tuple[int, bytes | None]], changes: list[Damage], noise: bytes, leaves: bool
    ) -> None:
        said = b""

        def script(peer: Peer) -> None:
            nonlocal said
            peer.accept(refused=())
            while True:
                request = peer.read_query()
                data = b"".join(query_answer(request, *one) for one in case)
                data = damaged(data, changes) + noise
                said += data
                peer.socket.sendall(data)
                if leaves:
                    return

        with nothing_left(), FaultSCP(script) as server:
            pool = query_pool(peer_of(server), TIMEOUTS)
            result = FindSCU(pool, timeouts=TIMEOUTS).verify(ASKED)
            pool.close()
        parts = [result.verified, result.absent, result.unknown.keys()]
        assert sorted(uid for part in parts for uid in part) == UIDS
        assert all(uid.encode() in said for uid in result.verified)

    fuzz(check)
