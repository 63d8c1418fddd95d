"""Images that go over several associations at once, and associations that come and go."""

import errno
import logging
import socket
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, wait

import pytest
from fw_gear_dicom_send.network.patience import Patience

from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.network import (
    association as upper_layer,
)
from fw_gear_dicom_send.network import (
    pool as association_pool,
)
from fw_gear_dicom_send.network import (
    store as storage_scu,
)
from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.connection import UpperLayer
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE, StoreResult
from tests.support.fault_scp import A_RELEASE_RP, A_RELEASE_RQ, FaultSCP, Peer, serve
from tests.support.instances import made_instance, relabelled
from tests.support.pacs import CStore, PythonSCP, StoreSCP

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
CONTEXT = Context(CT, EXPLICIT)
SENT = StoreResult(True)
ENDED = StoreResult(False, "the run ended before it")
PATIENCE = 60.0
SOON = 10.0

Server = FaultSCP | PythonSCP | StoreSCP
Sending = list[Future[StoreResult]]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Whatever happens to associations, no thread of theirs outlives them."""
    yield
    assert wait_for(lambda: not upper_layers())


def upper_layers() -> list[UpperLayer]:
    return [thread for thread in threading.enumerate() if isinstance(thread, UpperLayer)]


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def peer_of(server: Server) -> PeerAE:
    return PeerAE("127.0.0.1", server.port, "CALLED", "CALLING")


def scu_of(server: Server, associations: int = 4, *, retry_time: float = PATIENCE) -> StorageSCU:
    return StorageSCU(
        peer_of(server),
        lambda *_: Unreadable("not converted"),
        associations=associations,
        retry_time=retry_time,
    )


@pytest.fixture
def _short_waits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let back-off go on as it does, in steps that a test can wait for."""
    monkeypatch.setattr(association_pool, "_LONGEST_WAIT", 0.05)
    monkeypatch.setattr(storage_scu, "_LONGEST_WAIT", 0.05)


def ct(*numbers: int) -> list[SOPInstance]:
    return [relabelled(n, sop_class=CT, transfer_syntax=EXPLICIT) for n in numbers]


def mr(*numbers: int) -> list[SOPInstance]:
    return [relabelled(n, sop_class=MR, transfer_syntax=EXPLICIT) for n in numbers]


def start(scu: StorageSCU, images: Iterable[SOPInstance], threads: int = 4) -> Sending:
    """Send images over so many threads, each of which takes the next one in turn."""
    sending: list[tuple[Future[StoreResult], SOPInstance]] = [(Future(), one) for one in images]
    left = deque(sending)

    def run() -> None:
        while left:
            try:
                future, image = left.popleft()
            except IndexError:
                return
            try:
                future.set_result(scu.send(image))
            except Exception as exc:
                future.set_exception(exc)

    for _ in range(threads):
        threading.Thread(target=run, daemon=True).start()
    return [future for future, _ in sending]


def results_of(sending: Sending, seconds: float = PATIENCE) -> list[StoreResult]:
    """Wait for images to be sent; return what became of them, in their order."""
    assert not wait(sending, seconds).not_done
    return [future.result() for future in sending]


def send_all(
    scu: StorageSCU, images: Iterable[SOPInstance], threads: int = 4, seconds: float = PATIENCE
) -> list[StoreResult]:
    return results_of(start(scu, images, threads), seconds)


class Together:
    """A script that answers images so many at a time, when all of them are there."""

    def __init__(self, images: int = 4) -> None:
        self._barrier = threading.Barrier(images, timeout=PATIENCE)

    def __call__(self, peer: Peer) -> None:
        """Accept the association, and answer its images."""
        peer.accept()
        while True:
            image = peer.read_image()
            self._barrier.wait()
            peer.answer(image)


def limit_told(caplog: pytest.LogCaptureFixture) -> str:
    """Return the one warning that there is."""
    assert wait_for(lambda: bool(caplog.records))
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    return record.getMessage()


# As many as are wanted


@pytest.mark.parametrize("associations", [1, 3])
def test_as_many_images_are_in_flight_as_there_are_associations(associations: int) -> None:
    """Each association carries an image at the same time; none has more than one."""
    with FaultSCP(Together(associations)) as server:
        scu = scu_of(server, associations)
        images = ct(*range(4 * associations))
        assert send_all(scu, images, 4) == [SENT] * len(images)
        scu.close()
        counts = Counter(image.connection for image in server.images)
    assert counts == dict.fromkeys(range(1, associations + 1), 4)
    assert len({image.sop_instance_uid for image in server.images}) == len(images)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_no_more_associations_are_opened_than_needed(threads: int) -> None:
    """So many threads, each with one image after the other, need as many associations."""
    with FaultSCP(Together(threads)) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(*range(30)), threads) == [SENT] * 30
        scu.close()
        assert server.connections == threads


def test_many_small_images_go_over_four_associations(caplog: pytest.LogCaptureFixture) -> None:
    """Of 4,000 images none is lost and none is sent twice."""
    together = threading.Barrier(4, timeout=PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        first = peer.read_image()
        together.wait()
        peer.answer(first)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(*range(4000))) == [SENT] * 4000
        scu.close()
        assert server.connections == 4
        assert server.ends == ["released"] * 4
        uids = [image.sop_instance_uid for image in server.images]
    assert len(uids) == 4000
    assert set(uids) == {f"1.2.3.4.{n}" for n in range(4000)}
    assert {image.connection for image in server.images} == {1, 2, 3, 4}
    assert caplog.records == []


# Servers that take fewer


def test_a_limit_of_the_server_is_told_once(caplog: pytest.LogCaptureFixture) -> None:
    """With two of four associations all images are sent; one warning says why."""
    go_on = threading.Event()

    def hold(_: CStore) -> int:
        go_on.wait(PATIENCE)
        return 0x0000

    server = PythonSCP(status=hold)
    server.ae.maximum_associations = 2
    with server:
        scu = scu_of(server)
        first = start(scu, [made_instance(n) for n in range(20)], threads=2)
        assert wait_for(lambda: len(server.stored) == 2)
        second = start(scu, [made_instance(n) for n in range(20, 40)], threads=2)
        told = limit_told(caplog)
        go_on.set()
        assert results_of(first + second) == [SENT] * 40
        assert {record.association for record in server.stored} == {1, 2}
        assert 4 <= len(server.associations) <= 8
        assert scu.send(made_instance(40, SOPClassUID=MR)) == SENT
        scu.close()
    assert told == (
        f"Going on with 2 of 4 associations: 127.0.0.1 port {server.port} "
        "rejected the association: its limit of associations is reached"
    )
    assert len(caplog.records) == 1


def test_a_server_that_refuses_further_connections(caplog: pytest.LogCaptureFixture) -> None:
    """Where only the first connection is taken it carries all images, and the log says so."""
    go_on = threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.server.stop_listening()
        go_on.wait(PATIENCE)
        peer.answer(image)
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        scu = scu_of(server)
        first = start(scu, ct(*range(5)), threads=1)
        assert wait_for(lambda: bool(server.images))
        second = start(scu, ct(*range(5, 30)), threads=3)
        told = limit_told(caplog)
        go_on.set()
        assert results_of(first + second) == [SENT] * 30
        scu.close()
        assert server.connections == 1
    assert told == (
        "Going on with 1 of 4 associations: "
        f"cannot connect to 127.0.0.1 port {server.port}: Connection refused"
    )
    assert len(caplog.records) == 1


def test_a_server_that_lets_further_associations_wait(caplog: pytest.LogCaptureFixture) -> None:
    """Where one association is served at a time nobody waits for the others, even in the end."""
    with StoreSCP("+xa") as server:
        scu = scu_of(server)
        begun = time.monotonic()
        assert send_all(scu, [made_instance(n) for n in range(40)]) == [SENT] * 40
        scu.close()
        assert time.monotonic() - begun < SOON
        assert len(server.received()) == 40
    assert caplog.records == []


# New contexts


def test_each_association_is_replaced_once_for_a_new_context() -> None:
    """Those that lack a context are opened anew, as many as carry it, and released before."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        assert send_all(scu, mr(5, 6, 7, 8)) == [SENT] * 4
        assert server.connections == 8
        mixed = [one for n in range(9, 21, 2) for one in (*ct(n), *mr(n + 1))]
        assert send_all(scu, mixed) == [SENT] * 12
        scu.close()
        assert server.connections == 8
        assert server.ends == ["released"] * 8


def test_a_single_image_of_a_new_context_needs_one_association() -> None:
    """Of four idle associations one is replaced; the others stay."""
    together = Together()

    def script(peer: Peer) -> None:
        if peer.number <= 4:
            together(peer)
        serve(peer)

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        assert send_all(scu, mr(5, 6, 7), threads=1) == [SENT] * 3
        assert server.connections == 5
        assert server.ends == ["released"]
        scu.close()


def test_a_new_context_is_not_starved() -> None:
    """An image that nothing idle can carry gets its turn, though others are always waiting."""
    stop = threading.Event()
    sent: list[StoreResult] = []

    def go_on_sending() -> None:
        while not stop.is_set():
            sent.append(scu.send(ct(1)[0]))

    with FaultSCP() as server:
        scu = scu_of(server, associations=1)
        threads = [threading.Thread(target=go_on_sending, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert wait_for(lambda: len(server.images) > 20)
        before = len(server.images)
        assert send_all(scu, mr(2), threads=1) == [SENT]
        at = next(n for n, image in enumerate(server.images) if image.sop_class_uid == MR)
        stop.set()
        for thread in threads:
            thread.join(SOON)
        scu.close()
        assert server.connections == 2
    assert at - before < 10
    assert set(sent) == {SENT}


def test_who_comes_first_is_served_first() -> None:
    """Those who wait get an association in their order, whatever they need."""
    other = Context(MR, EXPLICIT)
    served: list[int] = []

    def use(number: int, wanted: Context) -> None:
        with pool.association(wanted):
            served.append(number)

    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 1, Patience(PATIENCE))
        with pool.association(CONTEXT):
            for number, wanted in enumerate([CONTEXT, other, CONTEXT, other, CONTEXT]):
                threading.Thread(target=use, args=(number, wanted), daemon=True).start()
                assert wait_for(lambda count=number + 1: len(pool._waiters) == count)
        assert wait_for(lambda: len(served) == 5)
        pool.close()
        assert server.connections == 2
    assert served == [0, 1, 2, 3, 4]


# Servers that cannot be had


def test_a_server_that_is_not_there(caplog: pytest.LogCaptureFixture) -> None:
    """All threads fail for the same reason, and no connection is made after that."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = PeerAE("127.0.0.1", port, "A", "B")
    scu = StorageSCU(peer, lambda *_: Unreadable(""), associations=4, retry_time=0)
    reason = f"cannot connect to 127.0.0.1 port {port}: Connection refused"
    assert send_all(scu, ct(*range(12)), seconds=SOON) == [StoreResult(False, reason)] * 12
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert send_all(scu, ct(1, 2, 3, 4)) == [StoreResult(False, reason)] * 4
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()
    assert caplog.records == []


def test_a_permanent_rejection_ends_all_threads() -> None:
    """A server that does not know an AE title is asked once by each thread at most."""
    with FaultSCP(lambda peer: peer.reject(1, 1, 7)) as server:
        scu = scu_of(server)
        results = send_all(scu, ct(*range(12)), seconds=SOON)
        assert wait_for(lambda: not scu._pool._openings)
        connections = server.connections
        assert connections <= 4
        assert send_all(scu, ct(1, 2, 3, 4)) == results[:4]
        assert server.connections == connections
    reason = (
        f"127.0.0.1 port {server.port} rejected the association: "
        "it does not know the called AE title 'CALLED'"
    )
    assert set(results) == {StoreResult(False, reason)}


@pytest.mark.usefixtures("_short_waits")
def test_rejections_for_the_time_being_are_waited_out() -> None:
    """A server that has no association to give at first gets all images later."""

    def reject(peer: Peer) -> None:
        peer.reject(2, 3, 2)

    with FaultSCP(*[reject] * 6, serve) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(*range(20))) == [SENT] * 20
        scu.close()
        assert server.connections > 6
        assert len(server.images) == 20


@pytest.mark.usefixtures("_short_waits")
def test_rejections_that_go_on_give_the_server_up() -> None:
    """When patience is over all images fail for that reason."""
    with FaultSCP(lambda peer: peer.reject(2, 3, 1)) as server:
        results = send_all(scu_of(server, retry_time=1), ct(*range(12)), seconds=SOON)
    reason = (
        f"the server was given up after 1 s of trouble: 127.0.0.1 port {server.port} "
        "rejected the association: it is temporarily congested"
    )
    assert set(results) == {StoreResult(False, reason)}


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_not_expected_reaches_those_who_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of our own when an association is opened leaves nobody waiting."""
    error = RuntimeError("boom")

    def fail(_: StorageAssociation) -> None:
        raise error

    monkeypatch.setattr(StorageAssociation, "open", fail)
    with FaultSCP() as server:
        sending = start(scu_of(server), ct(*range(8)))
        assert not wait(sending, SOON).not_done
    assert [future.exception() for future in sending] == [error] * 8


def test_nothing_is_opened_after_what_is_not_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    """An error of our own ends the pool: no thread of it asks the server for anything."""
    opened = []

    def fail(assoc: StorageAssociation) -> None:
        opened.append(assoc)
        raise RuntimeError

    monkeypatch.setattr(StorageAssociation, "open", fail)
    with FaultSCP() as server:
        sending = start(scu_of(server), ct(*range(8)), threads=1)
        assert not wait(sending, SOON).not_done
    assert len(opened) == 1


class Leaving:
    """Leaves so many associations at once, in the second image of each, and listens no more."""

    def __init__(self, associations: int, then: Callable[[Peer], None] = serve) -> None:
        """Go on by the script `then`."""
        self.gone = threading.Event()
        self._most = associations
        self._together = threading.Barrier(associations, timeout=PATIENCE)
        self._then = then

    def __call__(self, peer: Peer) -> None:
        """Serve one image, and go with the others."""
        if peer.number > self._most:
            self._then(peer)
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_image()
        if self._together.wait() == 0:
            peer.server.stop_listening()
            self.gone.set()
        self.gone.wait(PATIENCE)


@pytest.mark.usefixtures("_short_waits")
def test_a_server_that_went_away_is_asked_for_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """However many images wait they share one opening, and fail together with one reason."""
    asked: list[StorageAssociation] = []
    open_one = StorageAssociation.open

    all_fail = threading.Barrier(8, timeout=SOON)

    def note(assoc: StorageAssociation) -> None:
        asked.append(assoc)
        if 8 < len(asked) <= 16:
            all_fail.wait()
        open_one(assoc)

    monkeypatch.setattr(StorageAssociation, "open", note)
    script = Leaving(8)
    with FaultSCP(script) as server:
        scu = scu_of(server, 8, retry_time=1)
        sending = start(scu, ct(*range(40)), threads=8)
        assert script.gone.wait(SOON)
        begun = time.monotonic()
        results = results_of(sending, SOON)
        assert 0.9 < time.monotonic() - begun < 4
    reason = (
        "the server was given up after 1 s of trouble: "
        f"cannot connect to 127.0.0.1 port {server.port}: Connection refused"
    )
    assert Counter(results) == {SENT: 8, StoreResult(False, reason): 32}
    assert 8 < len(asked) < 8 + 8 + 100


@pytest.mark.usefixtures("_short_waits")
def test_a_server_that_comes_back_gets_as_many_associations_as_before(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """All images are sent, over as many at once as are wished, and no limit is told."""
    script = Leaving(4, then=Together(4))
    with FaultSCP(script) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(40)))
        assert script.gone.wait(SOON)
        assert wait_for(lambda: scu._pool._is_down)
        server.listen()
        assert results_of(sending) == [SENT] * 40
        scu.close()
        assert server.connections == 8
    assert caplog.records == []


@pytest.mark.usefixtures("_short_waits")
def test_a_lowered_number_is_forgotten_when_the_server_was_away(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A server that took one association takes all that are wished when it is back."""
    is_told, is_back, together = threading.Event(), threading.Event(), Together(4)

    def script(peer: Peer) -> None:
        if is_back.is_set():
            together(peer)
        if peer.number > 1:
            peer.reject(2, 3, 2)
            return
        peer.accept()
        image = peer.read_image()
        is_told.wait(PATIENCE)
        peer.answer(image)
        peer.read_image()
        peer.server.stop_listening()

    with FaultSCP(script) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(37)))
        told = limit_told(caplog)
        is_told.set()
        assert wait_for(lambda: scu._pool._is_down)
        is_back.set()
        server.listen()
        assert results_of(sending) == [SENT] * 37
        scu.close()
    assert told.startswith("Going on with 1 of 4 associations: ")
    assert len(caplog.records) == 1


@pytest.mark.usefixtures("_short_waits")
def test_a_limit_from_before_the_server_was_away_is_not_told(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A refusal that was not told yet when all was lost says nothing about what comes after it."""
    refused = threading.Semaphore(0)
    all_refused, is_back = threading.Event(), threading.Event()

    def script(peer: Peer) -> None:
        if peer.number == 1:
            peer.accept()
            peer.read_image()
            all_refused.wait(PATIENCE)
        elif peer.number == 2:
            all_refused.wait(PATIENCE)
            wait_for(lambda: not scu._pool._lent)
        elif peer.number <= 5:
            peer.reject(2, 3, 2)
            refused.release()
        elif is_back.is_set() or scu._pool._is_down:
            is_back.set()
            serve(peer)

    with FaultSCP(script) as server:
        scu = scu_of(server, 3)
        sending = start(scu, ct(*range(30)), threads=3)
        assert all(refused.acquire(timeout=SOON) for _ in range(3))
        assert wait_for(lambda: bool(scu._pool._refusal))
        all_refused.set()
        assert results_of(sending) == [SENT] * 30
        scu.close()
    assert caplog.records == []


def test_who_waits_for_a_better_time_is_woken_when_the_run_ends() -> None:
    """The wait between two tries of an image does not outlast the run."""
    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 1, Patience(PATIENCE))
        threading.Timer(0.1, pool.give_up, ["enough"]).start()
        begun = time.monotonic()
        pool.wait(PATIENCE)
        assert 0.1 <= time.monotonic() - begun < SOON


# Associations that are lost


class Losing:
    """Loses each of the first four associations in an image, after so many that were answered."""

    def __init__(self, answered: int, lose: Callable[[Peer], None]) -> None:
        """Lose as `lose` does."""
        self.lost: list[str] = []
        self._together = threading.Barrier(4, timeout=PATIENCE)
        self._answered = answered
        self._lose = lose

    def __call__(self, peer: Peer) -> None:
        """Accept the association, and answer its images up to the loss."""
        peer.accept()
        answered = 0
        while True:
            image = peer.read_image()
            if peer.number <= 4 and not answered:
                self._together.wait()
            if peer.number <= 4 and answered >= self._answered:
                self.lost.append(image.sop_instance_uid)
                self._lose(peer)
                return
            peer.answer(image)
            answered += 1


@pytest.mark.parametrize("answered", [1, 7])
@pytest.mark.parametrize("lose", [Peer.close, Peer.abort, Peer.reset])
def test_lost_associations_are_replaced_and_their_images_sent_again(
    caplog: pytest.LogCaptureFixture, answered: int, lose: Callable[[Peer], None]
) -> None:
    """No image is lost, and none that was acknowledged is sent again."""
    script = Losing(answered, lose)
    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(*range(400))) == [SENT] * 400
        scu.close()
        assert 4 < server.connections <= 12
        counts = Counter(image.sop_instance_uid for image in server.images)
    assert 1 <= len(script.lost) <= 4
    assert counts == {f"1.2.3.4.{n}": 1 for n in range(400)} | dict.fromkeys(script.lost, 2)
    assert caplog.records == []


def test_an_image_is_not_lost_again_with_what_dies_together() -> None:
    """Where all associations die at once, as by a restart, each image is sent on a new one."""
    together = threading.Barrier(2, timeout=PATIENCE)

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        if peer.number <= 2:
            together.wait()
        peer.answer(image)
        while True:
            image = peer.read_image()
            if peer.number <= 2:
                return
            peer.answer(image)

    with FaultSCP(script) as server:
        scu = scu_of(server, 2)
        assert send_all(scu, ct(1, 2), threads=2) == [SENT] * 2
        assert scu.send(ct(3)[0]) == SENT
        scu.close()


@pytest.mark.parametrize("leave", [Peer.close, Peer.abort, Peer.reset, Peer.request_release])
def test_associations_that_end_while_idle_are_replaced(leave: Callable[[Peer], None]) -> None:
    """Four connections that the server ends between images cost nothing."""
    together, go_on = threading.Barrier(4, timeout=PATIENCE), threading.Event()

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        together.wait()
        peer.answer(image)
        if peer.number <= 4:
            go_on.wait(PATIENCE)
            leave(peer)
        peer.read_to_end()

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        layers = upper_layers()
        go_on.set()
        assert wait_for(lambda: all(not one.is_alive() or one.peek_next_pdu() for one in layers))
        assert send_all(scu, ct(5, 6, 7, 8)) == [SENT] * 4
        scu.close()
        assert sorted(image.connection for image in server.images) == list(range(1, 9))


# The end


def accept_and_read(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.read_to_end()


def test_abort_ends_images_in_flight() -> None:
    """All who send learn at once that their image is not sent; so does who comes later."""
    with FaultSCP(accept_and_read) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(12)))
        assert wait_for(lambda: len(server.images) == 4)
        scu.abort()
        assert results_of(sending, SOON) == [ENDED] * 12
        assert upper_layers() == []
        assert scu.send(ct(1)[0]) == ENDED
        assert wait_for(lambda: server.ends == ["aborted"] * 4)
        assert server.connections == 4


@pytest.mark.parametrize("end", [StorageSCU.close, StorageSCU.abort])
def test_the_end_does_not_wait_for_associations_on_their_way(
    end: Callable[[StorageSCU], None],
) -> None:
    """A server that takes connections and says nothing holds nobody up."""
    with FaultSCP(Peer.stand_still) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(12)))
        assert wait_for(lambda: server.connections == 4)
        end(scu)
        assert results_of(sending, SOON) == [ENDED] * 12
        assert upper_layers() == []
        assert scu.send(ct(1)[0]) == ENDED
        assert server.connections == 4


def give_up(pool: AssociationPool) -> None:
    pool.give_up("enough")


@pytest.mark.parametrize("end", [give_up, AssociationPool.close, AssociationPool.abort])
@pytest.mark.parametrize("is_before", [True, False])
def test_an_association_that_comes_too_late_is_aborted(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[AssociationPool], None], is_before: bool
) -> None:
    """Whatever is established after the end, or only then asked for, is not left open."""
    opening, go_on = threading.Event(), threading.Event()
    open_one = StorageAssociation.open

    def late(assoc: StorageAssociation) -> None:
        if not is_before:
            open_one(assoc)
        opening.set()
        go_on.wait(PATIENCE)
        if is_before:
            open_one(assoc)

    def use() -> None:
        with pool.association(CONTEXT):
            pass

    monkeypatch.setattr(StorageAssociation, "open", late)
    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 4, Patience(PATIENCE))
        user = threading.Thread(target=lambda: failed.append(raised(use)), daemon=True)
        failed: list[BaseException | None] = []
        user.start()
        assert opening.wait(SOON)
        end(pool)
        user.join(SOON)
        assert isinstance(failed[0], association_pool.NoAssociationError)
        go_on.set()
        assert wait_for(lambda: not pool._openings)
        assert wait_for(lambda: not upper_layers())
        assert wait_for(lambda: len(server.ends) == server.connections)
    assert "released" not in server.ends


def raised(action: Callable[[], None]) -> BaseException | None:
    try:
        action()
    except BaseException as exc:
        return exc
    return None


def test_close_releases_all_at_the_same_time() -> None:
    """No association waits for another one's release to be answered."""
    images, releases = (threading.Barrier(4, timeout=PATIENCE) for _ in range(2))
    asked: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        images.wait()
        peer.answer(image)
        asked.append(peer.read_any().type)
        releases.wait()
        peer.send_pdu(A_RELEASE_RP, bytes(4))

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_all(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        begun = time.monotonic()
        scu.close()
        assert time.monotonic() - begun < upper_layer.RELEASE_TIMEOUT
        assert not releases.broken
    assert asked == [A_RELEASE_RQ] * 4


def test_an_association_is_lent_to_one_at_a_time() -> None:
    """It comes back when its block ends; if that raises, another one is lent."""
    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 2, Patience(PATIENCE))
        with pool.association(CONTEXT) as first, pool.association(CONTEXT) as second:
            assert first is not second
        with pool.association(CONTEXT) as again:
            assert again in (first, second)
        with pytest.raises(ValueError, match="boom"), pool.association(CONTEXT) as broken:
            raise ValueError("boom")
        broken.abort()
        with pool.association(CONTEXT) as third, pool.association(CONTEXT) as fourth:
            assert broken not in (third, fourth)
        pool.close()
        assert sorted(server.ends) == ["aborted", "released", "released"]


def test_no_file_descriptor_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can open no more files says so for each image, and does not hang."""

    def fail() -> None:
        raise OSError(errno.EMFILE, "Too many open files")

    with FaultSCP() as server:
        scu = scu_of(server)
        monkeypatch.setattr(socket, "socketpair", fail)
        (result,) = results_of(start(scu, ct(1)), SOON)
    assert not result.sent
    assert "Too many open files" in result.remark


def test_no_thread_left(monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that can start no more threads ends in an error, and does not hang."""

    def fail(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    with FaultSCP() as server:
        scu = scu_of(server)
        with monkeypatch.context() as patched:
            patched.setattr(threading.Thread, "start", fail)
            with pytest.raises(RuntimeError):
                scu.send(ct(1)[0])
        scu.abort()


def test_an_association_that_comes_back_after_the_end_is_ended() -> None:
    """What is lent when the pool is closed does not stay open."""
    with FaultSCP() as server:
        pool = AssociationPool(peer_of(server), 2, Patience(PATIENCE))
        with pool.association(CONTEXT):
            pool.close()
        assert wait_for(lambda: not upper_layers())


def test_a_conversion_that_raises_fails_its_image_alone() -> None:
    """An image that could not be converted, for want of disk, costs neither others nor a reset."""

    def broken(*_: object) -> SOPInstance:
        raise OSError(errno.ENOSPC, "No space left on device")

    with PythonSCP({CT: ["1.2.840.10008.1.2"]}) as server:
        scu = StorageSCU(peer_of(server), broken, associations=2)
        results = [scu.send(made_instance(n)) for n in range(3)]
        scu.close()
        assert len(server.associations) == 1
    reason = "the image could not be converted: No space left on device"
    assert results == [StoreResult(False, reason)] * 3


@pytest.mark.parametrize("count", [6, 7, 20, 40])
def test_two_classes_at_a_server_that_lets_further_associations_wait(count: int) -> None:
    """The one association that is served is replaced without the others' timeout."""
    with StoreSCP("+xa") as server:
        scu = scu_of(server)
        begun = time.monotonic()
        images = [made_instance(n, SOPClassUID=(CT, MR)[n % 2]) for n in range(count)]
        assert send_all(scu, images) == [SENT] * count
        assert time.monotonic() - begun < SOON
        scu.close()


# A place for what somebody else opens


def ask(server: Server) -> None:
    """Open an association beside those of the pool, and release it."""
    assoc = StorageAssociation(peer_of(server), (CONTEXT,), None)
    assoc.open()
    assoc.release()


def test_an_idle_association_makes_room() -> None:
    """A server that gives a single association can be asked between images."""
    with PythonSCP() as server:
        server.ae.maximum_associations = 1
        scu = scu_of(server, 1)
        assert send_all(scu, ct(1)) == [SENT]
        with scu.place():
            ask(server)
        assert send_all(scu, ct(2)) == [SENT]
        scu.close()
        assert len(server.associations) == 3


def test_all_make_room_when_none_is_in_use() -> None:
    """They would only take turns with what is opened in their place."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        send_all(scu, ct(1, 2, 3, 4))
        with scu.place():
            assert wait_for(lambda: server.ends == ["released"] * 4)
        scu.close()


def test_what_comes_late_makes_room_as_well() -> None:
    """An association that was on its way, for an image that went another way, is released."""
    first, late = threading.Event(), threading.Event()

    def serve_at_first(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        assert first.wait(SOON)
        peer.answer(image)
        peer.answer(peer.read_image())
        peer.read_to_end()

    def serve_late(peer: Peer) -> None:
        assert late.wait(SOON)
        serve(peer)

    with FaultSCP(serve_at_first, serve_late) as server:
        scu = scu_of(server, 2)
        sending = start(scu, ct(1, 2), threads=2)
        assert wait_for(lambda: server.connections == 2)
        first.set()
        assert results_of(sending) == [SENT] * 2
        with scu.place():
            late.set()
            assert wait_for(lambda: server.ends == ["released"] * 2)
        scu.close()


def test_a_place_is_waited_for_in_line() -> None:
    """While the only association is in use there is none, and it comes before later images."""
    order: list[str] = []
    asked, answer = threading.Event(), threading.Event()

    def slowly(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            asked.set()
            assert answer.wait(PATIENCE)
            order.append(image.sop_instance_uid.rpartition(".")[2])
            peer.answer(image)

    def take_place() -> None:
        with scu.place():
            order.append("place")

    with FaultSCP(slowly) as server:
        scu = scu_of(server, 1)
        first = start(scu, ct(1), threads=1)
        assert asked.wait(SOON)
        taking = threading.Thread(target=take_place)
        taking.start()
        assert wait_for(lambda: len(scu._pool._waiters) == 1)
        second = start(scu, ct(2), threads=1)
        assert wait_for(lambda: len(scu._pool._waiters) == 2)
        answer.set()
        assert results_of(first + second) == [SENT] * 2
        taking.join(SOON)
        scu.close()
    assert order == ["1", "place", "2"]


def test_a_place_that_is_refused_costs_what_is_idle(caplog: pytest.LogCaptureFixture) -> None:
    """The server gives no more than there were; what is left of them is all that is opened."""
    with FaultSCP(Together(2)) as server:
        scu = scu_of(server)
        send_all(scu, ct(1, 2), threads=2)
        sending = start(scu, ct(3), threads=1)
        assert wait_for(lambda: len(server.images) == 3)
        with scu.place() as make_room:
            make_room("its limit of associations is reached")
            assert wait_for(lambda: server.ends == ["released"])
        sending += start(scu, ct(4, 5, 6), threads=3)
        assert results_of(sending) == [SENT] * 4
        assert scu.open_associations == 2
        scu.close()
    assert "Going on with 2 of 4 associations: its limit" in limit_told(caplog)


def test_a_place_is_given_back() -> None:
    """As many associations as before are opened after it, and no more."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        with scu.place():
            assert scu.open_associations == 0
        assert send_all(scu, ct(*range(1, 9))) == [SENT] * 8
        assert scu.open_associations == 4
        scu.close()
        assert server.connections == 4


def test_no_more_than_the_rest_are_opened_beside_a_place() -> None:
    """Of four associations three are for images then."""
    with FaultSCP(Together(3)) as server:
        scu = scu_of(server)
        with scu.place():
            assert send_all(scu, ct(*range(1, 7))) == [SENT] * 6
            assert scu.open_associations == 3
        scu.close()


def test_there_is_room_once_the_server_is_given_up() -> None:
    """Nothing is sent any more, so that nobody has to wait."""
    with FaultSCP(serve) as server:
        scu = scu_of(server, 1)
        scu.finish()
        with scu.place():
            ask(server)
