"""The first image of each patient and study is sent alone."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Queue

import pytest

from fw_gear_dicom_send.delivery.first_images import FirstImages
from fw_gear_dicom_send.delivery.results import NotSent, Planned, Sent, Transfer
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.values import replace
from tests.support.instances import made_instance
from tests.support.waiting import PATIENCE

SENT, REFUSED = Sent(Transfer()), NotSent(Reason(Kind.REFUSED))
Answer = Sent | Planned | NotSent | OSError


class Sending:
    """Images that are sent by several threads, until the test answers each."""

    def __init__(self, threads: ThreadPoolExecutor, gate: FirstImages) -> None:
        self._threads = threads
        self._gate = gate
        self._begun: Queue[tuple[str, Queue[Answer]]] = Queue()

    def start(self, name: str, study: str, patient: int = 0) -> "Future[object]":
        """Send an image, and return its future result."""
        instance = replace(made_instance(), study_instance_uid=study, patient=patient)
        return self._threads.submit(self._send, name, instance)

    def _send(self, name: str, instance: SOPInstance) -> object:
        def send() -> Sent | Planned | NotSent:
            answers: Queue[Answer] = Queue()
            self._begun.put((name, answers))
            answer = answers.get(timeout=PATIENCE)
            if isinstance(answer, OSError):
                raise answer
            return answer

        return self._gate.in_turn(instance, send)

    def arrived(self, *names: str) -> list["Queue[Answer]"]:
        """Return the answers of exactly these images, which are sent next, in any order."""
        found = dict(self._begun.get(timeout=PATIENCE) for _ in names)
        assert sorted(found) == sorted(names)
        return [found[name] for name in names]

    def answer(self, name: str, answer: Answer = SENT) -> None:
        """Answer an image, which is sent next."""
        (answers,) = self.arrived(name)
        answers.put(answer)


@pytest.fixture
def sending() -> Iterator[Sending]:
    """Eight threads that send."""
    with ThreadPoolExecutor(8) as threads:
        yield Sending(threads, FirstImages())


def test_a_study_waits_for_its_first_image(sending: Sending) -> None:
    """After its answer, the others are sent together."""
    first = sending.start("a", "1.1", 7)
    (answer,) = sending.arrived("a")
    others = [sending.start(name, "1.1", 7) for name in "bc"]
    other = sending.start("d", "1.2", 8)
    sending.answer("d")
    assert other.result(PATIENCE) is SENT
    assert not any(future.done() for future in others)
    answer.put(SENT)
    for answers in sending.arrived("b", "c"):
        answers.put(SENT)
    assert [future.result(PATIENCE) for future in (first, *others)] == [SENT] * 3


def test_a_patient_waits_for_its_first_image(sending: Sending) -> None:
    """After it, first images of its other studies are sent together."""
    sending.start("a", "1.1", 7)
    (answer,) = sending.arrived("a")
    sending.start("b", "1.2", 7)
    sending.start("c", "1.3", 7)
    sending.start("d", "1.4", 8)
    sending.answer("d")
    answer.put(SENT)
    for answers in sending.arrived("b", "c"):
        answers.put(SENT)


def test_a_known_study_goes_on(sending: Sending) -> None:
    """A first image of another study does not delay it."""
    future = sending.start("a", "1.1", 7)
    sending.answer("a")
    assert future.result(PATIENCE) is SENT
    sending.start("b", "1.2", 8)
    (answer,) = sending.arrived("b")
    sending.start("c", "1.1", 7)
    sending.answer("c")
    answer.put(SENT)


@pytest.mark.parametrize("failure", [REFUSED, OSError()])
def test_after_a_failure_the_next_image_is_first(sending: Sending, failure: Answer) -> None:
    """The study is still unknown."""
    first = sending.start("a", "1.1", 7)
    (answer,) = sending.arrived("a")
    futures = [sending.start("b", "1.1", 7), sending.start("b", "1.1", 7)]
    answer.put(failure)
    sending.answer("b")
    sending.answer("b")
    assert [future.result(PATIENCE) for future in futures] == [SENT, SENT]
    assert (first.exception() or first.result()) is failure


def test_without_patient_id_the_study_stands_in(sending: Sending) -> None:
    """Two studies are sent together, and a second image of one waits."""
    sending.start("a", "1.1")
    sending.start("b", "1.2")
    answers = sending.arrived("a", "b")
    sending.start("c", "1.1")
    sending.start("d", "1.3")
    sending.answer("d")
    answers[0].put(SENT)
    sending.answer("c")
    answers[1].put(SENT)


def test_images_without_a_study_wait_for_none(sending: Sending) -> None:
    """Nothing tells what they belong to."""
    sending.start("a", "", 7)
    sending.start("b", "", 7)
    for answers in sending.arrived("a", "b"):
        answers.put(SENT)


def test_the_number_of_known_studies_is_bounded() -> None:
    """A forgotten study is sent like a new one."""
    with ThreadPoolExecutor(8) as threads:
        sending = Sending(threads, FirstImages(max_known=2))
        for study in ("1.1", "1.2"):
            future = sending.start("a", study, 7)
            sending.answer("a")
            assert future.result(PATIENCE) is SENT
        sending.start("b", "1.1", 7)
        (answer,) = sending.arrived("b")
        sending.start("c", "1.1", 7)
        sending.start("d", "1.3", 8)
        sending.answer("d")
        answer.put(SENT)
        sending.answer("c")
