"""The site's own words about a refused request are quoted, but no secret."""

import gzip
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.flywheel.api import API
from fw_gear_dicom_send.flywheel.client import connect
from tests.support.flywheel_http import Status
from tests.support.flywheel_site import ENHANCED_KEY, FlywheelSite
from tests.support.site_clients import add_session, selected

REFUSED = "User x@example.org does not have rw access to session 5f"


@contextmanager
def refusing(code: int, body: bytes, headers: Mapping[str, str]) -> Iterator[str]:
    """Site that refuses each request, and its API key."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(code)
            for name, value in {"Content-Length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Print nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}:{ENHANCED_KEY}"
        server.shutdown()


def error(code: int, body: bytes, **headers: str) -> str:
    """Return the message about a refused request."""
    with refusing(code, body, headers) as key, pytest.raises(SiteError) as caught:
        API(connect(key)).ask("GET", "/api/config")
    assert caught.value.status == code
    start = "GET /api/config: "
    assert str(caught.value).startswith(start)
    return str(caught.value).removeprefix(start)


def said(message: object) -> bytes:
    """Return an error response of the site."""
    return json.dumps({"message": message, "status_code": 403}).encode()


@pytest.mark.parametrize(
    ("message", "words"),
    [
        (REFUSED, f": {REFUSED}"),
        ("two\nlines \x1b[2J\t", ": two lines \\x1b[2J"),
        ("<p>No <b>access</b></p> &amp; no role<br/>", ": No access & no role"),
        ("w" * 300, f": {'w' * 200}"),
        (f"the key {ENHANCED_KEY} has no access", ": the key *** has no access"),
        (
            "see https://storage.example.org/a?signature=hush and ask",
            ": see https://storage.example.org/a and ask",
        ),
        ("", ""),
        (" \n", ""),
        (None, ""),
        ({"a": 1}, ""),
    ],
)
def test_message_is_quoted_in_one_short_line(message: object, words: str) -> None:
    """The message is printable and without markup; it has no key and no signature."""
    assert error(403, said(message)) == f"403 Forbidden{words}"


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>403</html>",
        b"[1]",
        b"\xff",
        b"[" * 60_000,
        said("w" * 70_000),
        b'"' + REFUSED.encode() + b'"',
    ],
    ids=["empty", "html", "list", "bytes", "nested", "large", "text"],
)
def test_other_bodies_are_not_quoted(body: bytes) -> None:
    """Only the message of a JSON object is quoted, and only a short body is read."""
    assert error(503, body) == "503 Service Unavailable"


def test_body_may_be_compressed_or_incomplete() -> None:
    """A compressed message is read; a body that ends early is not an error of its own."""
    headers = {"Content-Encoding": "gzip"}
    assert error(403, gzip.compress(said(REFUSED)), **headers).endswith(REFUSED)
    assert error(403, b"no gzip", **headers) == "403 Forbidden"
    bomb = gzip.compress(said("w" * 50_000_000))
    assert error(403, bomb, **headers) == "403 Forbidden"


def test_refused_key_is_named(site: FlywheelSite) -> None:
    """HTTP 401 from the site means that it does not know the key."""
    session = add_session(site)
    site.fault(session, Status(401))
    with pytest.raises(SiteError, match=r": 401 Unauthorized: the API key is not valid for this"):
        selected(site, "session", session)


def test_storage_is_not_quoted(site: FlywheelSite) -> None:
    """A storage without our key is not quoted: its words may contain the signed URL."""
    body = said("AccessDenied: /a?signature=hush")
    with refusing(400, body, {}) as key:
        url = f"{key.removesuffix(f':{ENHANCED_KEY}')}/storage/a?signature=hush"
        with pytest.raises(SiteError) as caught:
            API(connect(site.api_key)).ask("GET", url, what="the site's storage")
    assert str(caught.value) == "GET the site's storage: 400 Bad Request"
