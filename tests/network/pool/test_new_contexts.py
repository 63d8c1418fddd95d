"""Associations that lack a presentation context are replaced."""

import threading

import pytest

from fw_gear_dicom_send.network.contexts import Context
from tests.support.fault_scp import FaultSCP, Peer, serve
from tests.support.instances import made_instance
from tests.support.pacs import StoreSCP
from tests.support.pool import (
    CONTEXT,
    CT,
    EXPLICIT,
    MR,
    Together,
    are_waiting,
    ct,
    mr,
    pool_of,
    results_of,
    scu_of,
    send_in_threads,
    start,
)
from tests.support.results import SENT, Outcome, outcome
from tests.support.waiting import PATIENCE, wait_for, without_timeout


def test_each_association_is_replaced_once_for_a_new_context() -> None:
    """Associations that lack a context are released, and the same number with it is opened."""
    with FaultSCP(Together()) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        assert send_in_threads(scu, mr(5, 6, 7, 8)) == [SENT] * 4
        assert server.connections == 8
        mixed = [one for n in range(9, 21, 2) for one in (*ct(n), *mr(n + 1))]
        assert send_in_threads(scu, mixed) == [SENT] * 12
        scu.close()
        assert server.connections == 8
        assert server.ends == ["released"] * 8


def test_a_single_image_of_a_new_context_needs_one_association() -> None:
    """Of four idle associations one is replaced; the others stay open."""
    together = Together()

    def script(peer: Peer) -> None:
        if peer.number <= 4:
            together(peer)
        serve(peer)

    with FaultSCP(script) as server:
        scu = scu_of(server)
        assert send_in_threads(scu, ct(1, 2, 3, 4)) == [SENT] * 4
        assert send_in_threads(scu, mr(5, 6, 7), threads=1) == [SENT] * 3
        assert server.connections == 5
        assert server.ends == ["released"]
        scu.close()


def test_a_new_context_is_not_starved() -> None:
    """An image that no idle association can carry gets its turn, although others wait."""
    stop, hold, proceed = threading.Event(), threading.Event(), threading.Event()
    sent: list[Outcome] = []

    def keep_sending() -> None:
        while not stop.is_set():
            sent.append(outcome(scu.send(ct(1)[0])))

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            if hold.is_set():
                proceed.wait(PATIENCE)
            peer.answer(image)

    with FaultSCP(script) as server:
        scu = scu_of(server, associations=1)
        threads = [threading.Thread(target=keep_sending, daemon=True) for _ in range(3)]
        for thread in threads:
            thread.start()
        assert wait_for(lambda: len(server.images) > 20)
        hold.set()
        assert wait_for(lambda: len(server.answers) < len(server.images))
        assert wait_for(are_waiting(scu, 2))
        before = len(server.images)
        sending = start(scu, mr(2), threads=1)
        assert wait_for(are_waiting(scu, 3))
        proceed.set()
        assert results_of(sending) == [SENT]
        at = next(n for n, image in enumerate(server.images) if image.sop_class_uid == MR)
        stop.set()
        for thread in threads:
            thread.join(PATIENCE)
        scu.close()
        assert server.connections == 2
    assert at - before == 2
    assert set(sent) == {SENT}


def test_waiting_threads_are_served_in_order() -> None:
    """Threads get an association in order of arrival, whatever context they need."""
    other = Context(MR, EXPLICIT)
    served: list[int] = []

    def use(number: int, wanted: Context) -> None:
        with pool.association(wanted):
            served.append(number)

    with FaultSCP() as server:
        pool = pool_of(server, 1)
        with pool.association(CONTEXT):
            for number, wanted in enumerate([CONTEXT, other, CONTEXT, other, CONTEXT]):
                threading.Thread(target=use, args=(number, wanted), daemon=True).start()
                assert wait_for(are_waiting(pool, number + 1))
        assert wait_for(lambda: len(served) == 5)
        pool.close()
        assert server.connections == 2
    assert served == [0, 1, 2, 3, 4]


def test_an_idle_association_is_replaced_if_it_may_be_the_only_one() -> None:
    """No thread waits for another association while an idle one may block it."""
    with FaultSCP() as server:
        pool = pool_of(server, 3)
        for wanted in (CONTEXT, Context(MR, EXPLICIT), CONTEXT):
            with pool.association(wanted):
                assert pool.open_associations == 1
        assert server.connections == 2
        assert wait_for(lambda: server.ends == ["released"])
        pool.close()


def test_an_association_is_kept_at_a_server_that_has_served_two() -> None:
    """Another association does not block, so it is opened in addition."""
    with FaultSCP() as server:
        pool = pool_of(server, 3)
        with pool.association(CONTEXT), pool.association(CONTEXT):
            pass
        with pool.association(Context(MR, EXPLICIT)):
            assert pool.open_associations == 3
        assert server.ends == []
        pool.close()


def test_a_lost_association_does_not_count_as_a_second_one() -> None:
    """The server may have ended it before it accepted the next one."""

    def lose_the_first_of_two() -> None:
        with pool.association(CONTEXT):
            with pool.association(CONTEXT):
                pass
            raise KeyError

    with FaultSCP() as server:
        pool = pool_of(server, 3)
        with pytest.raises(KeyError):
            lose_the_first_of_two()
        with pool.association(Context(MR, EXPLICIT)):
            assert pool.open_associations == 1
        pool.close()


@pytest.mark.parametrize("associations", [2, 4])
def test_two_images_of_two_classes_at_a_server_with_one_association(associations: int) -> None:
    """DCMTK's storescp leaves further associations unanswered while one is open."""
    with StoreSCP() as server:
        scu = scu_of(server, associations)
        images = [made_instance(n, SOPClassUID=(CT, MR)[n]) for n in range(2)]
        with without_timeout():
            assert send_in_threads(scu, images, threads=2) == [SENT] * 2
        scu.close()


@pytest.mark.parametrize("count", [6, 7, 20, 40])
def test_two_classes_at_a_server_that_delays_further_associations(count: int) -> None:
    """The only served association is replaced without waiting for the others' timeout."""
    with StoreSCP("+xa") as server:
        scu = scu_of(server)
        images = [made_instance(n, SOPClassUID=(CT, MR)[n % 2]) for n in range(count)]
        with without_timeout():
            assert send_in_threads(scu, images) == [SENT] * count
        scu.close()
