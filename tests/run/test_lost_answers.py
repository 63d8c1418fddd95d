"""An image that the server received completely is asked for before it is sent again."""

from collections import Counter
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.inquiry import MAX_FAILURES
from fw_gear_dicom_send.delivery.results import Sent
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.run.quarantine import QuarantinePolicy
from tests.support.choosy import Archives, Run, number_of, run_steps
from tests.support.clock import Clock
from tests.support.fault_scp import STUDY_ROOT_FIND, FaultSCP, Image, Peer
from tests.support.gear_runs import CT
from tests.support.querying import found, query_answer
from tests.support.sample_files import uid_of

SUCCESS, PENDING, UNABLE_TO_PROCESS = 0x0000, 0xFF00, 0xC000


def answer_query(peer: Peer, query: Image, stored: Collection[str]) -> None:
    """Answer a query for an image correctly."""
    for uid in stored:
        if uid.encode() in query.dataset:
            peer.socket.sendall(query_answer(query, PENDING, found(uid)))
    peer.socket.sendall(query_answer(query, SUCCESS))


def fail_query(peer: Peer, query: Image, _: Collection[str]) -> None:
    peer.socket.sendall(query_answer(query, UNABLE_TO_PROCESS))


def abort_on_query(peer: Peer, *_: object) -> None:
    peer.abort()


def ignore_query(peer: Peer, *_: object) -> None:
    peer.read_to_end()


def reject_permanently(peer: Peer) -> None:
    peer.reject(1, 1, 1)


def reject_temporarily(peer: Peer) -> None:
    peer.reject(2, 1, 1)


@dataclass
class LosingAnswers:
    """Server that ends the association instead of its first answer to an image.

    This happens for the images in `lost`. Those in `kept` are stored nevertheless.
    """

    lost: Collection[int]
    kept: Collection[int] = ()
    answer: Callable[[Peer, Image, Collection[str]], None] = answer_query
    refused: tuple[str, ...] = ()
    clock: Clock = field(default_factory=lambda: Clock(tick=1e-6))
    queries: list[float] = field(default_factory=list)
    tries: Counter[int] = field(default_factory=Counter)
    stored: set[str] = field(default_factory=set)

    def __call__(self, peer: Peer) -> None:
        """Answer images and queries."""
        peer.accept(refused=self.refused)
        while True:
            command = peer.read_command()
            if command.sop_class_uid == STUDY_ROOT_FIND:
                self.queries.append(self.clock.time)
                self.answer(peer, peer.read_query(command), self.stored)
                continue
            image = peer.read_image(command)
            number = number_of(image.sop_instance_uid)
            self.tries[number] += 1
            if number in self.lost and self.tries[number] == 1:
                self.stored |= {image.sop_instance_uid} if number in self.kept else set()
                return
            self.stored.add(image.sop_instance_uid)
            peer.answer(image)

    def run(self, folder: Path, images: int, policy: QuarantinePolicy | None = None) -> Run:
        """Send this number of images to the server."""
        with FaultSCP(self) as server:
            return run_steps(
                server,
                Archives(folder, range(1, images + 1)),
                folder,
                clock=self.clock,
                quarantine=policy or QuarantinePolicy(),
            )


def remarks_of(run: Run, number: int) -> list[Kind]:
    """Return the kinds of the remarks on an image that was sent."""
    (result,) = [one.result for one in run.records.images if one.sop_instance_uid == uid_of(number)]
    assert isinstance(result, Sent)
    return [remark.kind for remark in result.remarks]


def test_an_image_that_the_server_has_is_not_sent_twice(tmp_path: Path) -> None:
    """It counts as sent, with a remark."""
    server = LosingAnswers(lost=[2, 4], kept=[2])
    run = server.run(tmp_path, 6)
    assert run.not_sent == {}
    assert remarks_of(run, 2) == [Kind.ANSWER_LOST]
    assert remarks_of(run, 4) == []
    assert server.tries == Counter({1: 1, 2: 1, 3: 1, 4: 2, 5: 1, 6: 1})
    assert len(server.queries) == 2
    assert run.order == [1, 3, 5, 6, 2, 4]


@pytest.mark.parametrize("kept", [(), (1,)])
def test_the_only_image_is_asked_for_after_a_wait(tmp_path: Path, kept: tuple[int, ...]) -> None:
    """The server may still be storing it."""
    server = LosingAnswers(lost=[1], kept=kept)
    run = server.run(tmp_path, 1)
    assert run.not_sent == {}
    assert server.tries[1] == 2 - len(kept)
    (asked_at,) = server.queries
    assert asked_at >= 1000 + 5


def test_a_server_without_queries_gets_the_image_again(tmp_path: Path) -> None:
    """It does not support C-FIND."""
    server = LosingAnswers(lost=[2], kept=[2], refused=(STUDY_ROOT_FIND,))
    run = server.run(tmp_path, 3)
    assert run.not_sent == {}
    assert (server.tries[2], server.queries) == (2, [])
    assert sum(run.waits) == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize(
    "refusal", [reject_permanently, reject_temporarily, Peer.abort, Peer.close]
)
def test_a_server_that_refuses_associations_without_images(
    tmp_path: Path, refusal: Callable[[Peer], None]
) -> None:
    """The run asks for none, as it would give the server up."""
    server = LosingAnswers(lost=[2, 3], refused=(STUDY_ROOT_FIND,))

    def serve(peer: Peer) -> None:
        peer.read_request()
        if CT.encode() in peer.request:
            server(peer)
        else:
            refusal(peer)

    with FaultSCP(serve) as scp:
        run = run_steps(scp, Archives(tmp_path, range(1, 5)), tmp_path, clock=server.clock)
    assert run.not_sent == {}
    assert sum(run.waits) == pytest.approx(5, abs=0.01)


@pytest.mark.parametrize("answer", [fail_query, abort_on_query, ignore_query])
def test_failing_queries_cost_bounded_time(
    tmp_path: Path, answer: Callable[[Peer, Image, Collection[str]], None]
) -> None:
    """After a few failures there are no more queries, and each image is sent again."""
    server = LosingAnswers(lost=[2, 3, 4, 5, 6], answer=answer)
    run = server.run(tmp_path, 6, QuarantinePolicy(query_timeout=0.3))
    assert run.not_sent == {}
    assert len(server.queries) == MAX_FAILURES
    assert {server.tries[number] for number in server.lost} == {2}


def test_an_image_that_was_refused_is_not_asked_for(tmp_path: Path) -> None:
    """The server has not stored it, or has another image with its UID."""
    queries: list[Image] = []

    def script(peer: Peer) -> None:
        peer.accept(refused=())
        while True:
            command = peer.read_command()
            if command.sop_class_uid == STUDY_ROOT_FIND:
                queries.append(peer.read_query(command))
                return
            image = peer.read_image(command)
            peer.answer(image, 0xC000 if image.sop_instance_uid == uid_of(2) else 0)

    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 4)), tmp_path)
    assert queries == []
    assert run.not_sent[2].transfer.tries == 2
