"""What follows a failed try of an image: another try, or a suspect image."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from math import inf

import pytest

from fw_gear_dicom_send.delivery.deliver import MAX_SECOND_TRIES, Delivery
from fw_gear_dicom_send.delivery.results import (
    Answer,
    NotSent,
    Resending,
    Sent,
    Suspect,
    Transfer,
)
from fw_gear_dicom_send.delivery.tries import Busy, History, Judged, Lost, Try
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryBudget, RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support.clock import Clock
from tests.support.instances import made_instance

ANSWERED = Transfer(Answer(0xC000, "0xC000"))
STORED = Judged(Sent(Transfer(Answer(0, "0x0000", is_success=True))))
REFUSED = Judged(NotSent(Reason(Kind.REFUSED), ANSWERED))
REFUSED_ONCE = replace(REFUSED, resending=Resending.ONCE)
FULL = replace(REFUSED, resending=Resending.WHILE_NOTHING_IS_STORED)
WRITTEN = Lost(Reason(Kind.CONNECTION_LOST), may_be_stored=True)
BUSY = Busy(NotSent(Reason(Kind.OUT_OF_RESOURCES)), Resending.WHILE_NOTHING_IS_STORED)
CUT = Lost(Reason(Kind.CONNECTION_LOST))


@dataclass
class Tries:
    """Attempts with these results; the server gives each sign of life that it is asked for."""

    results: Iterator[Try]
    histories: list[History] = field(default_factory=list)
    opened_after: list[float] = field(default_factory=list)
    probes: int = 0

    def attempt(self, _: SOPInstance, history: History, opened_after: float) -> Try:
        """Return the next result."""
        self.histories.append(history)
        self.opened_after.append(opened_after)
        return next(self.results)

    def probe(self, _: SOPInstance, opened_after: float) -> None:  # noqa: ARG002
        """Give a sign of life."""
        self.probes += 1


class Connected:
    """Connections that are never given up."""

    closed_reason = None
    recovered_at = -inf
    peak = 1

    def give_up(self, reason: Reason) -> None:
        """Fail."""
        raise AssertionError(reason)

    def wait(self, seconds: float) -> None:
        """Do not wait."""


def delivery_of(*results: Try) -> tuple[Delivery, Tries]:
    """Return a delivery whose tries have these results, and the tries."""
    tries, clock = Tries(iter(results)), Clock(tick=1e-6)
    policy = RetryPolicy(clock=clock)
    return Delivery(tries, Connected(), 1, RetryBudget(300, clock), policy), tries


@pytest.mark.parametrize(
    ("result", "resending"),
    [(REFUSED_ONCE, Resending.ONCE), (FULL, Resending.WHILE_NOTHING_IS_STORED)],
)
def test_a_status_decides_when_an_image_is_resent(result: Try, resending: Resending) -> None:
    """The image is sent once, and is suspect."""
    delivery, tries = delivery_of(result)
    suspect = delivery.send(made_instance())
    assert isinstance(suspect, Suspect)
    assert suspect.resending is resending
    assert len(tries.histories) == 1


def test_an_image_has_one_second_try() -> None:
    """The second refusal is final."""
    delivery, _ = delivery_of(REFUSED_ONCE, REFUSED_ONCE)
    suspect = delivery.send(made_instance())
    assert isinstance(suspect, Suspect)
    assert isinstance(delivery.send(made_instance(), suspect), NotSent)


def test_the_number_of_images_with_a_second_try_is_limited() -> None:
    """Further refusals are final."""
    delivery, _ = delivery_of(*[REFUSED_ONCE] * (MAX_SECOND_TRIES + 1))
    results = [delivery.send(made_instance()) for _ in range(MAX_SECOND_TRIES + 1)]
    kinds = [type(result) for result in results]
    assert kinds == [Suspect] * MAX_SECOND_TRIES + [NotSent]


def test_refusals_are_no_accepted_images() -> None:
    """Many of them do not make the server faulty, either."""
    delivery, _ = delivery_of(*[REFUSED_ONCE, REFUSED] * 100, STORED)
    for _ in range(200):
        delivery.send(made_instance())
    assert delivery.accepted_at == -inf
    assert not delivery.is_at_fault
    delivery.send(made_instance())
    assert delivery.accepted_at > 0


def test_an_image_is_resent_at_once_unless_it_was_written_completely() -> None:
    """Either way, the server must give a sign of life before the next image."""
    delivery, tries = delivery_of(CUT, STORED, WRITTEN)
    assert isinstance(delivery.send(made_instance()), Sent)
    assert (len(tries.histories), tries.probes) == (2, 1)
    suspect = delivery.send(made_instance())
    assert isinstance(suspect, Suspect)
    assert suspect.may_be_stored
    assert (len(tries.histories), tries.probes) == (3, 2)


def test_a_resent_image_is_sent_once() -> None:
    """It waits for an answer as long as the caller allows."""
    delivery, tries = delivery_of(FULL, CUT, STORED)
    suspect = delivery.send(made_instance())
    assert isinstance(suspect, Suspect)
    again = delivery.send(made_instance(), replace(suspect, answer_timeout=7.0))
    assert isinstance(again, Suspect)
    assert [history.answer_timeout for history in tries.histories] == [inf, 7.0]
    assert again.failure.transfer.tries == 2


def test_an_image_that_was_lost_twice_gets_a_new_connection() -> None:
    """An idle one may be about to end; a first resend may use it."""
    delivery, tries = delivery_of(WRITTEN, WRITTEN, STORED)
    image = made_instance()
    result = delivery.send(image)
    for _ in range(2):
        assert isinstance(result, Suspect)
        result = delivery.send(image, result)
    assert [moment > -inf for moment in tries.opened_after] == [False, False, True]


def test_a_busy_server_gets_the_image_again() -> None:
    """The first answer of a server that is not busy is that to a first try."""
    delivery, tries = delivery_of(BUSY, BUSY, STORED)
    sent = delivery.send(made_instance())
    assert isinstance(sent, Sent)
    assert sent.transfer.tries == 3
    assert delivery.retries == 2
    assert [(one.tries, one.is_first) for one in tries.histories] == [(i, True) for i in range(3)]


def test_a_busy_server_at_fault_gets_another_image() -> None:
    """While the server accepts no image, each image is tried once."""
    delivery, tries = delivery_of(BUSY, STORED)
    delivery.blame()
    assert isinstance(delivery.send(made_instance()), Suspect)
    assert isinstance(delivery.send(made_instance()), Sent)
    assert len(tries.histories) == 2
