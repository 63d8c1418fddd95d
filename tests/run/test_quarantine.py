"""Images that the server rejects or aborts on cost only themselves, and are tried last."""

from pathlib import Path
from signal import Signals

import pytest

from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import ImageRecord
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.run.quarantine import QuarantinePolicy
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.choosy import Archives, Choosy, Records, number_of, run_steps
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.sample_files import uid_of
from tests.support.waiting import LONG_TIMEOUTS

IMAGES = range(1, 201)
PLACES: dict[str, list[int]] = {
    "first": [*range(1, 33)],
    "last": [*range(169, 201)],
    "mixed": [*range(3, 195, 6)],
}
NOT_HELD = QuarantinePolicy(max_bytes=0)


@pytest.mark.slow
@pytest.mark.parametrize("associations", [1, 4])
@pytest.mark.parametrize("place", PLACES)
def test_bad_images_do_not_delay_the_others(tmp_path: Path, place: str, associations: int) -> None:
    """Sixteen images that end their association and sixteen rejected ones affect no others.

    The others are sent once without a wait; then the bad ones are retried.
    """
    bad = PLACES[place]
    killers, refused = bad[::2], bad[1::2]
    script = Choosy(killers, refused)
    source = Archives(tmp_path, IMAGES)
    with FaultSCP(script) as server:
        run = run_steps(server, source, tmp_path, associations=associations)
        connections = server.connections
    good = [number for number in IMAGES if number not in bad]
    assert sorted(run.order[:168]) == good
    assert {script.tries[uid_of(number)] for number in good} == {1}
    assert set(run.not_sent) == set(bad)
    assert {run.not_sent[n].reason.kind for n in killers} == {Kind.LOST_ALONE}
    reasons = {run.not_sent[n].reason.kind for n in refused}
    assert reasons <= {Kind.REFUSED_ALONE, *([Kind.OUT_OF_RESOURCES] if place == "last" else [])}
    assert {script.tries[uid_of(n)] for n in refused} == {3}
    assert {run.not_sent[n].transfer.tries for n in refused} == {3}
    tries = {n: script.tries[uid_of(n)] for n in killers}
    assert set(tries.values()) == {3}
    assert {n: run.not_sent[n].transfer.tries for n in killers} == tries
    assert connections <= 2 * sum(tries.values()) + associations
    assert sum(run.waits) < 50
    assert [(row.images, row.sent) for row in run.rows] == [(200, 168)]
    assert [report.sent for report in run.records.files] == [168]
    assert source.fetched == ["0.zip"]


def test_the_last_image_is_blamed_for_three_lost_connections(tmp_path: Path) -> None:
    """No image follows it, but the server stored others before."""
    with FaultSCP(Choosy(killers=[4])) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 5)), tmp_path)
    assert {n: result.reason.kind for n, result in run.not_sent.items()} == {4: Kind.LOST_ALONE}
    assert "firewall" not in Kind.LOST_ALONE.advice


@pytest.mark.parametrize("associations", [1, 4])
def test_a_server_temporarily_out_of_resources_receives_all_images(
    tmp_path: Path, associations: int
) -> None:
    """Rejected images are resent at the end and count once."""
    script = Choosy(refused=range(10, 30), times=1)
    with FaultSCP(script) as server:
        run = run_steps(
            server, Archives(tmp_path, IMAGES[:50]), tmp_path, associations=associations
        )
    assert run.not_sent == {}
    assert sorted(run.order[30:]) == [*range(10, 30)]
    assert [(row.images, row.sent) for row in run.rows] == [(50, 50)]


def test_images_are_in_archive_order_except_for_retries(tmp_path: Path) -> None:
    """This is true for one association."""
    with FaultSCP(Choosy(killers=[2], refused=[4], times=2)) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 7)), tmp_path)
        uids = [image.sop_instance_uid for image in server.images]
    assert uids == [uid_of(number) for number in (1, 2, 3, 4, 5, 6, 2, 4, 2, 4)]
    assert run.not_sent == {}


def test_large_images_are_read_again(tmp_path: Path) -> None:
    """An image that is not kept in memory is read from its file again; the rest is skipped."""
    source = Archives(tmp_path, range(1, 6), range(6, 11), range(11, 16))
    with FaultSCP(Choosy(refused=[2, 4, 12], times=1)) as server:
        run = run_steps(server, source, tmp_path, quarantine=NOT_HELD)
        uids = [image.sop_instance_uid for image in server.images]
    assert run.not_sent == {}
    assert source.fetched == ["0.zip", "1.zip", "2.zip", "0.zip", "2.zip"]
    assert uids[15:] == [uid_of(number) for number in (2, 4, 12)]
    assert [(row.images, row.sent) for row in run.rows] == [(5, 5)] * 3


def test_an_image_whose_file_is_gone_keeps_its_first_reason(tmp_path: Path) -> None:
    """It is not sent and has the server's reason; images of other files are retried."""
    source = Archives(tmp_path, range(1, 6), range(6, 11))
    source.lost = {"0.zip"}
    with FaultSCP(Choosy(refused=[2, 7], times=1)) as server:
        run = run_steps(server, source, tmp_path, quarantine=NOT_HELD)
    assert {n: result.reason.kind for n, result in run.not_sent.items()} == {2: Kind.REFUSED_ALONE}
    assert run.not_sent[2].transfer.tries == 1
    assert [(row.images, row.sent) for row in run.rows] == [(5, 4), (5, 5)]


def test_missing_files_do_not_delay_the_run(tmp_path: Path) -> None:
    """If no image was accepted and none can be read again, each keeps its first reason."""
    source = Archives(tmp_path, range(1, 6))
    source.lost = {"0.zip"}
    with FaultSCP(Choosy(refused=range(1, 6))) as server:
        run = run_steps(server, source, tmp_path, quarantine=NOT_HELD)
    assert {result.reason.kind for result in run.not_sent.values()} == {Kind.OUT_OF_RESOURCES}
    assert len(source.fetched) < 5


def test_the_number_of_suspect_images_is_limited(tmp_path: Path) -> None:
    """Further ones fail immediately for their own reason."""
    with FaultSCP(Choosy(refused=[2, 3, 4], times=1)) as server:
        run = run_steps(
            server,
            Archives(tmp_path, range(1, 6)),
            tmp_path,
            quarantine=QuarantinePolicy(max_images=2),
        )
    assert set(run.not_sent) == {4}
    assert run.not_sent[4].transfer.tries == 1


def test_a_retried_image_is_alone(tmp_path: Path) -> None:
    """With any number of associations, nothing else is in flight."""
    choosy = Choosy(refused=range(1, 9), times=2)
    in_flight: list[int] = [0]
    most: list[int] = [0]

    def script(peer: Peer) -> None:
        answer = peer.answer

        def watch(*args: object) -> None:
            answer(*args)
            in_flight[0] -= 1

        read = peer.read_image

        def count() -> object:
            image = read()
            in_flight[0] += 1
            if choosy.tries[image.sop_instance_uid]:
                most[0] = max(most[0], in_flight[0])
            return image

        peer.answer, peer.read_image = watch, count  # type: ignore[assignment]
        choosy(peer)

    with FaultSCP(script) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 20)), tmp_path, associations=4)
    assert run.not_sent == {}
    assert most == [1]


@pytest.mark.slow
@pytest.mark.parametrize("associations", [1, 4])
def test_a_server_permanently_out_of_resources_exhausts_the_retry_time(
    tmp_path: Path, associations: int
) -> None:
    """Other images are tried during the retry time; then all fail, and no more are read."""
    source = Archives(tmp_path, *(range(n, n + 50) for n in range(1, 2000, 50)))
    script = Choosy(refused=range(1, 2001))
    with FaultSCP(script) as server:
        run = run_steps(server, source, tmp_path, associations=associations)
        requests = len(server.images)
    assert 64 < requests < 500
    assert len(script.tries) == requests
    assert 300 <= sum(run.waits) < 320
    assert {row.sent for row in run.rows} == {0}
    kinds = {result.reason.kind for result in run.not_sent.values()}
    assert kinds == {Kind.GIVEN_UP, Kind.OUT_OF_RESOURCES}


def test_a_small_run_waits_for_a_server_out_of_resources(tmp_path: Path) -> None:
    """If no image was accepted, they are tried until one is, within the retry time."""
    with FaultSCP(Choosy(refused=range(1, 5), times=8)) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 5)), tmp_path)
    assert run.not_sent == {}
    assert sum(run.waits) > 60


def test_a_small_run_exhausts_the_retry_time(tmp_path: Path) -> None:
    """The images have the server's reason, or that of the exhausted retry time."""
    with FaultSCP(Choosy(refused=range(1, 5))) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 5)), tmp_path)
    assert 300 <= sum(run.waits) < 320
    assert len(run.not_sent) == 4


class Silent:
    """Server that answers echoes, but not the images with these numbers."""

    def __init__(self, *numbers: int) -> None:
        self._uids = {uid_of(number) for number in numbers}

    def __call__(self, peer: Peer) -> None:
        """Accept the association, and answer other images."""
        peer.accept()
        while True:
            image = peer.read_image()
            if image.sop_instance_uid not in self._uids:
                peer.answer(image)


def test_an_image_without_response_is_tried_again_at_the_end(tmp_path: Path) -> None:
    """It costs two waits for a response, but no other image."""
    timeouts = replace(LONG_TIMEOUTS, response=0.3)
    with FaultSCP(Silent(3)) as server:
        run = run_steps(server, Archives(tmp_path, range(1, 9)), tmp_path, timeouts=timeouts)
    assert run.order == [1, 2, 4, 5, 6, 7, 8, 3]
    assert run.not_sent[3].reason.kind is Kind.NO_ANSWER
    assert run.not_sent[3].transfer.tries == 2


@pytest.mark.parametrize("associations", [1, 3])
def test_a_server_that_answers_no_image_fails(tmp_path: Path, associations: int) -> None:
    """The limit is two images and one for each association, because each costs a long wait."""
    timeouts = replace(LONG_TIMEOUTS, response=0.3)
    with FaultSCP(Silent(*range(1, 51))) as server:
        run = run_steps(
            server,
            Archives(tmp_path, range(1, 51)),
            tmp_path,
            associations=associations,
            timeouts=timeouts,
        )
        assert len(server.images) < 3 + 2 * associations + 1
    reason = f"{wording.GIVEN_UP} {2 + associations} images in a row without an answer"
    assert any(result.reason.text.startswith(reason) for result in run.not_sent.values())
    assert len(run.not_sent) == 50


def test_suspect_images_are_reported_if_the_run_is_cancelled(tmp_path: Path) -> None:
    """Each has its own reason; one that the server received completely may be stored."""

    class Cancelling(Records):
        def image(self, record: ImageRecord) -> None:
            super().image(record)
            if len(self.images) == 5:
                raise CancelledError(Signals.SIGTERM)

    records = Cancelling()
    with FaultSCP(Choosy([3], [2])) as server, pytest.raises(CancelledError):
        run_steps(server, Archives(tmp_path, range(1, 9)), tmp_path, records=records)
    results = {number_of(one.sop_instance_uid): one.result for one in records.images}
    kinds = [one.reason.kind for one in (results[2], results[3]) if isinstance(one, NotSent)]
    assert kinds == [Kind.OUT_OF_RESOURCES, Kind.UNANSWERED]
