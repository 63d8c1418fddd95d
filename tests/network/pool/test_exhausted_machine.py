"""Lack of file descriptors or threads reduces the associations but loses no image."""

import errno
import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pool import ct, limit_warning, results_of, scu_of, send_in_threads, start
from tests.support.results import SENT, outcome
from tests.support.waiting import wait_for


class Files:
    """Opens associations while file descriptors are available; further ones fail."""

    def __init__(self, code: int, can_open: Callable[[int], bool]) -> None:
        """Let the n-th request succeed if `can_open`."""
        self.requests = 0
        self._code = code
        self._can_open = can_open

    def limit(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Limit the opening of associations."""
        open_one = StorageAssociation.open

        def open_few(assoc: StorageAssociation) -> None:
            self.requests += 1
            if not self._can_open(self.requests):
                raise OSError(self._code, "Too many open files")
            open_one(assoc)

        monkeypatch.setattr(StorageAssociation, "open", open_few)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE])
def test_fewer_files_mean_fewer_associations(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, code: int
) -> None:
    """If one association is open, it carries all images, and the log has the reason."""
    files = Files(code, lambda request: request == 1)
    files.limit(monkeypatch)
    with FaultSCP() as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(*range(40))) == [SENT] * 40
        scu.close()
        assert server.connections == 1
    assert (
        limit_warning(caplog)
        == f"{wording.CONTINUING_WITH} 1 of 4 associations: Too many open files"
    )


def test_lack_of_files_is_retried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without any association, requests continue until a file descriptor is available."""
    files = Files(errno.EMFILE, lambda request: request > 3)
    files.limit(monkeypatch)
    with FaultSCP() as server:
        scu = scu_of(server, 1)
        assert send_in_threads(scu, ct(1, 2)) == [SENT] * 2
        scu.close()
    assert files.requests == 4


def test_no_file_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without retry time each image fails with this reason, and nothing hangs."""
    files = Files(errno.EMFILE, lambda _: False)
    files.limit(monkeypatch)
    with FaultSCP() as server:
        results = send_in_threads(scu_of(server, retry_time=0), ct(1, 2))
    assert {result[:2] for result in results} == {(False, Kind.NO_CONNECTION)}
    assert all("Too many open files" in result.text for result in results)


def refuse_threads(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no thread start except those of the server."""
    start_one = threading.Thread.start

    def start_few(thread: threading.Thread) -> None:
        if type(thread) is threading.Thread and thread.name != "FaultSCP":
            raise RuntimeError("can't start new thread")
        start_one(thread)

    monkeypatch.setattr(threading.Thread, "start", start_few)


def test_fewer_threads_mean_fewer_associations(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If no thread can be started, the images share the open associations."""

    def hold_the_first(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        assert wait_for(lambda: "limited to 1" in repr(scu))
        peer.answer(image)
        peer.answer(peer.read_image())
        peer.read_to_end()

    with FaultSCP(hold_the_first) as server:
        scu = scu_of(server, 2)
        sending = start(scu, ct(1), threads=1)
        assert wait_for(lambda: len(server.images) == 1)
        refuse_threads(monkeypatch)
        assert outcome(scu.send(ct(2)[0])) == SENT
        assert results_of(sending) == [SENT]
        scu.close()
        assert server.connections == 1
    assert (
        limit_warning(caplog)
        == f"{wording.CONTINUING_WITH} 1 of 2 associations: can't start new thread"
    )


def test_the_first_association_needs_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    """If no thread can be started, the sending thread opens the association."""
    refuse_threads(monkeypatch)
    with FaultSCP() as server:
        scu = scu_of(server)
        assert outcome(scu.send(ct(1)[0])) == SENT
        scu.close()
        assert wait_for(lambda: server.ends == ["released"])
