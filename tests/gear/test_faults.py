"""What servers do wrong, each by a run of the whole gear over one association and over four.

What is asserted alike for many faults is run for several of them at a time, as the gear mostly
waits.
"""

import socket
import struct
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock, Timer

import pytest

from fw_gear_dicom_send.network.store import FEWEST_TRIES
from tests.support.fault_runs import (
    ALL_SENT,
    IMAGES,
    LAST,
    NOT_REACHED,
    FaultRun,
    FaultRuns,
    Scripts,
    always,
    number_of,
    once,
    run_gear,
    run_gears,
)
from tests.support.fault_scp import P_DATA_TF, Peer, PeerLeftError, Script, serve

SHORT_PDU = 256
TIMEOUT = 1.0
SMALL_BUFFER = 1 << 15
LARGE, LARGER = 600, 2048
RETRY_SECONDS = 2
SOON = 10.0
PAUSE = 0.04
DOWN_SECONDS = 1.5
GIVEN_UP = "the server was given up after "
CALLED, CALLING = (1, 1, 7), (1, 1, 3)
CONGESTED, LIMIT = (2, 3, 1), (2, 3, 2)


def assert_true_report(run: FaultRun) -> None:
    """Each image was acknowledged once and counts as sent, or is told not to be."""
    acknowledged = run.acknowledged
    assert len(acknowledged) == len(set(acknowledged)), run.result.log
    assert sum(int(sent) for _, sent, _ in run.rows.values()) == len(acknowledged)
    assert sum(run.not_sent.values()) == IMAGES - len(acknowledged)
    assert sum(int(images) for images, _, _ in run.rows.values()) == IMAGES


def assert_nothing_lost(run: FaultRun, seconds: float = SOON) -> None:
    """All images were acknowledged, each once; the report and the exit code say so."""
    assert_true_report(run)
    assert run.rows == ALL_SENT, run.result.log
    assert run.acknowledged == list(range(1, IMAGES + 1))
    assert run.result.exit_code == 0
    assert run.result.seconds < seconds


def assert_given_up(run: FaultRun, reason: str, seconds: float = SOON) -> None:
    """The server was given up after the retry time: each image left is told, and why."""
    assert_true_report(run)
    assert run.result.exit_code == 1
    assert all(reason in told for told in run.not_sent), run.result.log
    assert any(told.startswith(GIVEN_UP) for told in run.not_sent), run.result.log
    assert run.result.seconds < seconds


# What is survived: an association is lost


def after_pdus(number: int, end: Callable[[Peer], None], peer: Peer) -> None:
    """End the association after so many PDUs of it."""
    peer.accept(SHORT_PDU)
    for _ in range(number):
        peer.read_pdu()
    end(peer)


def say(data: bytes, peer: Peer) -> None:
    """Answer an image with these bytes, and read on."""
    peer.accept()
    peer.read_image()
    peer.socket.sendall(data)
    peer.read_to_end()


def say_half_an_answer(end: Callable[[Peer], None], peer: Peer) -> None:
    peer.accept()
    response = peer.response(peer.read_image())
    peer.socket.sendall(response[: len(response) // 2])
    end(peer)


def say_wrong_message_id(peer: Peer) -> None:
    peer.accept()
    image = peer.read_image()
    peer.answer(image, message_id=image.message_id + 1)
    peer.read_to_end()


def give_no_answer(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.stand_still()


def leave_between_images(leave: Callable[[Peer], None], peer: Peer) -> None:
    peer.accept()
    peer.answer(peer.read_image())
    leave(peer)


LOST: dict[str, Script] = {
    "abort after 1 PDU": partial(after_pdus, 1, Peer.abort),
    "abort after 6 PDUs": partial(after_pdus, 6, Peer.abort),
    "reset in mid-image": partial(after_pdus, 3, Peer.reset),
    "close in mid-image": partial(after_pdus, 3, Peer.close),
    "no answer": give_no_answer,
    "wrong message ID": say_wrong_message_id,
    "garbage": partial(say, b"HTTP/1.1 400 Bad Request\r\n\r\n"),
    "a PDU of 4 GiB": partial(say, struct.pack(">BBL", P_DATA_TF, 0, 0xFFFFFFF0) + bytes(64)),
    "half an answer, then silence": partial(say_half_an_answer, Peer.stand_still),
    "half an answer, then the end": partial(say_half_an_answer, Peer.close),
    "release between images": partial(leave_between_images, Peer.request_release),
    "abort between images": partial(leave_between_images, Peer.abort),
}


@pytest.fixture(scope="module")
def lost(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    return run_gears(tmp_path_factory, {name: once(script) for name, script in LOST.items()})


@pytest.mark.parametrize("name", LOST)
def test_a_lost_association_loses_no_image(lost: FaultRuns, name: str) -> None:
    """What was not acknowledged goes again, once, on another association."""
    for run in lost[name]:
        assert_nothing_lost(run)
        assert run.connections >= 3


@pytest.mark.parametrize("leave", [Peer.close, Peer.reset])
def test_a_server_that_takes_one_image_an_association(
    tmp_path: Path, leave: Callable[[Peer], None]
) -> None:
    """A connection that ends after each answer costs a new one each time, and no image."""
    for run in run_gear(tmp_path, always(partial(answer_and_wait, leave))):
        assert_nothing_lost(run)
        assert run.connections > IMAGES


def answer_and_wait(leave: Callable[[Peer], None], peer: Peer) -> None:
    """Answer an image, and leave a little later, so that the answer is read before a reset."""
    peer.accept()
    peer.answer(peer.read_image())
    time.sleep(0.05 if leave is Peer.reset else 0)
    leave(peer)


def test_a_duplicate_on_a_resend_was_stored_before(tmp_path: Path) -> None:
    """An image that was stored, but not acknowledged, counts as sent when it is there already."""
    for run in run_gear(tmp_path, lambda n: (serve, *[lose_after_image] * n, say_duplicate)):
        assert run.rows == ALL_SENT, run.result.log
        assert run.result.exit_code == 0
        assert 0x0111 in {answer.status for answer in run.answers}
        most = max(Counter(image.sop_instance_uid for image in run.images).values())
        assert 2 <= most <= 1 + run.associations  # of which each loses one image


def lose_after_image(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.close()


def say_duplicate(peer: Peer) -> None:
    """Answer by what came before, on any association."""
    peer.accept()
    while True:
        image = peer.read_image()
        uids = [one.sop_instance_uid for one in peer.server.images]
        peer.answer(image, 0x0111 if uids.count(image.sop_instance_uid) > 1 else 0)


# What is survived: no association at first


def refuse(rejection: tuple[int, int, int], peer: Peer) -> None:
    peer.reject(*rejection)


def abort_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.abort()
    peer.close()


def answer_request(data: bytes, peer: Peer) -> None:
    peer.read_pdu()
    peer.socket.sendall(data)


NOT_OPENED: dict[str, Script] = {
    "silence": Peer.stand_still,
    "close": Peer.close,
    "abort": abort_request,
    "garbage": partial(answer_request, b"SSH-2.0-OpenSSH_9.2\r\n"),
    "congested": partial(refuse, CONGESTED),
    "limit": partial(refuse, LIMIT),
}


@pytest.fixture(scope="module")
def not_opened(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    return run_gears(tmp_path_factory, {name: once(script) for name, script in NOT_OPENED.items()})


@pytest.mark.parametrize("name", NOT_OPENED)
def test_an_association_that_is_refused_for_a_while(not_opened: FaultRuns, name: str) -> None:
    """After the check the server gives no association several times, and then does."""
    for run in not_opened[name]:
        assert_nothing_lost(run)
        assert run.connections >= 3


def test_a_transient_rejection_of_the_check_is_waited_out(tmp_path: Path) -> None:
    """A server that is busy when the run begins is asked again, which is told once."""
    for run in run_gear(tmp_path, lambda _: (*[partial(refuse, LIMIT)] * 2, serve)):
        assert_nothing_lost(run)
        assert run.result.log.count("it is asked again for up to 300 s") == 1


def test_the_check_has_the_retry_time_for_a_transient_rejection(tmp_path: Path) -> None:
    """Where there is none the server is asked once."""
    for run in run_gear(tmp_path, lambda _: (partial(refuse, LIMIT),), send_retry_time=0):
        assert "its limit of associations is reached: try again later" in run.result.log
        assert (run.connections, run.downloads, run.result.exit_code) == (1, 0, 1)


def test_a_server_that_starts_anew_in_mid_run(tmp_path: Path) -> None:
    """Its port refuses connections for a while, and nothing is lost."""
    for run in run_gear(tmp_path, lambda n: (serve, *[Restart(DOWN_SECONDS)] * n, serve)):
        assert_nothing_lost(run)
        assert run.connections < 30


class Restart:
    """A server that dies in its second image, and listens again after some seconds, or never."""

    def __init__(self, seconds: float | None) -> None:
        self._seconds = seconds
        self._deaths = Lock()

    def __call__(self, peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_command()
        if self._deaths.acquire(blocking=False):
            peer.server.stop_listening()
            if self._seconds is not None:
                Timer(self._seconds, peer.server.listen).start()
        peer.reset()


# What is no fault


def test_a_slow_reader_is_waited_for(tmp_path: Path) -> None:
    """A server that reads an image bit by bit, for longer than each timeout, gets it."""
    for run in run_gear(tmp_path, always(read_slowly), size_of_last=LARGE):
        assert_nothing_lost(run, seconds=30)
        assert run.result.seconds > 3 * TIMEOUT
        assert len(run.images) == IMAGES


def read_slowly(peer: Peer) -> None:
    """Read the large image with a pause before each bit."""
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    peer.accept()
    while True:
        command = peer.read_command()
        peer.pause = PAUSE if number_of(command.sop_instance_uid) == LAST else 0
        peer.answer(peer.read_image(command))


def test_a_reader_that_stops_in_mid_image_is_given_up(tmp_path: Path) -> None:
    """A server that reads nothing any more loses its association, and gets the image again."""
    for run in run_gear(tmp_path, once(stop_reading), size_of_last=LARGER):
        assert_nothing_lost(run, seconds=20)


def stop_reading(peer: Peer) -> None:
    peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, SMALL_BUFFER)
    peer.accept()
    while True:
        command = peer.read_command()
        if number_of(command.sop_instance_uid) == LAST:
            peer.stand_still()
        peer.answer(peer.read_image(command))


@pytest.mark.parametrize("end", [Peer.close, Peer.stand_still])
def test_the_end_of_the_last_association_costs_nothing(
    tmp_path: Path, end: Callable[[Peer], None]
) -> None:
    """What a server does instead of answering a release is not the images' affair."""
    for run in run_gear(tmp_path, lambda _: [partial(end_on_release, end)]):
        assert_nothing_lost(run)
        assert run.not_sent == {}


def end_on_release(end: Callable[[Peer], None], peer: Peer) -> None:
    peer.answers_release = False
    with suppress(PeerLeftError):
        serve(peer)
    end(peer)


# What is told: the server refuses images


STATUSES: dict[int, tuple[int, ...]] = {
    2: (0xB000,),
    3: (0x0111,),
    4: (0xA700,),
    5: (0xA700, 0xA701, 0x0000),
    6: (0x0213, 0x0000),
    7: (0xA900,),
    8: (0xC000,),
    9: (0x0122,),
    10: (0x0124,),
    11: (0xA700, 0xC001),
}
"""What each image is answered with, the last status again and again; Success by default."""


def test_each_status_has_its_own_end(tmp_path: Path) -> None:
    """Warnings count as sent, want of resources is tried again, all else is final."""
    for run in run_gear(tmp_path, always(answer_by_status), send_retry_time=3 * RETRY_SECONDS):
        assert_true_report(run)
        assert run.acknowledged == [1, 2, 5, 6, 12]
        tries = Counter(number_of(image.sop_instance_uid) for image in run.images)
        assert tries.pop(4) >= FEWEST_TRIES
        assert tries == Counter(range(1, 13)) - Counter([4]) + Counter({5: 2, 6: 1, 11: 1})
        assert {
            reason.split()[1]: number for reason, number in run.not_sent.items()
        } == dict.fromkeys(
            ("0x0111", "0xA700", "0xA900", "0xC000", "0x0122", "0x0124", "0xC001"), 1
        )
        assert "a.zip: 1 image sent, status 0xB000" in run.result.log
        assert run.rows["a.zip"] == ("5", "3", "Incomplete")
        assert run.rows["b.tgz"] == ("6", "1", "Incomplete")
        assert run.rows["c.dcm"] == ALL_SENT["c.dcm"]
        assert run.result.exit_code == 1
        assert run.result.seconds < SOON


def answer_by_status(peer: Peer) -> None:
    peer.accept()
    while True:
        image = peer.read_image()
        uids = [one.sop_instance_uid for one in peer.server.images]
        statuses = STATUSES.get(number_of(image.sop_instance_uid), (0x0000,))
        tries = uids.count(image.sop_instance_uid)
        peer.answer(image, statuses[min(tries, len(statuses)) - 1])


def test_a_server_that_stays_out_of_resources_is_given_up(tmp_path: Path) -> None:
    """It stores some images and then none: the rest is told with one reason."""
    for run in run_gear(tmp_path, always(run_out), send_retry_time=1):
        assert_given_up(run, "status 0xA700 Refused: Out of Resources")
        assert run.rows["a.zip"] == ("5", "4", "Incomplete")
        assert len(run.images) < IMAGES * FEWEST_TRIES


def run_out(peer: Peer) -> None:
    """Have room for the first four images."""
    peer.accept()
    while True:
        image = peer.read_image()
        peer.answer(image, 0x0000 if number_of(image.sop_instance_uid) <= 4 else 0xA700)


# What is told: the server is gone


FOR_EVER: dict[str, tuple[Script, str]] = {
    "dies with each image": (
        partial(after_pdus, 3, Peer.reset),
        "the connection was lost",
    ),
    "never answers": (give_no_answer, "the server gave no answer in 1 s"),
    "congested": (NOT_OPENED["congested"], "rejected the association: it is temporarily"),
    "silent": (Peer.stand_still, "did not answer the association request as a DICOM server does"),
}


@pytest.fixture(scope="module")
def for_ever(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    scripts = {name: always(script) for name, (script, _) in FOR_EVER.items()}
    return run_gears(tmp_path_factory, scripts, send_retry_time=RETRY_SECONDS)


@pytest.mark.parametrize("name", FOR_EVER)
def test_a_server_that_never_recovers_is_given_up(for_ever: FaultRuns, name: str) -> None:
    """After the retry time all images are told, without a connection for each try of each."""
    script, reason = FOR_EVER[name]
    for run in for_ever[name]:
        assert_given_up(run, reason)
        assert run.acknowledged == []
        assert run.connections < IMAGES * FEWEST_TRIES - IMAGES
        if script in NOT_OPENED.values():
            assert list(run.not_sent.values()) == [IMAGES]
            assert run.connections < 30


def test_a_server_that_never_starts_again_is_given_up(tmp_path: Path) -> None:
    """What it took is counted, all else is told, and its port is tried a few times only."""
    scripts: Scripts = lambda n: (serve, *[Restart(None)] * n, serve)  # noqa: E731
    for run in run_gear(tmp_path, scripts, send_retry_time=RETRY_SECONDS):
        assert_given_up(run, "Connection refused")
        assert len(run.not_sent) == 1
        assert 1 <= len(run.acknowledged) <= run.associations
        assert run.connections < 30


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        (CALLED, "it does not know the called AE title 'PACS'"),
        (CALLING, "it does not know the calling AE title 'flywheel'"),
    ],
)
def test_a_permanent_rejection_in_mid_run_ends_it(
    tmp_path: Path, rejection: tuple[int, int, int], reason: str
) -> None:
    """It is not asked again, and the title at fault is named."""
    for run in run_gear(
        tmp_path, always(partial(refuse, rejection)), send_retry_time=RETRY_SECONDS
    ):
        assert_true_report(run)
        ((told, number),) = run.not_sent.items()
        assert told.endswith(reason)
        assert (number, run.result.exit_code) == (IMAGES, 1)
        assert run.connections <= 1 + run.associations


# What is told: the check before the first download


def give_no_echo(peer: Peer) -> None:
    peer.accept()
    peer.stand_still()


CHECK: dict[str, tuple[Script, str]] = {
    "called AE title": (partial(refuse, CALLED), "the called AE title 'PACS': check called_ae"),
    "calling AE title": (partial(refuse, CALLING), "the calling AE title 'flywheel': check"),
    "limit": (partial(refuse, LIMIT), "its limit of associations is reached: try again later"),
    "silence": (Peer.stand_still, "as a DICOM server does: check that destination and port"),
    "close": (Peer.close, "as a DICOM server does: check that destination and port"),
    "abort": (abort_request, "as a DICOM server does: check that destination and port"),
    "no answer to the C-ECHO": (give_no_echo, "the server gave no answer in 1 s: check"),
}


def scripts_of_check(script: Script, _: int) -> Sequence[Script]:
    return [script]


@pytest.fixture(scope="module")
def checked(tmp_path_factory: pytest.TempPathFactory) -> FaultRuns:
    scripts = {name: partial(scripts_of_check, script) for name, (script, _) in CHECK.items()}
    return run_gears(tmp_path_factory, scripts, numbers=[4], send_retry_time=RETRY_SECONDS)


@pytest.mark.parametrize("name", CHECK)
def test_a_server_that_fails_the_check_gets_no_image(checked: FaultRuns, name: str) -> None:
    """Nothing is downloaded; the log says in one line what happened and what to check."""
    _, reason = CHECK[name]
    for run in checked[name]:
        assert reason in run.result.log
        assert run.rows == NOT_REACHED
        assert run.downloads == 0
        assert (run.images, run.result.exit_code) == ((), 1)
        assert run.connections == 1 or name == "limit"
        assert run.result.seconds < SOON
