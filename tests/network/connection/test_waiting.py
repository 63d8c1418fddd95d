"""A wait for the server ends as soon as there is work to do."""

import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.errors import AssociationError
from fw_gear_dicom_send.values import replace
from tests.support.associations import CONTEXTS, associate
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.waiting import LONG_TIMEOUTS, NEVER, PATIENCE, wait_for, without_timeout

LONG_WAITS = replace(LONG_TIMEOUTS, tick=NEVER)
"""Poll interval of an association, in seconds: longer than any test."""


def test_an_association_has_no_thread() -> None:
    """Neither an open association nor an image in flight needs a thread."""
    with FaultSCP() as server:
        before = threading.active_count()
        assoc = associate(server)
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        assert threading.active_count() - before <= 1  # The thread of the server
        assoc.release()


@pytest.mark.parametrize(
    ("end", "recorded"),
    [(StorageAssociation.release, "released"), (StorageAssociation.abort, "aborted")],
)
def test_an_idle_association_ends_immediately(
    end: Callable[[StorageAssociation], None], recorded: str
) -> None:
    """A release and an abort do not wait for the next poll of the connection."""
    with FaultSCP() as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        with without_timeout():
            end(assoc)
        assert wait_for(lambda: server.ends == [recorded])


def test_a_response_ends_the_wait_for_it() -> None:
    """Association, images and their responses do not wait for the next poll."""
    with FaultSCP() as server, without_timeout():
        assoc = associate(server, timeouts=LONG_WAITS)
        for number in range(3):
            assert assoc.send_c_store(made_instance(number), CONTEXTS[0]).status == 0
        assoc.release()


def test_an_abort_by_another_thread_ends_the_wait() -> None:
    """A thread that waits for a response is notified immediately."""

    def read_and_stall(peer: Peer) -> None:
        peer.accept()
        peer.read_image()
        peer.stall()

    with FaultSCP(read_and_stall) as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        errors: list[BaseException] = []

        def send() -> None:
            try:
                assoc.send_c_store(made_instance(), CONTEXTS[0])
            except AssociationError as exc:
                errors.append(exc)

        sender = threading.Thread(target=send, daemon=True)
        sender.start()
        with without_timeout():
            assert wait_for(lambda: bool(server.images))
            assoc.abort()
            sender.join(PATIENCE)
        assert [type(error).__name__ for error in errors] == ["LostAnswerError"]


@pytest.mark.parametrize("leave", [Peer.close, Peer.abort, Peer.request_release])
def test_a_lost_server_is_noticed_before_the_next_image(
    leave: Callable[[Peer], None],
) -> None:
    """An association is not used after its server has closed the connection."""

    def script(peer: Peer) -> None:
        peer.accept()
        leave(peer)
        peer.read_to_end()

    with FaultSCP(script) as server:
        assoc = associate(server, timeouts=LONG_WAITS)
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
