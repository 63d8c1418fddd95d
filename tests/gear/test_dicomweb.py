"""The gear sends to a DICOMweb server as to a PACS."""

import io
import json
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.support.compare import added_elements
from tests.support.gear_runs import Session, gear_on, images, rows
from tests.support.pacs import DicomWebOrthanc
from tests.support.sample_files import zip_of
from tests.support.web_server import WebServer, serve


@pytest.mark.parametrize("verify", ["find", "content"])
def test_a_session_is_sent_to_a_url(
    tmp_path: Path, session: Session, web_orthanc: DicomWebOrthanc, verify: str
) -> None:
    """All images arrive with the element, and the report, the log and the mark name the URL."""
    site = session.site
    sent = images(1, 2, 3)
    acquisition = session.acquisition("T1")
    site.add_file(acquisition, "a.zip", zip_of(tmp_path / "a.zip", sent), file_type="dicom")
    gear = gear_on(tmp_path, site, 104, session.session)
    gear.config["config"] |= {"destination": web_orthanc.url, "verify": verify}
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert "No effect with a URL as destination: port, called_ae, calling_ae" in result.log
    assert web_orthanc.url in result.log
    report = site.reports[0].content
    assert [row[3:] for row in rows(report)] == [["3", "3", "Complete"]]
    arrived = web_orthanc.instances()
    assert len(arrived) == 3
    for image in sent:
        uid = dcmread(io.BytesIO(image.content)).SOPInstanceUID
        assert added_elements(image.content, arrived[uid])


@pytest.mark.parametrize("is_allowed", [False, True])
def test_the_gear_sends_credentials(tmp_path: Path, session: Session, is_allowed: bool) -> None:
    """The input has the token, and without TLS the run stops before any request."""
    session.site.add_file(session.acquisition("CT"), "ct.dcm", images(1)[0].content)
    file = tmp_path / "authorization.json"
    file.write_text(json.dumps({"token": "hidden-token-1234"}))
    with WebServer(serve) as server:
        gear = gear_on(tmp_path, session.site, 104, session.session)
        gear.config["config"] |= {
            "destination": server.url,
            "called_ae": "",
            "identity_without_tls": is_allowed,
            "debug": True,
        }
        gear.give("authorization.json", file, parent_id="p", input_name="authorization")
        result = gear.run()
    assert result.exit_code == (0 if is_allowed else 1), result.log
    assert "hidden-token" not in result.log
    headers = {one.headers["authorization"] for one in server.requests}
    assert headers == ({"Bearer hidden-token-1234"} if is_allowed else set())
