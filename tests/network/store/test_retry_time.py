"""Conditions for a suspect image, and for giving up on a faulty server."""

import pytest

from fw_gear_dicom_send.delivery.results import Sent, Suspect
from fw_gear_dicom_send.network.contexts import ECHO
from fw_gear_dicom_send.network.store import RESEND_POLICY
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.clock import Clock
from tests.support.fault_scp import FaultSCP, Peer, Script, serve
from tests.support.instances import made_instance
from tests.support.results import SENT, Outcome, final, outcome, outcomes
from tests.support.scripted import (
    abort_in_first_message,
    answering,
    answering_one,
    close_before_answer,
    close_in_first_message,
    close_within_image,
)
from tests.support.sending import SCUFactory, send_all

MAX_WAITS = replace(RESEND_POLICY, jitter=False)
serve_one = answering_one(Peer.close)
LOST = f"{wording.CONNECTION_LOST} {wording.BEFORE_THE_ANSWER}"


@pytest.fixture
def ticking() -> Clock:
    """Clock that advances a little with each reading."""
    return Clock(tick=1e-6)


def test_an_image_that_is_lost_twice_is_suspect(scu: SCUFactory, ticking: Clock) -> None:
    """It is resent immediately, on a new association after a C-ECHO; the next image is sent."""
    with FaultSCP(close_within_image, close_within_image, serve) as server:
        sender = scu(server, policy=replace(MAX_WAITS, clock=ticking))
        first, second = sender.send(made_instance(1)), sender.send(made_instance(2))
        assert server.connections == 3
        assert len(server.images) == 1
    assert isinstance(first, Suspect)
    assert first.failure.reason.kind is Kind.CONNECTION_LOST
    assert first.failure.transfer.tries == 2
    assert not first.may_be_stored
    assert isinstance(second, Sent)
    assert not ticking.waits


def test_immediate_resends_continue_while_they_succeed(scu: SCUFactory) -> None:
    """A server that ends associations repeatedly loses no image and makes none suspect."""
    with FaultSCP(*[close_within_image, serve_one] * 5, serve) as server:
        results = [scu(server).send(made_instance(n)) for n in range(5)]
    assert {type(result) for result in results} == {Sent}


def test_immediate_resends_stop_when_they_fail(scu: SCUFactory) -> None:
    """After an image was lost twice, the next lost image is suspect immediately."""
    with FaultSCP(close_within_image) as server:
        sender = scu(server)
        tries = [final(sender.send(made_instance(n))).transfer.tries for n in range(3)]
    assert tries == [2, 1, 1]


def test_an_image_that_is_lost_slowly_is_suspect(scu: SCUFactory) -> None:
    """A resend would delay the others by the same time again."""
    clock = Clock(tick=1e-6)

    def keep_waiting(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        clock.time += 30

    with FaultSCP(keep_waiting, serve) as server:
        sender = scu(server, policy=replace(MAX_WAITS, clock=clock))
        first = sender.send(made_instance())
        assert isinstance(first, Suspect)
        assert first.failure.transfer.tries == 1
        assert outcome(sender.send(made_instance(), first)) == SENT


@pytest.mark.parametrize("status", [0xA700, 0x0213])
def test_an_image_rejected_for_lack_of_resources_is_suspect(
    scu: SCUFactory, ticking: Clock, status: int
) -> None:
    """It is sent once; the association stays open, and the next image is sent without delay."""
    with FaultSCP(answering(status, 0x0000)) as server:
        sender = scu(server, policy=replace(MAX_WAITS, clock=ticking))
        first, second = sender.send(made_instance(1)), sender.send(made_instance(2))
        assert server.connections == 1
        assert len(server.images) == 2
    assert isinstance(first, Suspect)
    assert first.failure.transfer.answer
    assert first.failure.transfer.answer.code == status
    assert first.failure.transfer.tries == 1
    assert not first.may_be_stored
    assert isinstance(second, Sent)
    assert not ticking.waits


def test_a_retried_image_counts_its_tries(scu: SCUFactory) -> None:
    """Earlier tries are included, whatever the final result is."""
    with FaultSCP(answering(0xA700, 0xA700, 0x0000)) as server:
        sender = scu(server)
        first = sender.send(made_instance(1))
        assert isinstance(first, Suspect)
        second = sender.send(made_instance(1), first)
        assert isinstance(second, Suspect)
        third = sender.send(made_instance(1), second)
    assert second.failure.transfer.tries == 2
    assert isinstance(third, Sent)
    assert third.transfer.tries == 3
    assert sender.facts().retries == 2


def test_the_server_is_at_fault_after_many_images_in_a_row(scu: SCUFactory, ticking: Clock) -> None:
    """A wait then precedes each group of eight images until one is accepted."""
    with FaultSCP(answering(*[0xA700] * 90, 0x0000)) as server:
        sender = scu(server, policy=replace(MAX_WAITS, clock=ticking))
        results = [sender.send(made_instance(n)) for n in range(200)]
        assert len(server.images) == 200
    assert [isinstance(result, Suspect) for result in results] == [True] * 90 + [False] * 110
    assert ticking.waits == [2, 4, 8, 15]


@pytest.mark.slow
def test_a_recovered_server_has_its_whole_retry_time_again(scu: SCUFactory, ticking: Clock) -> None:
    """Repeated short failures of a server do not end the run."""
    statuses = ([0xA700] * 80 + [0x0000]) * 12
    with FaultSCP(answering(*statuses)) as server:
        sender = scu(server, retry_time=20, policy=replace(MAX_WAITS, clock=ticking))
        results = [sender.send(made_instance(n)) for n in range(12 * 81)]
    assert sum(isinstance(result, Sent) for result in results) == 12
    assert not sender.health.given_up


@pytest.mark.slow
@pytest.mark.parametrize("script", [answering(0xA700), close_before_answer])
def test_a_server_that_accepts_no_image_exhausts_the_retry_time(
    scu: SCUFactory, ticking: Clock, script: Script
) -> None:
    """The remaining images fail without a try."""
    with FaultSCP(script) as server:
        sender = scu(server, retry_time=300, policy=replace(MAX_WAITS, clock=ticking))
        results = send_all(sender, [made_instance(n) for n in range(400)])
    assert 300 <= sum(ticking.waits) < 315
    kinds = [result.kind for result in outcomes(results)]
    number = kinds.index(Kind.GIVEN_UP)
    assert 64 < number < 300
    assert set(kinds[number:]) == {Kind.GIVEN_UP}
    assert {result.transfer.tries for result in results[number:]} == {0}
    assert outcomes(results)[-1].text.startswith(
        f"{wording.GIVEN_UP} 300 s {wording.WITHOUT_STORED_IMAGE}"
    )


def test_a_server_that_answers_no_echo_is_at_fault(scu: SCUFactory, ticking: Clock) -> None:
    """The lost image is resent when the server responds, and is not suspect."""
    scripts = [close_within_image, *[abort_in_first_message, close_in_first_message] * 3, serve]
    with FaultSCP(*scripts) as server:
        sender = scu(server, policy=replace(MAX_WAITS, clock=ticking))
        (result,) = send_all(sender, [made_instance()])
        assert server.connections == 8
    assert outcome(result) == SENT
    assert result.transfer.tries == 2
    assert ticking.waits == [2, 4, 8, 15, 15, 15]


def test_a_server_that_never_answers_an_echo_exhausts_the_retry_time(
    scu: SCUFactory, ticking: Clock
) -> None:
    """After the retry time the current image fails, and all others fail without a try."""
    with FaultSCP(close_before_answer, close_in_first_message) as server:
        sender = scu(server, retry_time=60, policy=replace(MAX_WAITS, clock=ticking))
        results = send_all(sender, [made_instance(n) for n in range(3)])
        assert len(server.images) == 1
    assert {result.kind for result in outcomes(results)} == {Kind.GIVEN_UP}
    assert [result.transfer.tries for result in results] == [1, 0, 0]


def test_a_server_without_echo_is_not_at_fault(scu: SCUFactory) -> None:
    """If it does not accept the SOP class, an association is sufficient."""

    def accept_images_only(peer: Peer) -> None:
        peer.accept(refused=[ECHO.abstract_syntax])
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(close_within_image, accept_images_only) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert outcome(result) == SENT


def test_a_final_rejection_is_sent_once(scu: SCUFactory) -> None:
    """The server is available: its rejections end neither the retry time nor the run."""
    with FaultSCP(answering(0xC000)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 4
    refused = Outcome(False, Kind.REFUSED, "status 0xC000 Cannot Understand")
    assert outcomes(results) == [refused] * 4


def test_without_retry_time_there_is_no_wait(scu: SCUFactory, ticking: Clock) -> None:
    """A server that answers no echo fails immediately, with the server's reason."""
    with FaultSCP(close_before_answer, close_in_first_message) as server:
        sender = scu(server, retry_time=0, policy=replace(MAX_WAITS, clock=ticking))
        results = send_all(sender, [made_instance(n) for n in range(1, 6)])
        assert server.connections == 2
        assert len(server.images) == 1
    assert not ticking.waits
    assert outcomes(results) == [Outcome(False, Kind.CONNECTION_LOST, LOST)] * 5
