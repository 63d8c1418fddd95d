"""How often and for how long an image is sent again."""

import pytest

from fw_gear_dicom_send.network import store as storage_scu
from fw_gear_dicom_send.network.store import FEWEST_TRIES
from fw_gear_dicom_send.network.types import StoreResult
from tests.support.fault_scp import FaultSCP, serve
from tests.support.instances import big_instance, made_instance
from tests.support.scripted import (
    abort_in_first_message,
    answering,
    close_before_answer,
    close_in_first_message,
    reset_in_first_message,
)
from tests.support.sending import SCUFactory, send_all

LOST_TRIES = 11
"""How often an image is sent that is lost again and again for 100 s, by the longest waits."""


@pytest.mark.parametrize("losses", [LOST_TRIES - 1, LOST_TRIES])
def test_an_image_that_is_lost_again_and_again_has_its_share_of_the_time(
    scu: SCUFactory, waits: list[float], losses: int
) -> None:
    """With no success meanwhile it is a third of the retry time; the next one has its own."""
    with FaultSCP(
        *[abort_in_first_message, close_in_first_message, reset_in_first_message] * 3,
        *[close_in_first_message] * (losses - 9),
        serve,
    ) as server:
        results = send_all(scu(server), [big_instance(), made_instance()])
        assert server.connections == losses + 1
        assert {image.connection for image in server.images} == {losses + 1}
    assert [result.sent for result in results] == [losses < LOST_TRIES, True]
    assert losses < LOST_TRIES or "connection was lost" in results[0].remark
    assert waits == [0, 2, 6, 14, 15, 15, 15, 15, 15, 15][: LOST_TRIES - 1]


@pytest.mark.parametrize("refusals", [FEWEST_TRIES - 1, FEWEST_TRIES])
def test_an_image_that_is_refused_while_others_are_accepted_is_sent_six_times(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """That trouble is its own, and does not last for longer than it has to."""

    def send_another(_: float) -> float:
        assert sender.send(made_instance(2)).sent
        return 0

    monkeypatch.setattr(storage_scu.backoff, "full_jitter", send_another)
    with FaultSCP(answering(*[0xA700, 0x0000] * refusals, 0x0000)) as server:
        sender = scu(server)
        (result,) = send_all(sender, [made_instance(1)])
    uids = [image.sop_instance_uid for image in server.images]
    assert uids.count(made_instance(1).sop_instance_uid) == FEWEST_TRIES
    assert result.sent == (refusals < FEWEST_TRIES)


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213])
def test_a_server_out_of_resources_gets_the_image_later(
    scu: SCUFactory, waits: list[float], status: int
) -> None:
    """Back-off grows; the association stays; and the next image is not held against it."""
    with FaultSCP(answering(*[status] * 5, 0x0000)) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
        assert server.connections == 1
        assert len(server.images) == 7
    assert results == [StoreResult(True)] * 2
    assert waits == [2, 4, 8, 15, 15]


@pytest.mark.parametrize("status", [0xA700, 0x0213])
def test_a_server_out_of_resources_is_given_up_after_the_retry_time(
    scu: SCUFactory, waits: list[float], status: int
) -> None:
    """With no time to retry the first such answer ends it, and no other image is begun."""
    with FaultSCP(answering(status)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 1
    assert not waits
    assert [result.sent for result in results] == [False] * 4
    assert {result.remark[:13] for result in results} == {f"status 0x{status:04X}"}


@pytest.mark.usefixtures("waits")
def test_a_final_refusal_is_sent_once(scu: SCUFactory) -> None:
    """The server is there: its refusals end neither patience nor the run."""
    with FaultSCP(answering(0xC000)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 4
    assert results == [StoreResult(False, "status 0xC000 Cannot Understand")] * 4


def test_each_success_renews_the_retry_time(scu: SCUFactory, waits: list[float]) -> None:
    """A server that is in trouble again and again for a while in all, but never long, is used."""
    statuses = [0xA700, 0xA700, 0xA700, 0x0000] * 12
    with FaultSCP(answering(*statuses)) as server:
        results = send_all(scu(server, retry_time=20), [made_instance(n) for n in range(12)])
    assert results == [StoreResult(True)] * 12
    assert waits == [2, 4, 8] * 12


def test_without_success_the_server_is_given_up_after_the_retry_time(
    scu: SCUFactory, waits: list[float]
) -> None:
    """The clock goes on over several images; what is left fails without a try."""
    with FaultSCP(close_before_answer) as server:
        results = send_all(scu(server, retry_time=300), [made_instance(n) for n in range(50)])
        assert len({image.sop_instance_uid for image in server.images}) == 3
    assert 300 <= sum(waits) < 315
    lost = "the connection was lost before the answer to a request"
    given_up = f"the server was given up after 300 s of trouble: {lost}"
    assert results == [StoreResult(False, lost)] * 3 + [StoreResult(False, given_up)] * 47


def test_with_no_retry_time_the_first_loss_ends_it(scu: SCUFactory) -> None:
    """No further connection is made, and each image says why."""
    with FaultSCP(close_before_answer) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(1, 6)])
        assert server.connections == 1
        assert len(server.images) == 1
    reason = "the connection was lost before the answer to a request"
    assert results == [StoreResult(False, reason)] * 5
