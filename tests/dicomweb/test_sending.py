"""Images are sent over kept-alive connections, and a lost connection costs no image."""

import select
import socket
import threading
from collections.abc import Callable

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.request import CONTENT_TYPE
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.instances import big_instance, made_instance
from tests.support.web_sending import TIMEOUTS, send_once, web_sender
from tests.support.web_server import (
    WebPeer,
    WebServer,
    answer,
    serve,
    stored,
)

SHORT = Timeouts(response=0.5, find=0.5, tick=0.05, proceed=0.3, write=2, connect=5)


HEADERS = ("host", "accept", "accept-encoding", "content-type")


def kinds(results: list[StoreResult | Suspect]) -> list[object]:
    """Return `Sent`, or the kind of the failure, of each result."""
    failures = (one.failure if isinstance(one, Suspect) else one for one in results)
    return [one.reason.kind if isinstance(one, NotSent) else type(one) for one in failures]


def test_images_share_a_connection() -> None:
    """All images of a thread go over one connection, in requests with all their headers."""
    images = [made_instance(number) for number in range(5)]
    with WebServer(serve) as server:
        results = send_once(server.url, *images)
    assert kinds(results) == [Sent] * 5
    assert server.connections == 1
    assert server.stored == [image.sop_instance_uid for image in images]
    first = server.requests[0]
    assert (first.method, first.target) == ("POST", "/dicom-web/studies")
    headers = {name: first.headers[name] for name in HEADERS}
    assert headers == {
        "accept-encoding": "identity",
        "host": f"127.0.0.1:{server.port}",
        "accept": "application/dicom+json",
        "content-type": CONTENT_TYPE,
    }
    assert "transfer-encoding" not in first.headers
    assert "authorization" not in first.headers


def test_a_result_has_the_status_and_the_encoding() -> None:
    """A result names the status of HTTP, the transfer syntax and the size."""
    image = made_instance()
    with WebServer(serve) as server:
        (result,) = send_once(server.url, image)
    assert isinstance(result, Sent)
    transfer = result.transfer
    assert transfer.answer
    assert (transfer.answer.http_status, transfer.answer.is_success) == (200, True)
    assert (transfer.tries, transfer.size) == (1, image.dataset.size)
    assert transfer.transfer_syntax_uid == image.transfer_syntax_uid


def close_after(number: int, **headers: str) -> Callable[[WebPeer], None]:
    """Return a script that closes the connection after a number of answers."""

    def script(peer: WebPeer) -> None:
        for _ in range(number):
            request = peer.read()
            peer.reply(200, stored(request.uids), **headers)

    return script


@pytest.mark.parametrize("headers", [{}, {"Connection": "close"}], ids=["silently", "by header"])
@pytest.mark.parametrize(("number", "connections"), [(1, 4), (3, 2)])
def test_a_connection_that_the_server_closed_is_replaced(
    headers: dict[str, str], number: int, connections: int
) -> None:
    """A server that closes after each answer, or after some, loses no image."""
    images = [made_instance(number) for number in range(4)]
    with WebServer(close_after(number, **headers)) as server, web_sender(server.url) as sender:
        results = [sender.send(image) for image in images]
        assert sender.facts().losses == 0
    assert kinds(results) == [Sent] * 4
    assert [result.transfer.tries for result in results] == [1] * 4
    # A header Connection in the first answer of a connection ends it.
    assert server.connections == (4 if headers else connections)


def test_an_answer_to_no_request_is_dropped() -> None:
    """Servers send 408 on an idle connection before they close it; the next image is sent."""
    is_idle = threading.Event()

    def script(peer: WebPeer) -> None:
        answer(peer, peer.read())
        peer.reply(408, b"", Connection="close")
        is_idle.set()

    with WebServer(script, serve) as server, web_sender(server.url) as sender:
        results = [sender.send(made_instance(1))]
        assert is_idle.wait(10)
        results.append(sender.send(made_instance(2)))
    assert kinds(results) == [Sent, Sent]


def read_and_leave(peer: WebPeer) -> None:
    """Answer one image, read the next one, and close without an answer."""
    answer(peer, peer.read())
    peer.read()


@pytest.mark.parametrize("leave", [lambda _: None, WebPeer.reset], ids=["close", "reset"])
def test_a_reused_connection_without_any_answer_is_no_loss(
    leave: Callable[[WebPeer], None],
) -> None:
    """An idle connection that ends under a request is replaced at once, and not counted."""

    def script(peer: WebPeer) -> None:
        read_and_leave(peer)
        leave(peer)

    with WebServer(script, serve) as server, web_sender(server.url) as sender:
        results = [sender.send(made_instance(number)) for number in range(2)]
        assert (sender.facts().losses, sender.facts().retries) == (0, 0)
    assert kinds(results) == [Sent, Sent]


def in_head(peer: WebPeer) -> None:
    peer.read_head()
    peer.reset()


def in_body(peer: WebPeer) -> None:
    peer.read_head()
    while len(peer.held) < 1 << 20:
        peer.receive()
    peer.reset()


def before_answer(peer: WebPeer) -> None:
    peer.read()
    peer.reset()


def in_answer(peer: WebPeer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")


def in_answer_body(peer: WebPeer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")


@pytest.mark.parametrize("fault", [in_head, in_body, before_answer])
def test_an_image_lost_with_a_new_connection_is_resent(fault: Callable[[WebPeer], None]) -> None:
    """A loss is counted, and the image is resent after a sign of life."""
    with WebServer(fault, serve) as server, web_sender(server.url) as sender:
        result = sender.send(big_instance(12 << 20) if fault is in_body else made_instance())
        assert sender.facts().losses == 1
    assert isinstance(result, Sent)
    assert result.transfer.tries == 2
    assert server.requests[-2].target == "/dicom-web/studies?limit=1"


@pytest.mark.parametrize("fault", [in_answer, in_answer_body])
def test_an_image_without_a_whole_answer_may_be_stored(fault: Callable[[WebPeer], None]) -> None:
    """An image that reached the server whole is resent at the end, not at once."""
    with WebServer(fault, serve) as server, web_sender(server.url) as sender:
        result = sender.send(made_instance())
        assert sender.facts().losses == 1
    assert isinstance(result, Suspect)
    assert result.may_be_stored


def drip(peer: WebPeer) -> None:
    """Send a response without end, byte by byte."""
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n")
    waiting = threading.Event()
    while not waiting.wait(0.05):
        peer.send(b" ")


def silent(peer: WebPeer) -> None:
    peer.read()
    peer.read()


def interim(peer: WebPeer) -> None:
    """Send interim responses without end."""
    peer.read()
    waiting = threading.Event()
    while not waiting.wait(0.02):
        peer.send(b"HTTP/1.1 102 Processing\r\n\r\n")


@pytest.mark.parametrize("fault", [drip, silent, interim])
def test_nothing_moves_the_deadline_of_an_answer(fault: Callable[[WebPeer], None]) -> None:
    """A server that drips, is silent or sends interim responses does not hold a thread."""
    with WebServer(fault, fault, fault, fault) as server:
        results = send_once(server.url, made_instance(), timeouts=SHORT, retry_time=0)
    assert kinds(results) == [Kind.NO_ANSWER]


def endless_body(peer: WebPeer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        peer.send(b"10000\r\n" + bytes(0x10000) + b"\r\n")


def endless_head(peer: WebPeer) -> None:
    peer.read()
    peer.send(b"HTTP/1.1 200 OK\r\n")
    while True:
        peer.send(b"X: " + b"a" * 1000 + b"\r\n")


def not_http(peer: WebPeer) -> None:
    peer.read()
    peer.send(b"SSH-2.0-OpenSSH_9.2\r\n\r\n")


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (endless_body, Kind.NOT_NAMED),
        (endless_head, Kind.WRONG_ANSWER),
        (not_http, Kind.WRONG_ANSWER),
    ],
)
def test_an_answer_without_end_is_cut(fault: Callable[[WebPeer], None], kind: Kind) -> None:
    """A body, a head or a text without end costs at most its image, and little memory."""
    with WebServer(fault) as server:
        results = send_once(server.url, made_instance(), retry_time=0)
    assert kinds(results) == [kind]


@pytest.mark.parametrize("consent", [True, False, None], ids=["100", "413", "nothing"])
def test_a_large_body_waits_for_consent(consent: bool | None) -> None:
    """From 16 MiB, the body follows the server's consent, or the timeout `proceed`."""
    image = big_instance(17 << 20)
    timeouts = replace(TIMEOUTS, proceed=3 if consent is None else 3600)
    bodies, early = [], []

    def script(peer: WebPeer) -> None:
        request = peer.read_head()
        assert request.headers["expect"] == "100-continue"
        early.extend(select.select([peer.connection], [], [], 0.2)[0])
        if consent is False:
            peer.reply(413, b"<title>too large</title>")
            return
        if consent:
            peer.send(b"HTTP/1.1 100 Continue\r\n\r\n")
        request = peer.read_body(request)
        bodies.append(len(request.body))
        answer(peer, request)

    with WebServer(script) as server:
        results = send_once(server.url, image, timeouts=timeouts)
    assert early == []
    if consent is False:
        assert kinds(results) == [Kind.TOO_LARGE_FOR_SERVER]
        assert bodies == []
    else:
        assert kinds(results) == [Sent]
        assert bodies[0] > 17 << 20


def test_a_server_that_knows_no_consent_gets_the_body() -> None:
    """After 417, large images are sent without waiting, also the later ones."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read_head()
            if request.headers.get("expect"):
                peer.reply(417)
                return
            answer(peer, peer.read_body(request))

    with WebServer(script) as server:
        results = send_once(server.url, *[big_instance(17 << 20)] * 2)
    assert kinds(results) == [Sent, Sent]
    assert server.connections == 2


def test_an_early_answer_ends_a_large_request() -> None:
    """A server that answers 413 and reads no further gets no more of the image."""

    def script(peer: WebPeer) -> None:
        peer.read_head()
        peer.reply(413, b"<title>413 Request Entity Too Large</title>", Connection="close")
        while True:
            peer.receive()

    with WebServer(script) as server:
        results = send_once(server.url, big_instance(12 << 20), made_instance())
    assert kinds(results[:1]) == [Kind.TOO_LARGE_FOR_SERVER]


def test_a_server_that_stops_reading_loses_its_connection() -> None:
    """A request that is not read within the time to write is lost, and resent."""

    def script(peer: WebPeer) -> None:
        peer.connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        peer.read_head()
        threading.Event().wait(5)

    timeouts = Timeouts(write=0.5, min_rate=1e9, response=5, find=0.5, tick=0.05, connect=5)
    with WebServer(script, serve) as server, web_sender(server.url, timeouts=timeouts) as sender:
        result = sender.send(big_instance(12 << 20))
        assert sender.facts().losses == 1
    assert isinstance(result, Sent)
    assert result.transfer.tries == 2


def test_a_dataset_that_cannot_be_read_costs_only_itself() -> None:
    """The connection with half an image is closed, and the next image is sent."""
    with WebServer(serve) as server:
        results = send_once(server.url, truncated(), made_instance())
    assert kinds(results) == [Kind.NOT_READ, Sent]
    assert isinstance(results[0], NotSent)
    assert server.connections == 2


def truncated() -> SOPInstance:
    """Return an image whose file ends in its dataset."""
    image = big_instance(2 << 20)
    image.dataset.source.seek(1 << 20)
    image.dataset.source.truncate()
    return image


def test_an_aborted_sender_wakes_its_threads() -> None:
    """A thread that waits for an answer ends as soon as another one aborts."""
    is_reading, results = threading.Event(), list[StoreResult | Suspect]()

    def script(peer: WebPeer) -> None:
        peer.read()
        is_reading.set()
        peer.read()

    with WebServer(script) as server, web_sender(server.url) as sender:
        thread = threading.Thread(target=lambda: results.append(sender.send(made_instance())))
        thread.start()
        assert is_reading.wait(10)
        sender.finish()
        sender.abort()
        thread.join(10)
        assert not thread.is_alive()
    assert kinds(results) == [Kind.UNANSWERED]


def test_several_threads_use_as_many_connections() -> None:
    """Each of four threads has a connection of its own, and no more are opened."""
    together = threading.Barrier(4, timeout=10)

    def script(peer: WebPeer) -> None:
        first = peer.read()
        together.wait()
        answer(peer, first)
        serve(peer)

    images = [made_instance(number, StudyInstanceUID=f"1.2.{number}", PatientID=f"{number}")
              for number in range(1, 5)]  # fmt: skip
    results: list[StoreResult | Suspect] = []
    with WebServer(script) as server, web_sender(server.url, connections=4) as sender:
        threads = [
            threading.Thread(target=lambda one=one: results.append(sender.send(one)))
            for one in images
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(20)
        assert sender.facts().connections == 4
    assert kinds(results) == [Sent] * 4
