"""The whole gear sends over TLS, as described in docs/tls.md."""

import json
import re
import subprocess
from pathlib import Path

import pytest

from fw_gear_dicom_send.network.tls import PROFILES
from tests.support import wording
from tests.support.certificates import HOST, Identity, issue
from tests.support.fault_scp import FaultSCP
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder
from tests.support.odd_certificates import PRINTABLE, name, odd_certificate
from tests.support.pacs import Orthanc
from tests.support.preloaded import REPOSITORY
from tests.support.programs import path_of
from tests.support.sample_files import encoded, made
from tests.support.tls_servers import demanding_context, orthanc_with_tls, secured


@pytest.fixture
def server(tmp_path: Path) -> Identity:
    """Identity of the server."""
    return issue(tmp_path / "server")


@pytest.fixture
def client(tmp_path: Path) -> Identity:
    """Identity of the gear, from another authority."""
    return issue(tmp_path / "client")


@pytest.fixture
def gear(tmp_path: Path, site: FlywheelSite) -> GearFolder:
    """Gear on a session with one image, with TLS turned on."""
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
    site.add_file(site.add_acquisition(session, "CT"), "ct.dcm", encoded(made(1)))
    options = {"destination": HOST, "called_ae": "PACS", "tls_enabled": True}
    return GearFolder(tmp_path / "v0", options, api_key=site.api_key, destination_id=session)


def give(gear: GearFolder, client: Identity, server: Identity | None) -> None:
    """Give the gear its key and certificate, and the server's authority."""
    gear.give("client key.pem", client.key, parent_id="p", input_name="key")
    gear.give("client.pem", client.cert, parent_id="p", input_name="cert")
    if server:
        gear.give("pacs-ca.pem", server.ca, parent_id="p", input_name="add_cert_file")


def test_the_gear_sends_over_tls(
    gear: GearFolder, site: FlywheelSite, server: Identity, client: Identity
) -> None:
    """The log shows the negotiated parameters, but nothing of the key."""
    with orthanc_with_tls(server, client, verifies=True) as orthanc:
        give(gear, client, server)
        gear.config["config"]["port"] = orthanc.port
        result = gear.run()
        assert len(orthanc.ids()) == 1
    assert result.exit_code == 0, result.log
    assert site.reports[0].content.endswith(b"ct.dcm,1,1,Complete\n")
    assert re.search(
        r"TLSv1\.3 with TLS_\w+; server certificate: OU=Testing cert .*, "
        r"issued by OU=Testing CA",
        result.log,
    )
    assert client.key.read_text().splitlines()[1] not in result.log


@pytest.mark.parametrize("verifies", [True, False])
def test_the_gear_sends_with_odd_certificates_on_both_sides(
    gear: GearFolder, site: FlywheelSite, tmp_path: Path, verifies: bool
) -> None:
    """The log shows the server's, and nothing is unexpected."""
    odd = odd_certificate(tmp_path / "odd", subject=name(PRINTABLE, b"pacs_1"))
    with FaultSCP(secured(demanding_context(odd, odd.ca))) as scp:
        give(gear, odd, odd if verifies else None)
        gear.config["config"] |= {"port": scp.port, "tls_require_peer_cert": verifies}
        result = gear.run()
    assert result.exit_code == 0, result.log
    assert site.reports[0].content.endswith(b"ct.dcm,1,1,Complete\n")
    assert "server certificate: CN=pacs_1, issued by CN=pacs_1" in result.log


def test_the_gear_does_not_send_to_an_untrusted_server(
    gear: GearFolder, site: FlywheelSite, server: Identity, client: Identity
) -> None:
    """The run ends with one line of advice; with `false` any certificate is accepted."""
    with orthanc_with_tls(server, client, verifies=True) as orthanc:
        give(gear, client, None)
        gear.config["config"]["port"] = orthanc.port
        strict = gear.run()
        assert orthanc.ids() == {}
        gear.config["config"]["tls_require_peer_cert"] = False
        lax = gear.run()
        assert len(orthanc.ids()) == 1
    assert strict.exit_code == 1
    assert site.reports[0].content.endswith(b"ct.dcm,0,0,Failed\n")
    assert wording.NOT_TRUSTED in strict.stderr
    assert wording.ADD_ITS_CA in strict.stderr
    assert lax.exit_code == 0, lax.log


def test_the_gear_names_an_invalid_key(gear: GearFolder, client: Identity) -> None:
    """An invalid key is a configuration error: one line, before any connection."""
    gear.give("key.pem", b"no key", parent_id="p", input_name="key")
    gear.give("cert.pem", client.cert, parent_id="p", input_name="cert")
    result = gear.run()
    assert result.exit_code == 1
    assert f"key: 'key.pem' {wording.ALLOWED}: {wording.ONE_KEY}" in result.stderr
    assert "Traceback" not in result.log


def blocks(language: str) -> list[str]:
    """Return the code blocks in docs/tls.md."""
    text = (REPOSITORY / "docs" / "tls.md").read_text()
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def test_the_example_of_the_documentation(tmp_path: Path, gear: GearFolder) -> None:
    """The certificates, Orthanc's configuration and the gear's options work together."""
    path_of("openssl")
    (script,) = blocks("sh")
    orthanc_settings, options = map(json.loads, blocks("json"))
    folder = tmp_path / "certificates"
    folder.mkdir()
    subprocess.run(["sh", "-c", script], cwd=folder, check=True, capture_output=True)
    for key in ("DicomTlsPrivateKey", "DicomTlsCertificate", "DicomTlsTrustedCertificates"):
        orthanc_settings[key] = str(folder / orthanc_settings[key])
    assert orthanc_settings.pop("DicomPort") == options["port"]
    for file, input_name in (
        ("flywheel-key.pem", "key"),
        ("flywheel.pem", "cert"),
        ("pacs-ca.pem", "add_cert_file"),
    ):
        gear.give(file, folder / file, parent_id="p", input_name=input_name)
    with Orthanc(**orthanc_settings) as orthanc:
        gear.config["config"] |= options | {"port": orthanc.port}
        result = gear.run()
        assert len(orthanc.ids()) == 1
    assert result.exit_code == 0, result.log
    assert "server certificate: CN=pacs.example.org, issued by CN=Example PACS CA" in result.log


@pytest.mark.parametrize("name", PROFILES)
def test_the_table_of_profiles_agrees_with_the_code(name: str) -> None:
    """Each profile has a row with its source and its support of TLS 1.3."""
    text = (REPOSITORY / "docs" / "tls.md").read_text()
    (row,) = (line for line in text.splitlines() if line.startswith(f"| `{name}`"))
    cells = [cell.strip() for cell in row.split("|")[1:-1]]
    assert cells[1] == ("yes" if PROFILES[name].has_tls_1_3 else "no")
    assert cells[3] == PROFILES[name].source
    assert ("DHE or" in cells[2] or "or DHE" in cells[2]) == any(
        suite.startswith("DHE") for suite in PROFILES[name].ciphers
    )
