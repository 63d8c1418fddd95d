"""`dicom-send` keeps the credentials for a DICOMweb server secret."""

import json
from pathlib import Path

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
