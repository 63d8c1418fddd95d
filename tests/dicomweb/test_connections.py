"""Connections over TLS, through proxies, during outages and at limits."""

import socket
import threading
from contextlib import ExitStack
from pathlib import Path

import pytest

from fw_gear_dicom_send.delivery.results import Sent, StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.errors import ClosedError
from fw_gear_dicom_send.dicomweb.exchange import HTTPConnection
from fw_gear_dicom_send.dicomweb.pool import ConnectionPool
from fw_gear_dicom_send.errors import ConfigError, ServerError
from fw_gear_dicom_send.network.errors import NoConnectionError
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.retry import RetryBudget, RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support.certificates import Identity, issue
from tests.support.clock import Clock
from tests.support.instances import big_instance, made_instance
from tests.support.tls_servers import server_context
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, serve

IMAGE = made_instance()


def secure(server: Identity) -> Transport:
    """Return the transport that trusts a server's CA."""
    config = TLSConfig(None, server.ca, "BCP 195", require_peer_cert=True, check_hostname=True)
    return Transport(make_context(config))


@pytest.mark.parametrize("size", [0, 5 << 20], ids=["small", "large"])
def test_images_are_sent_by_tls(tmp_path: Path, size: int) -> None:
    """Small and large images arrive whole over a connection with TLS."""
    identity = issue(tmp_path / "server")
    images = [IMAGE, big_instance(size) if size else made_instance(2)]
    with WebServer(serve, tls=server_context(identity)) as server:
        results = send_once(server.url, *images, transport=secure(identity))
    assert [type(one) for one in results] == [Sent, Sent]
    assert server.connections == 1
    assert b"".join(images[1].dataset.blocks()) in server.requests[1].body


def test_the_check_and_the_first_image_share_a_connection(tmp_path: Path) -> None:
    """With TLS, one handshake is enough to log its session and to send."""
    identity = issue(tmp_path / "server")
    with (
        WebServer(serve, tls=server_context(identity)) as server,
        web_sender(server.url, transport=secure(identity)) as sender,
    ):
        sender.check()
        assert isinstance(sender.send(IMAGE), Sent)
        assert server.connections == 1


def test_an_untrusted_server_gets_no_request(tmp_path: Path) -> None:
    """A certificate of an unknown CA ends the run at the check, and no credential is sent."""
    own, other = issue(tmp_path / "server"), issue(tmp_path / "other")
    with (
        WebServer(serve, tls=server_context(own)) as server,
        web_sender(server.url, transport=secure(other)) as sender,
        pytest.raises(ServerError, match="not trusted"),
    ):
        sender.check()
    assert server.requests == []


def test_plain_http_to_a_port_with_tls_is_named(tmp_path: Path) -> None:
    """The check of a wrong scheme advises to check it."""
    identity = issue(tmp_path / "server")
    with WebServer(serve, tls=server_context(identity)) as server:
        url = server.url.replace("https", "http")
        with web_sender(url) as sender, pytest.raises(ServerError, match="http or https"):
            sender.check()


def tunnel(peer: WebPeer) -> None:
    """Make a tunnel, if the request has the password, and forward all bytes."""
    head = peer.read_head()
    if head.headers.get("proxy-authorization") != "Basic bWU6d29yZA==":
        peer.reply(407)
        return
    host, _, port = head.target.rpartition(":")
    with socket.create_connection((host, int(port))) as onward:
        peer.server.requests.append(head)
        peer.send(b"HTTP/1.1 200 OK\r\n\r\n")

        def copy(source: socket.socket, target: socket.socket) -> None:
            while data := source.recv(1 << 16):
                target.sendall(data)

        back = threading.Thread(target=copy, args=(onward, peer.connection), daemon=True)
        back.start()
        copy(peer.connection, onward)


def test_a_proxy_makes_a_tunnel_for_tls(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With https, the proxy sees the name of the server only."""
    identity = issue(tmp_path / "server")
    with (
        WebServer(serve, tls=server_context(identity)) as server,
        WebServer(tunnel) as proxy,
    ):
        monkeypatch.setenv("https_proxy", f"http://me:word@127.0.0.1:{proxy.port}")
        results = send_once(server.url, IMAGE, transport=secure(identity))
        assert [type(one) for one in results] == [Sent]
        assert [(one.method, one.target) for one in proxy.requests] == [
            ("CONNECT", f"127.0.0.1:{server.port}")
        ]
        monkeypatch.setenv("https_proxy", f"http://127.0.0.1:{proxy.port}")
        with (
            web_sender(server.url, transport=secure(identity)) as sender,
            pytest.raises(ServerError, match="407"),
        ):
            sender.check()


@pytest.mark.parametrize(
    "proxy",
    [
        "socks5://me:hidden@127.0.0.1:9",
        "http://me:hidden/word@127.0.0.1:9",
        "http://me:hidden@[::1",
        "me:hidden@127.0.0.1:99999",
        "http://me:hidden@",
    ],
)
def test_another_kind_of_proxy_is_refused(monkeypatch: pytest.MonkeyPatch, proxy: str) -> None:
    """A SOCKS proxy or an invalid URL is a configuration error without its password."""
    monkeypatch.setenv("http_proxy", proxy)
    with pytest.raises(ConfigError) as error:
        send_once("http://host.example/", IMAGE)
    assert "hidden" not in str(error.value)


def refused_url() -> str:
    """Return the URL of a port at which nothing listens."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        return f"http://127.0.0.1:{probe.getsockname()[1]}"


def test_without_a_server_the_run_gives_up() -> None:
    """After the retry time, all images fail with the reason of the refused connection."""
    clock = Clock()
    policy = RetryPolicy(min_wait=1, max_wait=10, clock=clock)
    with web_sender(refused_url(), retry_time=60, policy=policy) as sender:
        results = [sender.send(made_instance(number)) for number in range(2)]
    assert [getattr(one, "reason", Reason(Kind.OTHER)).kind for one in results] == [
        Kind.GIVEN_UP
    ] * 2
    assert 60 <= sum(clock.waits) < 90


def test_the_check_does_not_wait_for_a_server() -> None:
    """A refused connection ends the run at once, with advice."""
    with web_sender(refused_url()) as sender, pytest.raises(ServerError, match="firewall"):
        sender.check()


class Refusing(HTTPConnection):
    """Connection of which only as many can be opened as the list has entries."""

    slots: list[int]

    def open(self) -> None:
        """Connect while there is a slot."""
        if not self.slots:
            raise NoConnectionError(Reason(Kind.NO_CONNECTION, "no slot"))
        self.slots.pop()
        self.opened_at = self._clock.now()
        self._is_open = True

    @property
    def is_usable(self) -> bool:
        """Whether it is open."""
        return self._is_open


def pool_of(slots: list[int], number: int, clock: Clock) -> ConnectionPool:
    policy = RetryPolicy(min_wait=1, max_wait=1, clock=clock)

    def make() -> HTTPConnection:
        made = Refusing(IMAGE, Transport(), clock)
        made.slots = slots
        return made

    return ConnectionPool(make, number, RetryBudget(10, clock), policy, 60)


class Freeing(Clock):
    """Clock on which each wait frees a slot."""

    slots: list[int]

    def sleep(self, seconds: float) -> None:
        """Free a slot."""
        self.slots.append(1)
        super().sleep(seconds)


def test_a_limit_of_the_server_is_kept_and_tested() -> None:
    """If the server refuses a connection, the others continue; one more is tried each minute."""
    clock, slots = Freeing(), [1]
    clock.slots = slots
    pool = pool_of(slots, 4, clock)
    with pool.connection() as first, pool.connection() as second:
        assert second is not first
        assert clock.waits == [60]
        assert pool.open_connections == 2
    assert pool.open_connections == 2


def test_a_busy_server_gets_half_of_the_connections() -> None:
    """After a pause, half of the connections are lent at once, and one more each minute."""
    clock = Clock()
    pool = pool_of([1] * 4, 4, clock)
    with ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(pool.connection())
        pool.pause(5, "HTTP 503")
        pool.pause(5, "HTTP 503")  # of another request in flight, which halves nothing
    with pool.connection(), pool.connection():
        assert clock.waits == [5]
        with pool.connection():
            assert clock.waits == [5, 60]


def test_after_a_loss_older_connections_are_not_used() -> None:
    """A connection from before the loss may be lost too."""
    clock = Clock()
    pool = pool_of([1] * 4, 4, clock)
    with pool.connection() as first:
        pass
    with pool.connection() as second:
        assert second is first
    with pool.connection(opened_after=clock.now()) as third:
        assert third is not first
    assert not first.is_open


def test_a_closed_pool_lends_nothing() -> None:
    """After the end of a run, no connection is lent."""
    pool = pool_of([1], 1, Clock())
    pool.close()
    with pytest.raises(ClosedError), pool.connection():
        pass


def test_a_rate_limit_holds_for_all_connections() -> None:
    """The throttle sees every byte of a request."""
    seen: list[int] = []

    class Counting:
        """Throttle that counts."""

        rate, piece = 1e6, 1 << 16

        def wait(self, size: int, _: object) -> None:
            """Count the bytes."""
            seen.append(size)

    transport = replace(Transport(), throttle=Counting())
    image: SOPInstance = big_instance(1 << 20)
    with WebServer(serve) as server:
        results: list[StoreResult | Suspect] = send_once(server.url, image, transport=transport)
    assert [type(one) for one in results] == [Sent]
    assert sum(seen) > image.dataset.size
    assert max(seen) < 1 << 19


BODY = b"HTTP/1.1 %d X\r\nContent-Length: 0\r\n%s\r\n"


@pytest.mark.parametrize(
    "end",
    [BODY % (200, b"Connection: close\r\n"), BODY % (200, b"") + BODY % (200, b"")],
    ids=["close", "second-response"],
)
def test_a_connection_is_not_used_after_its_last_response(end: bytes) -> None:
    """If the server ends a connection, or says more than asked, the next image gets another one."""

    def script(peer: WebPeer) -> None:
        peer.read()
        peer.send(end)
        peer.read()

    with WebServer(script, serve) as server:
        send_once(server.url, made_instance(), made_instance(2))
    assert [one.connection for one in server.requests] == [0, 1]


def test_a_connection_is_not_used_within_a_request() -> None:
    """After an early answer, the rest of the body is not sent, so nothing can follow it."""

    def script(peer: WebPeer) -> None:
        peer.read_head()
        peer.reply(413)
        while True:
            peer.receive()

    with WebServer(script, serve) as server:
        results = send_once(server.url, big_instance(8 << 20), IMAGE)
    assert isinstance(results[1], Sent)
    assert server.connections == 2
