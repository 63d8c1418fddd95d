"""What a single image may cost at the end of a run is bounded if the server stored others."""

from dataclasses import dataclass, field
from math import inf
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Suspect, Transfer
from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.run.image import Image
from fw_gear_dicom_send.run.quarantine import Quarantine, QuarantinePolicy
from tests.support.choosy import Archives, number_of, run_steps
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance

POLICY = QuarantinePolicy()
FAILED_AT = 1000.0


@dataclass
class FakeHealth:
    """Health of a server, whose time passes by waits and in a test."""

    accepted_at: float
    is_at_fault: bool = False
    given_up: Reason | None = None
    time: float = FAILED_AT
    blamed: int = 0

    def now(self) -> float:
        """Return the time."""
        return self.time

    def wait_until(self, moment: float) -> None:
        """Let the time pass."""
        self.time = max(self.time, moment)

    def blame(self) -> None:
        """Count the rounds with a server at fault."""
        self.blamed += 1


@dataclass
class Retries:
    """Retries of images, which fail after `seconds` each."""

    health: FakeHealth
    seconds: float = 0.0
    kind: Kind = Kind.OUT_OF_RESOURCES
    may_be_stored: bool = False
    timeouts: list[float] = field(default_factory=list)

    def __call__(self, _: Image, suspect: Suspect) -> Suspect:
        """Let the image fail once more."""
        self.health.time += POLICY.query_timeout if suspect.may_be_stored else 0
        self.timeouts.append(suspect.answer_timeout)
        self.health.time += min(self.seconds, suspect.answer_timeout)
        tries = suspect.failure.transfer.tries + 1
        return self.suspect(tries)

    def suspect(self, tries: int = 1) -> Suspect:
        """Return an image that failed now."""
        failure = NotSent(Reason(self.kind), Transfer(tries=tries))
        return Suspect(failure, self.health.time, self.may_be_stored)

    def run(self, images: int = 1) -> list[Suspect | object]:
        """Retry images until all have failed."""
        quarantine = Quarantine(self.health, POLICY)
        entry = FileEntry(Container("session", "s"), "a.zip", "lab/a.zip")
        for number in range(images):
            image = Image(entry, (number,), "", 0, made_instance(number + 1))
            assert quarantine.final_result(image, quarantine.load(image, self.suspect())) is None
        return [result for _, result in quarantine.retry_all(self, lambda *_: iter(()))]


@pytest.mark.parametrize(
    ("seconds", "may_be_stored", "retries"),
    [
        (0, False, 2),
        (3, False, 2),
        (6, False, 1),
        (inf, False, 1),
        (0, True, 2),
        (0.9, True, 1),
        (inf, True, 1),
    ],
)
def test_an_image_costs_20_seconds(seconds: float, may_be_stored: bool, retries: int) -> None:
    """These are waits, queries and waits for answers, however slowly the server refuses it."""
    health = FakeHealth(accepted_at=FAILED_AT)
    server = Retries(health, seconds, may_be_stored=may_be_stored)
    (_,) = server.run()
    assert health.time - FAILED_AT <= POLICY.budget
    assert all(0 < timeout <= POLICY.budget for timeout in server.timeouts)
    assert len(server.timeouts) == retries


def test_each_image_has_its_own_time() -> None:
    """Many slow images do not leave the last one without a retry."""
    retries = Retries(FakeHealth(accepted_at=FAILED_AT), seconds=3)
    assert len(retries.run(images=50)) == 50
    assert len(retries.timeouts) == 2 * 50


def test_a_server_that_accepted_nothing_has_its_whole_time() -> None:
    """Answers may take as long as they always may, until the run gives up."""
    health = FakeHealth(accepted_at=-inf)
    retries = Retries(health)

    def fail(image: Image, suspect: Suspect) -> Suspect:
        if health.blamed == 30:
            health.given_up = Reason(Kind.GIVEN_UP)
        return Retries.__call__(retries, image, suspect)

    quarantine = Quarantine(health, POLICY)
    entry = FileEntry(Container("session", "s"), "a.zip", "lab/a.zip")
    image = Image(entry, (0,), "", 0, made_instance())
    quarantine.final_result(image, quarantine.load(image, retries.suspect()))
    assert len(list(quarantine.retry_all(fail, lambda *_: iter(())))) == 1
    assert retries.timeouts == [inf] * 30


def test_a_silent_retry_ends_after_its_time(tmp_path: Path) -> None:
    """The server stops answering an image that it lost before, as it waits for more of it."""
    tries: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            if number_of(image.sop_instance_uid) != 3:
                peer.answer(image)
                continue
            tries.append(3)
            if len(tries) > 1:
                peer.read_to_end()
            return

    policy = QuarantinePolicy(wait=0, second_wait=0, query_timeout=0.1, budget=0.6)
    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 6)), tmp_path, quarantine=policy)
    assert run.not_sent[3].reason.kind is Kind.NO_ANSWER
    assert len(tries) == run.not_sent[3].transfer.tries == 2
