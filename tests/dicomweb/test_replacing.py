"""With `on_conflict: replace`, an image is sent only if it is the one on the server."""

from collections.abc import Callable

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.option_values import OnConflict
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.instances import made_instance
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, answer, failed

IMAGE = made_instance()
UID = IMAGE.sop_instance_uid
GOOGLE = failed(UID, 272, **{"00091097": {"vr": "LO", "Value": ["ALREADY_EXISTS"]}})
AZURE = failed(UID, 45070)


@pytest.mark.parametrize(
    "uids",
    [
        {"study_instance_uid": "1.2?"},
        {"study_instance_uid": ""},
        {"series_instance_uid": "1 2"},
        {"series_instance_uid": ".."},
        {"series_instance_uid": "1.2/../.."},
        {"study_instance_uid": "1.2#", "series_instance_uid": "1.3"},
    ],
)
def test_only_a_valid_path_is_deleted(uids: dict[str, str]) -> None:
    """A UID that would change the path of a DELETE leaves the conflict as the result."""
    deleted = []

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.method == "DELETE":
                deleted.append(request.target)
            peer.reply(409, GOOGLE)

    with WebServer(script) as server:
        (result,) = send_once(server.url, replace(IMAGE, **uids), on_conflict=OnConflict.REPLACE)
    assert deleted == []
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.REFUSED


def losing(method: str, body: bytes) -> Callable[[WebPeer], None]:
    """Return a script for a server with an older image that loses the first such request."""
    lost: list[str] = []
    has_older = True

    def script(peer: WebPeer) -> None:
        nonlocal has_older
        while True:
            request = peer.read()
            if request.method == method and not lost:
                lost.append(method)
                peer.send(b"HTTP/1.1 200 OK\r\nContent-Le")
                return
            if request.method == "POST" and has_older:
                peer.reply(409, body)
                continue
            has_older = has_older and request.method == "GET"
            answer(peer, request)

    return script


@pytest.mark.parametrize(
    ("method", "body"),
    [("POST", AZURE), ("PUT", AZURE), ("DELETE", GOOGLE), ("POST", GOOGLE)],
    ids=["POST to Azure", "PUT", "DELETE", "POST to Google"],
)
def test_an_older_image_is_replaced_after_a_loss(method: str, body: bytes) -> None:
    """A lost request does not make the existing image ours: the image is sent again."""
    with (
        WebServer(losing(method, body)) as server,
        web_sender(server.url, on_conflict=OnConflict.REPLACE) as sender,
    ):
        result = sender.send(IMAGE)
        if isinstance(result, Suspect):
            assert not result.may_be_stored
            result = sender.send(IMAGE, result)
        assert isinstance(result, Sent)
    assert [reason.kind for reason in result.remarks] == [Kind.OVERWRITTEN]
    methods = [one.method for one in server.requests if one.method != "GET"]
    assert methods[-1] == ("PUT" if body is AZURE else "POST")


def test_a_deleted_image_is_never_already_there() -> None:
    """After DELETE, a refused POST is a failure."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.method == "DELETE":
                peer.reply(200)
            else:
                has_deleted = any(one.method == "DELETE" for one in peer.server.requests)
                peer.reply(*((400, b"") if has_deleted else (409, GOOGLE)))

    with WebServer(script) as server:
        (result,) = send_once(server.url, IMAGE, on_conflict=OnConflict.REPLACE)
    assert isinstance(result, NotSent)
    assert [one.method for one in server.requests] == ["POST", "DELETE", "POST"]


@pytest.mark.parametrize("code", [45070, 0x0111])
def test_an_image_that_was_read_on_an_idle_connection_is_ours(code: int) -> None:
    """A server that stores the image and closes the connection answers the repetition so."""
    image = made_instance(2)

    def storing(peer: WebPeer) -> None:
        answer(peer, peer.read())
        peer.read()

    def existing(peer: WebPeer) -> None:
        peer.read()
        peer.reply(409, failed(image.sop_instance_uid, code))

    with WebServer(storing, existing) as server:
        results = send_once(server.url, IMAGE, image)
    assert [type(one) for one in results] == [Sent, Sent]
