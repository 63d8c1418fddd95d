"""The association of the check sends the first image."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Event
from typing import Any

import pytest
from pynetdicom import evt

from fw_gear_dicom_send.dicom.uids import VERIFICATION
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.reasons import Kind
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import STUDY_ROOT_FIND, FaultSCP, Peer, serve
from tests.support.pacs import PythonSCP
from tests.support.peers import Server, peer_of
from tests.support.pool import CT, EXPLICIT, MR, SHORT_WAITS, ct, mr, results_of, start
from tests.support.querying import query_answer
from tests.support.results import SENT
from tests.support.scripted import close_on_request
from tests.support.sending import send_all, unconverted
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE, wait_for

FIRST = (CT, EXPLICIT)


@contextmanager
def checked(
    server: Server, first: tuple[str, str] | None = FIRST, **options: Any
) -> Iterator[StorageSCU]:
    """Yield an SCU that has checked a server, which the `first` image follows."""
    transport = Transport(timeouts=LONG_TIMEOUTS)
    scu = StorageSCU(
        peer_of(server), unconverted, transport=transport, policy=SHORT_WAITS, **options
    )
    scu.check(first)
    try:
        yield scu
    finally:
        scu.abort()


class Echoes(PythonSCP):
    """Server that counts the C-ECHO requests."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.echoes = 0
        handlers = [(evt.EVT_C_ECHO, self._on_echo)]
        super().__init__(*arguments, handlers=handlers, **options)

    def _on_echo(self, _: evt.Event) -> int:
        self.echoes += 1
        return 0


def test_one_image_is_one_association_without_c_echo() -> None:
    """The response to the image verifies more than a C-ECHO."""
    with Echoes() as server:
        with checked(server) as scu:
            send_all(scu, ct(1))
        assert (len(server.associations), len(server.stored), server.echoes) == (1, 1, 0)
        assert (server.released, server.aborted) == (1, 0)


def test_the_contexts_of_the_check_are_those_of_the_images() -> None:
    """The page lists them, and not those of the check itself."""
    with Echoes() as server, checked(server) as scu:
        assert set(scu.contexts) == {Context(CT, EXPLICIT), Context(CT, "1.2.840.10008.1.2")}
        (request,) = server.associations
        assert request.contexts[-1].abstract_syntax == VERIFICATION


def test_without_a_first_image_the_check_is_a_c_echo() -> None:
    """Its association is released before files are fetched."""
    with Echoes() as server:
        with checked(server, None) as scu:
            wait_for(lambda: server.released == 1)
            assert server.echoes == 1
            assert scu.facts().connections == 0
            send_all(scu, ct(1))
        assert (len(server.associations), server.released) == (2, 2)


def test_a_dry_run_is_one_association_with_c_echo() -> None:
    """No image follows that verifies the server."""
    with Echoes() as server:
        with checked(server, is_dry=True) as scu:
            send_all(scu, ct(1))
        assert (len(server.associations), server.stored, server.echoes) == (1, (), 1)


def test_a_server_that_accepts_no_image_gets_a_c_echo() -> None:
    """No image follows in the association."""
    with Echoes({MR: [EXPLICIT]}) as server, checked(server):
        assert server.echoes == 1


def test_another_class_replaces_the_association() -> None:
    """The server may allow only one, so it is released before the next is requested."""
    server = Echoes()
    server.ae.maximum_associations = 1
    with server:
        with checked(server, associations=4) as scu:
            assert set(results_of(start(scu, mr(1, 2, 3), threads=1))) == {SENT}
            scu.close()
        last = server.associations[-1]
        assert {one.abstract_syntax for one in last.contexts} == {CT, MR, VERIFICATION}
        assert server.aborted == 0


def test_a_server_with_one_association_gets_all_images() -> None:
    """The kept association counts as one of the run."""
    server = Echoes()
    server.ae.maximum_associations = 1
    with server, checked(server, associations=4) as scu:
        assert set(results_of(start(scu, [*ct(1, 2, 3), *mr(4, 5, 6)]))) == {SENT}
        assert server.aborted == 0


@pytest.mark.parametrize("leave", [Peer.abort, Peer.close, Peer.reset, Peer.request_release])
def test_a_server_may_end_the_idle_association(
    leave: Callable[[Peer], None], caplog: pytest.LogCaptureFixture
) -> None:
    """The association is replaced before an image is sent, without a log line."""
    left = Event()

    def script(peer: Peer) -> None:
        peer.accept()
        leave(peer)
        left.set()
        peer.read_to_end()

    with FaultSCP(script, serve) as server:
        with checked(server) as scu:
            assert left.wait(PATIENCE)
            send_all(scu, ct(1))
            assert (scu.facts().retries, scu.facts().losses) == (0, 0)
        assert len(server.images) == 1
    assert caplog.records == []


def test_a_server_may_refuse_the_contexts_of_images() -> None:
    """Without them, the check is a C-ECHO: some servers abort an association with a class."""
    with FaultSCP(close_on_request, serve) as server, checked(server) as scu:
        assert scu.facts().connections == 0
        send_all(scu, ct(1))
        assert (server.connections, len(server.images)) == (3, 1)


def test_a_server_that_closes_each_connection_fails_the_check() -> None:
    """It gets one more request, without contexts of images."""
    with FaultSCP(close_on_request) as server:
        with pytest.raises(ServerError, match="sent no valid answer"), checked(server):
            pass
        assert server.connections == 2


def test_a_rejection_fails_the_check() -> None:
    """A wrong AE title is found by one request."""
    with FaultSCP(lambda peer: peer.reject(1, 1, 7)) as server:
        with pytest.raises(ServerError, match="CALLED"), checked(server):
            pass
        assert server.connections == 1


def test_a_query_uses_the_association() -> None:
    """The services of the run are proposed with the first image."""
    with ArchiveSCP() as server, checked(server, queries=["find", "commit"]) as scu:
        send_all(scu, ct(1))
        assert len(server.associations) == len(server.queries) == 1


def test_queries_are_proposed_in_later_associations() -> None:
    """So an association for another class answers them, too."""
    with ArchiveSCP() as server, checked(server, queries=["find"]) as scu:
        send_all(scu, mr(1))
        assert {one.abstract_syntax for one in server.associations[1].contexts} == {
            CT,
            MR,
            STUDY_ROOT_FIND,
            VERIFICATION,
        }


def test_a_refused_service_is_requested_after_the_release() -> None:
    """The server may allow one association only, and the service only alone."""

    def script(peer: Peer) -> None:
        peer.accept(refused=[STUDY_ROOT_FIND])
        peer.read_to_end()

    def finds(peer: Peer) -> None:
        assert peer.server.ends == ["released"]
        peer.accept(refused=[])
        peer.socket.sendall(query_answer(peer.read_query(), 0))
        peer.read_to_end()

    with FaultSCP(script, finds, serve) as server:
        with checked(server, queries=["find"]) as scu:
            send_all(scu, ct(1))
        assert (server.connections, len(server.images)) == (3, 1)


def test_another_ae_for_queries_may_be_the_same_server() -> None:
    """With one association at a time, none is kept during the check of the other AE title."""
    server = ArchiveSCP()
    server.ae.maximum_associations = 1
    with server:
        query_peer = peer_of(server, "OTHER")
        with checked(server, queries=["find"], query_peer=query_peer, retry_time=20) as scu:
            send_all(scu, ct(1))
        assert (len(server.stored), server.aborted) == (1, 0)


def test_the_association_is_replaced_after_its_maximum_of_images() -> None:
    """The first image counts."""
    with Echoes() as server:
        with checked(server, max_images=2) as scu:
            send_all(scu, ct(1, 2, 3))
        assert [one.association for one in server.stored] == [1, 1, 2]


def leaves_at_a_request(peer: Peer) -> None:
    """Accept the association, and close the connection at any request."""
    peer.accept()
    peer.read_any()


def test_a_server_that_answers_no_request_is_given_up() -> None:
    """After the first image, a C-ECHO shows what that of the check would have shown."""
    with FaultSCP(leaves_at_a_request) as server, checked(server) as scu:
        results = results_of(start(scu, ct(1, 2, 3), threads=1))
        assert {result.kind for result in results} == {Kind.CONNECTION_LOST}
        given_up = scu.facts().given_up
        assert given_up
        assert given_up.kind is Kind.CONNECTION_LOST
        assert server.connections == 2


def test_a_server_that_has_answered_an_image_is_not_given_up() -> None:
    """It may restart."""

    def leaves_later(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.read_any()

    scripts = [leaves_later, leaves_at_a_request, serve]
    with FaultSCP(*scripts) as server, checked(server) as scu:
        assert results_of(start(scu, ct(1, 2), threads=1)) == [SENT, SENT]
        assert server.connections == len(scripts)


def test_a_server_that_has_answered_a_c_echo_is_not_given_up() -> None:
    """It may restart, or leave because of an image."""

    def leaves_at_an_image(peer: Peer) -> None:
        peer.accept()
        peer.read_command()

    scripts = [leaves_at_a_request, leaves_at_an_image, *[leaves_at_a_request] * 2, serve]
    with FaultSCP(*scripts) as server, checked(server) as scu:
        assert results_of(start(scu, ct(1, 2), threads=1)) == [SENT, SENT]
