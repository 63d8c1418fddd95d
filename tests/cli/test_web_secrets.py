"""`dicom-send` keeps the credentials for a DICOMweb server secret."""

import json
from pathlib import Path

import pytest

from tests.support.certificates import issue
from tests.support.send_command import send
from tests.support.tls_servers import server_context
from tests.support.web_server import WebPeer, WebServer, serve


def test_a_token_is_requested_over_tls_for_a_server_without(series: Path, tmp_path: Path) -> None:
    """A token_url with https gets the client's secret over TLS, also if the destination has http.

    Without the CA of its certificate, nothing is sent.
    """
    identity = issue(tmp_path / "server")
    file = tmp_path / "authorization.json"

    def give(peer: WebPeer) -> None:
        peer.read()
        peer.reply(200, b'{"access_token": "given-token"}')

    with WebServer(serve) as server, WebServer(give, tls=server_context(identity)) as tokens:
        url = f"https://127.0.0.1:{tokens.port}/token"
        file.write_text(
            json.dumps({"token_url": url, "client_id": "me", "client_secret": "hidden"})
        )
        given = [series, server.url, "--authorization", file, "--identity-without-tls"]
        refused = send(*given, cwd=tmp_path)
        assert (refused.exit_code, tokens.requests) == (3, [])
        assert "certificate" in refused.stderr
        result = send(*given, "--add-cert-file", identity.ca, cwd=tmp_path)
    assert result.exit_code == 0, result.stderr
    assert {one.headers["authorization"] for one in server.requests} == {"Bearer given-token"}


@pytest.mark.parametrize(
    "words",
    [
        ["http://me:hidden@127.0.0.1:9/", "."],
        ["http://me:hidden@127.0.0.1:9/", ".", "http://127.0.0.1:9/"],
        ["https://me:hidden@127.0.0.1:9/"],
        [".", "ftp://me:hidden@127.0.0.1:9/"],
        [".", "http:/me:hidden@127.0.0.1:9/"],
        [".", "--destination", "me:hidden@127.0.0.1:9/"],
        ["echo", "http://127.0.0.1:9/", "http://me:hidden@127.0.0.1:9/"],
        ["servers", "http://me:hidden@127.0.0.1:9/"],
    ],
)
def test_a_misplaced_url_does_not_show_its_password(tmp_path: Path, words: list[str]) -> None:
    """An error about any word of a command line leaves out the user of a URL."""
    result = send(*words, cwd=tmp_path)
    assert result.exit_code == 2
    assert "hidden" not in result.stderr


def test_the_list_of_servers_shows_no_password(tmp_path: Path) -> None:
    """A URL with a user in servers.toml is listed without it."""
    config = tmp_path / "config" / "dicom-send"
    config.mkdir(parents=True)
    (config / "servers.toml").write_text('[web]\nhost = "http://me:hidden@host/"\n')
    listed = send("servers", cwd=tmp_path, variables={"XDG_CONFIG_HOME": str(tmp_path / "config")})
    assert listed.stdout.split() == ["web", "http://host/"]
