"""Connections have the socket options for sending, and end with their association."""

import os
import socket
import sys
import threading
import time
from contextlib import ExitStack, nullcontext

import pytest

from fw_gear_dicom_send.network.association import StorageAssociation
from fw_gear_dicom_send.network.connection import Connection
from fw_gear_dicom_send.network.errors import AssociationError, NoConnectionError
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.values import replace
from tests.support.associations import CONTEXTS, associate, connection_to, connections_to, opened
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import made_instance
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE, without_timeout

DELAYED_ACKNOWLEDGEMENT = 0.04


def test_small_writes_are_not_delayed_and_dead_peers_are_noticed() -> None:
    """TCP_NODELAY and keep-alive are on; unacknowledged data ends the connection."""
    with FaultSCP() as server:
        assoc = associate(server, timeouts=Timeouts(acknowledge=123))
        with connection_to(server) as connection:
            assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)
            assert connection.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            assert not os.get_blocking(connection.fileno())
            if sys.platform == "linux":
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 123_000
                assert connection.getsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 30
        assoc.release()


@pytest.mark.skipif(sys.platform != "linux", reason="TCP_QUICKACK exists on Linux only")
def test_a_server_with_nagles_algorithm_does_not_stall() -> None:
    """A response in two small writes is not delayed by our delayed acknowledgement.

    Otherwise, the kernel would delay each one by at least 40 ms on any machine.
    """

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            response = peer.response(peer.read_image())
            peer.socket.sendall(response[:6])
            peer.socket.sendall(response[6:])

    images = [made_instance(number, pixels=128) for number in range(30)]
    with FaultSCP(script) as server:
        assoc = associate(server)
        took: list[float] = []
        for image in images:
            begun = time.monotonic()
            assoc.send_c_store(image, CONTEXTS[0])
            took.append(time.monotonic() - begun)
        assoc.release()
    assert min(took) < DELAYED_ACKNOWLEDGEMENT


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_both_versions_of_ip(host: str) -> None:
    """A server is reached at an IPv4 and at an IPv6 address."""
    with FaultSCP(host=host) as server:
        assoc = associate(server)
        assert assoc.send_c_store(made_instance(), CONTEXTS[0]).status == 0
        assoc.release()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_name_with_addresses_of_both_versions(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a name's addresses, the one where the server listens is used."""
    resolve = socket.getaddrinfo

    def both(name: str | bytes, *args: object, **kwargs: object) -> object:
        hosts = ("::1", "127.0.0.1") if name == b"both.example" else (name,)
        return [item for one in hosts for item in resolve(one, *args, **kwargs)]

    monkeypatch.setattr(socket, "getaddrinfo", both)
    with FaultSCP(host=host) as server:
        assoc = associate(server, "both.example")
        assert assoc.accepted == frozenset(CONTEXTS)
        assoc.release()


@pytest.mark.slow
@pytest.mark.parametrize(("silent", "is_reached"), [(1, True), (4, False)])
def test_all_addresses_of_a_name_share_a_timeout(
    monkeypatch: pytest.MonkeyPatch, silent: int, is_reached: bool
) -> None:
    """It is that of four silent addresses. Addresses that refuse the connection take no time."""
    host = "127.0.0.1"
    with FaultSCP() as server, ExitStack() as stack:
        full, *clients = [stack.enter_context(socket.socket()) for _ in range(4)]
        full.bind((host, 0))
        full.listen(0)
        for client in clients:
            client.setblocking(False)
            client.connect_ex(full.getsockname())
        refusing = stack.enter_context(socket.socket())
        refusing.bind((host, 0))
        ports = [refusing.getsockname()[1]] * 20 + [full.getsockname()[1]] * silent + [server.port]
        found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", (host, port)) for port in ports]
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
        connection = Connection(replace(LONG_TIMEOUTS, connect=0.5))
        with nullcontext() if is_reached else pytest.raises(TimeoutError):
            connection.open("many.example", 104)
        connection.close()


def test_name_resolution_has_a_timeout(monkeypatch: pytest.MonkeyPatch) -> None:
    """A silent name server has the same result as an unreachable server."""
    resolve, proceed = socket.getaddrinfo, threading.Event()

    def stall(name: str, *args: object, **kwargs: object) -> object:
        if kwargs.get("flags"):
            return resolve(name, *args, **kwargs)
        proceed.wait(PATIENCE)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", stall)
    peer = PeerAE("slow.example", 104, "CALLED", "CALLING")
    with without_timeout(), pytest.raises(NoConnectionError, match="name was not resolved in 0 s"):
        opened(peer, replace(LONG_TIMEOUTS, resolve=0.1))
    proceed.set()


def test_an_error_outside_the_network_does_not_block() -> None:
    """A host name that cannot be encoded fails like an unreachable one."""
    with pytest.raises(AssociationError):
        opened(PeerAE("a..b", 104, "CALLED", "CALLING"))


def test_an_ended_association_closes_its_connection() -> None:
    """The connection is closed, however the association ends."""
    with FaultSCP() as server:
        for end in (StorageAssociation.release, StorageAssociation.abort):
            assoc = associate(server)
            assert connections_to(server.port) == 1
            end(assoc)
            assert connections_to(server.port) == 0
