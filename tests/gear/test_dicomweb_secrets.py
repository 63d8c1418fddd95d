"""The gear keeps the credentials for a DICOMweb server secret, whatever fails."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest

from tests.support.gear_runs import Session, gear_on, images
from tests.support.web_server import WebPeer, WebServer, answer

PASSWORD = "orthanc"


def echoing(status: int) -> Any:
    """Return a script that passes the check, and then quotes the credentials everywhere."""

    def script(peer: WebPeer) -> None:
        while True:
            request = peer.read()
            if not request.uids:
                answer(peer, request)
                continue
            field = request.headers.get("authorization", "").partition(" ")[2]
            text = base64.b64decode(field + "===").decode().replace(":", " with ")
            item = {"00081155": {"Value": request.uids}, "00081197": {"Value": [0xC000]}}
            item["00000902"] = {"Value": [text]}
            body = json.dumps({"00081198": {"Value": [item]}}).encode()
            if status >= 500:
                body = f"<title>{text}</title>".encode()
            peer.reply(status, body, Warning=f'299 x: "{text}"', Server=text, Location=f"/{text}")

    return script


@pytest.mark.parametrize("status", [401, 302, 409, 500])
def test_no_output_of_the_gear_has_the_password(
    tmp_path: Path, session: Session, status: int
) -> None:
    """A server that quotes it in all parts of an answer appears nowhere with it."""
    session.site.add_file(session.acquisition("CT"), "ct.dcm", images(1)[0].content)
    file = tmp_path / "authorization.json"
    file.write_text(json.dumps({"username": "doctor", "password": PASSWORD}))
    with WebServer(echoing(status)) as server:
        gear = gear_on(tmp_path, session.site, 104, session.session)
        gear.config["config"] |= {
            "destination": server.url,
            "called_ae": "",
            "identity_without_tls": True,
            "debug": True,
        }
        gear.give("authorization.json", file, parent_id="p", input_name="authorization")
        result = gear.run()
    assert result.exit_code == 1, result.log
    written = [report.content.decode("utf-8", "replace") for report in session.site.reports]
    written += [
        path.read_text("utf-8", "replace")
        for path in (gear.folder / "output").rglob("*")
        if path.is_file()
    ]
    assert PASSWORD not in result.log + "".join(written)


@pytest.mark.parametrize("url", ["http://me:hidden@127.0.0.1:9/", "https:me:hidden@127.0.0.1"])
def test_a_url_with_a_password_is_refused_without_it(
    tmp_path: Path, session: Session, url: str
) -> None:
    """The error in the gear's log names neither the user nor the password."""
    session.site.add_file(session.acquisition("CT"), "ct.dcm", images(1)[0].content)
    gear = gear_on(tmp_path, session.site, 104, session.session)
    gear.config["config"] |= {"destination": url, "debug": True}
    result = gear.run()
    assert result.exit_code == 1
    assert "hidden" not in result.log
    assert "destination" in result.log
