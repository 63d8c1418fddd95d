"""No message has a secret, whatever the servers answer, and none goes to another server."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.dicomweb import credentials
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.reasons import Kind
from tests.support.instances import made_instance
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, answer, serve

IMAGE = made_instance()
TOKEN = "hidden-token-1234"
BEARER = credentials.FixedHeaders((("Authorization", f"Bearer {TOKEN}"),), (TOKEN,))


@pytest.mark.parametrize("token", ["", " ", None, 7, [TOKEN], {"a": TOKEN}, "a\nb", "a" * 17_000])
def test_a_token_that_no_header_can_have_ends_the_run(token: Any) -> None:
    """The authorization server's answer then has no token, and nothing is sent."""

    def script(peer: WebPeer) -> None:
        peer.read()
        peer.reply(200, json.dumps({"access_token": token}).encode())

    with WebServer(script) as tokens, WebServer(serve) as server:
        url = f"http://127.0.0.1:{tokens.port}/token"
        client = credentials.ClientCredentials(url, "me", "hidden-word")
        (result,) = send_once(server.url, IMAGE, credentials=client)
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.NOT_AUTHORIZED
    assert server.requests == []


def redirecting(location: str, method: str = "GET") -> Callable[[WebPeer], None]:
    """Return a script that redirects requests for the configured path."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if request.target.startswith("/dicom-web/") and request.method == method:
                peer.reply(302, Location=location)
            else:
                answer(peer, request)

    return script


@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize(
    "location",
    [
        "http://[bad/studies",
        f"/login/{TOKEN}",
        f"/login?next={TOKEN}",
        f"http://{TOKEN}.example/studies",
        f"http://me:{TOKEN}@127.0.0.1/studies",
        "\\\\other.example\\studies",
        "/\x1b[31m",
    ],
)
def test_an_unusable_redirect_ends_the_check(location: str, method: str) -> None:
    """The error does not quote the token, nor the query or the user of the other URL."""
    with (
        WebServer(redirecting(location, method)) as server,
        web_sender(server.url, credentials=BEARER) as sender,
        pytest.raises(ServerError) as error,
    ):
        sender.check()
    assert TOKEN not in str(error.value)
    assert str(error.value).isprintable()


def test_relative_redirects_follow_each_other() -> None:
    """A second redirect is relative to the path of the first one."""

    def script(peer: WebPeer) -> None:
        found = {"/dicom-web/": "/a/b/studies", "/a/b/": "../c/studies"}
        while True:
            request = peer.read()
            start = request.target.partition("studies")[0]
            if start in found:
                peer.reply(302, Location=found[start])
            else:
                answer(peer, request)

    with WebServer(script) as server, web_sender(server.url) as sender:
        sender.check()
        sender.send(IMAGE)
    assert server.requests[-1].target == "/a/c/studies"
