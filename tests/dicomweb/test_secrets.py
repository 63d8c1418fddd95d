"""No message has a secret, whatever the servers answer, and none goes to another server."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.dicomweb import credentials
from fw_gear_dicom_send.errors import ConfigError, ServerError
from fw_gear_dicom_send.reasons import Kind
from tests.support.instances import made_instance
from tests.support.web_sending import send_once, web_sender
from tests.support.web_server import WebPeer, WebServer, answer, answering, serve

IMAGE = made_instance()
TOKEN = "hidden-token-1234"
OTHER = "state-of-a-login"
BEARER = credentials.FixedHeaders((("Authorization", f"Bearer {TOKEN}"),), (TOKEN,))


@pytest.mark.parametrize("token", ["", " ", None, 7, [TOKEN], {"a": TOKEN}, "a\nb", "a" * 17_000])
def test_a_token_that_no_header_can_have_ends_the_run(token: Any) -> None:
    """The authorization server's answer then has no token, and nothing is sent."""

    def script(peer: WebPeer) -> None:
        peer.read()
        peer.reply(200, json.dumps({"access_token": token}).encode())

    with WebServer(script) as tokens, WebServer(serve) as server:
        url = f"http://127.0.0.1:{tokens.port}/token"
        client = credentials.parsed(
            {"token_url": url, "client_id": "me", "client_secret": "hidden-word"}
        )
        (result,) = send_once(server.url, IMAGE, credentials=client)
    assert isinstance(result, NotSent)
    assert result.reason.kind is Kind.NOT_AUTHORIZED
    assert server.requests == []


@pytest.mark.parametrize(
    ("given", "secret"),
    [
        ({"username": "doctor", "password": "orthanc"}, "orthanc"),
        ({"username": "doctor", "password": "orthanc"}, "doctor"),
        ({"token": "short"}, "SHORT"),
        ({"headers": {"X-Key": "Token letmein"}}, "letmein"),
        ({"headers": {"X-Key": "tiny7"}}, "7yniT tiny7"),
    ],
)
def test_a_short_secret_is_withheld(tmp_path: Path, given: Any, secret: str) -> None:
    """A word of the credentials appears in no message, however short it is."""
    file = tmp_path / "authorization.json"
    file.write_text(json.dumps(given))
    page = f"<title>{secret} is not permitted here</title>".encode()
    with WebServer(answering((400, page))) as server:
        (result,) = send_once(server.url, IMAGE, credentials=credentials.read(file))
    assert secret not in repr(result)
    assert "withheld" in repr(result)


def test_an_answer_that_quotes_an_older_token_is_withheld() -> None:
    """A token that was replaced meanwhile stays secret."""
    given = ["first1gruyere", "second2emmental"]

    def tokens_in_turn(peer: WebPeer) -> None:
        peer.read()
        token = given[len(peer.server.requests) - 1]
        peer.reply(200, json.dumps({"access_token": token, "expires_in": 0}).encode())

    page = b"<title>not for first1gruyere</title>"
    with WebServer(tokens_in_turn) as tokens, WebServer(answering(500, (400, page))) as server:
        url = f"http://127.0.0.1:{tokens.port}/token"
        client = credentials.parsed(
            {"token_url": url, "client_id": "me", "client_secret": "hidden-word"}
        )
        results = send_once(server.url, IMAGE, made_instance(2), credentials=client)
    assert "first" not in repr(results)
    assert "withheld" in repr(results[1])


@pytest.mark.parametrize("url", ["nowhere", "ftp://host/a", "https://host/a?key=hidden"])
def test_an_invalid_token_url_is_refused_with_any_option(tmp_path: Path, url: str) -> None:
    """Without TLS too, a token_url is a URL without a query, which is not shown."""
    file = tmp_path / "authorization.json"
    file.write_text(json.dumps({"token_url": url, "client_id": "me", "client_secret": "hidden"}))
    with pytest.raises(ConfigError) as error:
        credentials.read(file, is_open=True)
    assert "hidden" not in str(error.value)


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
        f"/login?next={OTHER}",
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
    assert OTHER not in str(error.value)
    assert str(error.value).isprintable()


def test_the_name_of_a_server_is_printable() -> None:
    """A header Server with control characters does not reach a terminal as such."""

    def script(peer: WebPeer) -> None:
        while True:
            peer.read()
            peer.reply(200, Server="web\x1b[31m\x07")

    with WebServer(script) as server, web_sender(server.url) as sender:
        assert sender.examine().product == r"web\x1b[31m\x07"


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
