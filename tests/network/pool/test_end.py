"""All associations end with the run, also those in use and those being opened."""

import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.errors import NoAssociationError
from fw_gear_dicom_send.network.pool import AssociationPool
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.associations import connections_to
from tests.support.fault_scp import A_RELEASE_RP, A_RELEASE_RQ, FaultSCP, Peer
from tests.support.pool import (
    CONTEXT,
    ct,
    pool_of,
    results_of,
    scu_of,
    send_in_threads,
    start,
    threads_ended,
)
from tests.support.results import SENT, Outcome, outcome, reason_with
from tests.support.waiting import PATIENCE, wait_for, without_timeout

ENDED = Outcome(False, Kind.NOT_REACHED, wording.NOT_REACHED)


def accept_and_read(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.read_to_end()


def test_abort_ends_images_in_flight() -> None:
    """All senders learn immediately that their image is not sent; so do later ones."""
    with FaultSCP(accept_and_read) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(12)))
        assert wait_for(lambda: len(server.images) == 4)
        scu.abort()
        results = results_of(sending)
        assert [result.kind for result in results[:4]] == [Kind.UNANSWERED] * 4
        assert results[4:] == [ENDED] * 8
        assert wait_for(lambda: connections_to(server.port) == 0)
        assert outcome(scu.send(ct(1)[0])) == ENDED
        assert wait_for(lambda: server.ends == ["aborted"] * 4)
        assert server.connections == 4


@pytest.mark.parametrize("end", [StorageSCU.close, StorageSCU.abort])
def test_the_end_does_not_wait_for_pending_associations(
    end: Callable[[StorageSCU], None],
) -> None:
    """A silent server that accepts connections does not delay the end."""
    with FaultSCP(Peer.stall) as server:
        scu = scu_of(server)
        sending = start(scu, ct(*range(12)))
        assert wait_for(lambda: server.connections == 4)
        with without_timeout():
            end(scu)
        assert results_of(sending) == [ENDED] * 12
        assert wait_for(lambda: connections_to(server.port) == 0)
        assert outcome(scu.send(ct(1)[0])) == ENDED
        assert server.connections == 4


def give_up(pool: AssociationPool) -> None:
    pool.give_up(reason_with("enough"))


@pytest.mark.parametrize("end", [give_up, AssociationPool.close, AssociationPool.abort])
@pytest.mark.parametrize("is_before", [True, False])
def test_a_late_association_is_aborted(
    monkeypatch: pytest.MonkeyPatch, end: Callable[[AssociationPool], None], is_before: bool
) -> None:
    """An association that is established or requested after the end is not left open."""
    opening, proceed = threading.Event(), threading.Event()
    open_one = StorageAssociation.open

    def late(assoc: StorageAssociation) -> None:
        if not is_before:
            open_one(assoc)
        opening.set()
        proceed.wait(PATIENCE)
        if is_before:
            open_one(assoc)

    def use() -> None:
        with pool.association(CONTEXT):
            pass

    monkeypatch.setattr(StorageAssociation, "open", late)
    before = set(threading.enumerate())
    with FaultSCP() as server:
        pool = pool_of(server, 4)
        user = threading.Thread(target=lambda: failed.append(raised(use)), daemon=True)
        failed: list[BaseException | None] = []
        user.start()
        assert opening.wait(PATIENCE)
        end(pool)
        user.join(PATIENCE)
        assert isinstance(failed[0], NoAssociationError)
        proceed.set()
        assert wait_for(threads_ended(before))
        assert wait_for(lambda: len(server.ends) == server.connections)
    assert "released" not in server.ends


def raised(action: Callable[[], None]) -> BaseException | None:
    try:
        action()
    except BaseException as exc:
        return exc
    return None


def test_close_releases_all_in_parallel() -> None:
    """No association waits for the release of another one."""
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
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        scu.close()
        assert not releases.broken
    assert asked == [A_RELEASE_RQ] * 4


def test_an_association_returned_after_the_end_is_ended() -> None:
    """An association that is in use while the pool closes does not stay open."""
    with FaultSCP() as server:
        pool = pool_of(server, 2)
        with pool.association(CONTEXT):
            pool.close()
        assert wait_for(lambda: connections_to(server.port) == 0)
