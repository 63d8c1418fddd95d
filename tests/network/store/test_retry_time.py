"""How often and for how long an image is sent again."""

import threading
from dataclasses import replace

import pytest

from fw_gear_dicom_send.network.store import RESEND_POLICY
from fw_gear_dicom_send.network.types import Sent
from fw_gear_dicom_send.reasons import Kind
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.instances import big_instance, made_instance
from tests.support.pool import ct, scu_of
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.scripted import (
    abort_in_first_message,
    answering,
    close_before_answer,
    close_in_first_message,
    reset_in_first_message,
)
from tests.support.sending import SCUFactory, send_all
from tests.support.waiting import PATIENCE

LONGEST_WAITS = replace(RESEND_POLICY, jitter=False)
LOST_TRIES = 10
"""How often an image is sent that is lost again and again for 100 s, by the longest waits."""


@pytest.mark.parametrize("losses", [LOST_TRIES - 1, LOST_TRIES])
def test_an_image_that_is_lost_again_and_again_has_its_share_of_the_time(
    scu: SCUFactory, clock: Clock, losses: int
) -> None:
    """With no success meanwhile it is a third of the retry time; the next one has its own."""
    with FaultSCP(
        *[abort_in_first_message, close_in_first_message, reset_in_first_message] * 3,
        *[close_in_first_message] * (losses - 9),
        serve,
    ) as server:
        results = send_all(
            scu(server, policy=replace(LONGEST_WAITS, clock=clock)),
            [big_instance(), made_instance()],
        )
        assert server.connections == losses + 1
        assert {image.connection for image in server.images} == {losses + 1}
    assert [one.is_sent for one in outcomes(results)] == [losses < LOST_TRIES, True]
    if losses == LOST_TRIES:
        assert outcome(results[0]).kind is Kind.CONNECTION_LOST
        assert "connection was lost" in outcome(results[0]).text
    assert [result.transfer.tries for result in results] == [LOST_TRIES, 1]
    assert clock.waits == [0, 4, 8, 15, 15, 15, 15, 15, 15]


class RefusingOne:
    """Refuses the first image so many times, each time after others were accepted since then."""

    def __init__(self, uid: str, refusals: int) -> None:
        self._uid = uid
        self._refusals = refusals
        self._others = threading.Semaphore(0)

    def __call__(self, peer: Peer) -> None:
        """Accept the association, and answer its images."""
        peer.accept()
        while True:
            image = peer.read_image()
            if image.sop_instance_uid != self._uid:
                self._others.release()
                peer.answer(image)
                continue
            # Once a second one comes, the answer to the first has been taken note of.
            while self._others.acquire(blocking=False):
                pass
            for _ in range(2):
                assert self._others.acquire(timeout=PATIENCE)
            self._refusals -= 1
            peer.answer(image, 0x0000 if self._refusals < 0 else 0xA700)


@pytest.mark.parametrize("refusals", [5, 6])
def test_an_image_that_is_refused_while_others_are_accepted_is_sent_six_times(
    refusals: int,
) -> None:
    """That trouble is its own, and does not last for longer than it has to."""
    refused = ct(1)[0]
    is_over = threading.Event()

    def send_others() -> None:
        while not is_over.is_set():
            sender.send(ct(2)[0])

    with FaultSCP(RefusingOne(refused.sop_instance_uid, refusals)) as server:
        sender = scu_of(server, 2)
        others = threading.Thread(target=send_others)
        others.start()
        result = sender.send(refused)
        is_over.set()
        others.join(PATIENCE)
        sender.close()
    uids = [image.sop_instance_uid for image in server.images]
    assert uids.count(refused.sop_instance_uid) == 6
    assert result.transfer.tries == 6
    assert isinstance(result, Sent) == (refusals == 5)


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213])
def test_a_server_out_of_resources_gets_the_image_later(
    scu: SCUFactory, clock: Clock, status: int
) -> None:
    """Back-off grows; the association stays; and the next image is not held against it."""
    with FaultSCP(answering(*[status] * 5, 0x0000)) as server:
        sender = scu(server, policy=replace(LONGEST_WAITS, clock=clock))
        results = send_all(sender, [made_instance(1), made_instance(2)])
        assert server.connections == 1
        assert len(server.images) == 7
    assert outcomes(results) == [SENT] * 2
    assert clock.waits == [2, 4, 8, 15, 15]


@pytest.mark.parametrize("status", [0xA700, 0x0213])
def test_a_server_out_of_resources_is_given_up_after_the_retry_time(
    scu: SCUFactory, clock: Clock, status: int
) -> None:
    """With no time to retry the first such answer ends it, and no other image is begun."""
    with FaultSCP(answering(status)) as server:
        sender = scu(server, retry_time=0, policy=replace(LONGEST_WAITS, clock=clock))
        results = send_all(sender, [made_instance(n) for n in range(4)])
        assert len(server.images) == 1
    assert not clock.waits
    found = outcomes(results)
    assert [one[:2] for one in found] == [(False, Kind.OUT_OF_RESOURCES)] * 4
    assert {one.text[:13] for one in found} == {f"status 0x{status:04X}"}


def test_a_final_refusal_is_sent_once(scu: SCUFactory) -> None:
    """The server is there: its refusals end neither patience nor the run."""
    with FaultSCP(answering(0xC000)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 4
    refused = Outcome(False, Kind.REFUSED, "status 0xC000 Cannot Understand")
    assert outcomes(results) == [refused] * 4


def test_each_success_renews_the_retry_time(scu: SCUFactory, clock: Clock) -> None:
    """A server that is in trouble again and again for a while in all, but never long, is used."""
    statuses = [0xA700, 0xA700, 0xA700, 0x0000] * 12
    with FaultSCP(answering(*statuses)) as server:
        sender = scu(server, retry_time=20, policy=replace(LONGEST_WAITS, clock=clock))
        results = send_all(sender, [made_instance(n) for n in range(12)])
    assert outcomes(results) == [SENT] * 12
    assert clock.waits == [2, 4, 8] * 12


def test_without_success_the_server_is_given_up_after_the_retry_time(
    scu: SCUFactory, clock: Clock
) -> None:
    """The clock goes on over several images; what is left fails without a try."""
    with FaultSCP(close_before_answer) as server:
        sender = scu(server, retry_time=300, policy=replace(LONGEST_WAITS, clock=clock))
        results = send_all(sender, [made_instance(n) for n in range(50)])
        assert len({image.sop_instance_uid for image in server.images}) == 3
    assert 300 <= sum(clock.waits) < 315
    lost = "the connection was lost before the answer to a request"
    given_up = f"the server was given up after 300 s of trouble: {lost}"
    assert outcomes(results) == [
        *[Outcome(False, Kind.CONNECTION_LOST, lost)] * 3,
        *[Outcome(False, Kind.GIVEN_UP, given_up)] * 47,
    ]
    assert [result.transfer.tries for result in results[3:]] == [0] * 47


def test_with_no_retry_time_the_first_loss_ends_it(scu: SCUFactory) -> None:
    """No further connection is made, and each image says why."""
    with FaultSCP(close_before_answer) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(1, 6)])
        assert server.connections == 1
        assert len(server.images) == 1
    told = "the connection was lost before the answer to a request"
    assert outcomes(results) == [Outcome(False, Kind.CONNECTION_LOST, told)] * 5
