"""A server that takes few presentation contexts gets the images over more associations."""

import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicom.uids import VERIFICATION
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.few_contexts import FewContexts, Refusal, only_first, rejection
from tests.support.instances import relabelled
from tests.support.pool import scu_of, send_in_threads
from tests.support.results import SENT
from tests.support.scripted import AT_LIMIT, UNKNOWN_CALLED_AE, UNKNOWN_CALLING_AE
from tests.support.waiting import LONG_TIMEOUTS

RLE = "1.2.840.10008.1.2.5"
REFUSALS = [
    pytest.param(rejection(1, 1, 1), id="rejected"),
    pytest.param(rejection(1, 2, 1), id="rejected by the provider"),
    pytest.param(Peer.abort, id="aborted"),
    pytest.param(Peer.close, id="closed"),
    pytest.param(Peer.reset, id="reset"),
]


def rle(*numbers: int) -> list[SOPInstance]:
    """Return images of these SOP classes, each of which needs three contexts."""
    return [relabelled(n, sop_class=f"1.2.3.{n}", transfer_syntax=RLE) for n in numbers]


@pytest.mark.parametrize(
    ("number", "refuse"),
    [
        *(pytest.param(60, *one.values, id=f"{one.id} over 60") for one in REFUSALS),
        pytest.param(60, only_first(60), id="only the first 60"),
        pytest.param(30, only_first(30), id="only the first 30"),
        pytest.param(59, only_first(59), id="only the first 59"),
    ],
)
@pytest.mark.parametrize("threads", [1, 4])
def test_contexts_that_do_not_fit_go_over_further_associations(
    number: int, refuse: Refusal, threads: int
) -> None:
    """All images arrive unchanged, and the server's limit is remembered."""
    with FewContexts(number, refuse) as server:
        scu = scu_of(server, threads)
        assert send_in_threads(scu, rle(*range(45)), threads) == [SENT] * 45
        seen = len(server.requests)
        assert send_in_threads(scu, rle(*range(50, 95)), threads) == [SENT] * 45
        scu.close()
    assert 1 <= sum(request > number for request in server.requests) <= 2 * threads
    assert not any(request > number for request in server.requests[seen:])
    assert {image.sop_class_uid for image in server.images} == {
        f"1.2.3.{n}" for n in (*range(45), *range(50, 95))
    }


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (UNKNOWN_CALLED_AE, Kind.UNKNOWN_CALLED_AE),
        (UNKNOWN_CALLING_AE, Kind.UNKNOWN_CALLING_AE),
        ((1, 1, 2), Kind.REJECTED),
        (AT_LIMIT, Kind.REJECTED),
        ((2, 1, 1), Kind.REJECTED),
    ],
)
def test_a_rejection_with_another_cause_lowers_nothing(
    answer: tuple[int, int, int], kind: Kind
) -> None:
    """The AE title and the server's load have nothing to do with contexts."""
    with FewContexts(30, rejection(*answer)) as server:
        scu = scu_of(server, 1, retry_time=0)
        results = send_in_threads(scu, rle(*range(12)), threads=1)
        scu.close()
    assert [one.kind for one in results if not one.is_sent] == [kind] * 3
    assert [request for request in server.requests if request > 30] == [31]


def test_a_server_without_an_answer_is_not_asked_with_fewer() -> None:
    """A timeout has nothing to do with contexts."""
    with FewContexts(30, Peer.stall) as server:
        timeouts = replace(LONG_TIMEOUTS, associate=0.3)
        scu = scu_of(server, 1, retry_time=0, timeouts=timeouts)
        results = send_in_threads(scu, rle(*range(12)), threads=1)
        scu.close()
    assert [one.is_sent for one in results] == [True] * 9 + [False] * 3
    assert [request for request in server.requests if request > 30] == [31]


def test_a_class_that_the_server_does_not_support_costs_nothing() -> None:
    """A server that accepts C-ECHO, the last context, has looked at all others."""
    with FewContexts(128, Peer.abort, refused_class="1.2.3.14") as server:
        scu = scu_of(server, 1)
        images = rle(*range(15), 14, 14)
        results = send_in_threads(scu, images, threads=1)
        scu.close()
        assert server.requests == [3 * n + 4 for n in range(15)]
    assert [one.kind for one in results[-3:]] == [Kind.NOT_ACCEPTED] * 3
    assert results[:-3] == [SENT] * 14


def test_a_server_without_verification_gets_few_contexts() -> None:
    """It does not show whether it looked at all contexts, so at most 30 are proposed."""
    requests: list[int] = []

    def script(peer: Peer) -> None:
        requests.append(peer.read_request())
        peer.accept(refused=[VERIFICATION])
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        scu = scu_of(server, 1)
        assert send_in_threads(scu, rle(*range(40)), threads=1) == [SENT] * 40
        scu.close()
    assert [request for request in requests if request > 30] == [31]
