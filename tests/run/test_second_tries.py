"""A refused image is at fault if the server stores others, and its status decides on a retry."""

from collections.abc import Mapping
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.deliver import MAX_SECOND_TRIES
from fw_gear_dicom_send.reasons import Kind
from tests.support.choosy import Archives, Choosy, number_of, run_steps
from tests.support.fault_scp import FaultSCP, Peer, Script
from tests.support.sample_files import uid_of


def answering_by_number(statuses: Mapping[int, int]) -> Script:
    """Return a script that refuses each image with its status, and stores the others."""

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            peer.answer(image, statuses.get(number_of(image.sop_instance_uid), 0))

    return script


@pytest.mark.parametrize("status", [0x0110, 0xC000, 0xC123])
def test_a_processing_failure_gets_a_second_try(tmp_path: Path, status: int) -> None:
    """It may come from a race, so the image is sent once more, last and alone."""
    with FaultSCP(Choosy(refused=[2, 4], times=1, status=status)) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 7)), tmp_path, associations=4)
        uids = [image.sop_instance_uid for image in server.images]
    assert run.not_sent == {}
    assert uids[6:] == [uid_of(2), uid_of(4)]


@pytest.mark.parametrize("status", [0x0110, 0xC000])
def test_a_second_processing_failure_is_final(tmp_path: Path, status: int) -> None:
    """The image has two tries and the status of the second one."""
    script = Choosy(refused=[2], status=status)
    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 7)), tmp_path)
    assert run.not_sent[2].reason.kind is Kind.REFUSED
    assert run.not_sent[2].transfer.tries == script.tries[uid_of(2)] == 2
    assert sum(run.waits) <= 5


def test_a_processing_failure_of_all_images_is_final(tmp_path: Path) -> None:
    """A server that stored nothing gets no image twice, and no wait."""
    script = Choosy(refused=range(1, 7), status=0xC000)
    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 7)), tmp_path)
    assert {result.reason.kind for result in run.not_sent.values()} == {Kind.REFUSED}
    assert set(script.tries.values()) == {1}
    assert run.waits == []


def test_the_number_of_second_tries_is_limited(tmp_path: Path) -> None:
    """Further images are final at once."""
    images = range(1, MAX_SECOND_TRIES + 21)
    script = Choosy(refused=images[:-1], times=1, status=0x0110)
    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, images), tmp_path)
    assert sorted(run.not_sent) == [*images[MAX_SECOND_TRIES:-1]]
    assert {result.transfer.tries for result in run.not_sent.values()} == {1}


@pytest.mark.parametrize("status", [0xA701, 0xA777, 0xA7FF, 0xA900])
@pytest.mark.parametrize("refused", [range(1, 21), range(1, 11)], ids=["all", "half"])
def test_a_permanent_refusal_costs_no_time(tmp_path: Path, status: int, refused: range) -> None:
    """A7xx other than A700 says nothing about the space of the server."""
    script = Choosy(refused=refused, status=status)
    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 21)), tmp_path)
    assert sorted(run.not_sent) == [*refused]
    assert {result.reason.kind for result in run.not_sent.values()} == {Kind.REFUSED}
    assert {script.tries[uid_of(number)] for number in refused} == {1}
    assert run.waits == []


@pytest.mark.parametrize("status", [0xA700, 0x0213])
def test_an_image_without_resources_is_at_fault_if_others_are_stored(
    tmp_path: Path, status: int
) -> None:
    """It costs 20 s at most, and its reason does not ask for more space."""
    with FaultSCP(answering_by_number({2: status})) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 7)), tmp_path)
    result = run.not_sent[2]
    assert (result.reason.kind, result.reason.status) == (Kind.REFUSED_ALONE, f"0x{status:04X}")
    assert result.transfer.tries == 3
    assert sum(run.waits) <= 20


def test_images_without_resources_are_not_at_fault_if_others_are_refused(tmp_path: Path) -> None:
    """A server that stores nothing gets the whole retry time, and an image it rejects one try."""
    with FaultSCP(answering_by_number({1: 0xC000, 2: 0xA700, 3: 0xA900})) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 4)), tmp_path)
        rejected = [image for image in server.images if image.sop_instance_uid != uid_of(2)]
    assert 300 <= sum(run.waits) < 320
    assert run.not_sent[2].reason.kind in (Kind.OUT_OF_RESOURCES, Kind.GIVEN_UP)
    assert len(rejected) == 2
