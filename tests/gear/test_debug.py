"""With `debug`, the log shows details about server and site, but no patient data."""

import re
from pathlib import Path

import pytest

from tests.support import datasets as raw
from tests.support import wording
from tests.support.datasets import EXPLICIT
from tests.support.flywheel_http import Status
from tests.support.gear import GearResult
from tests.support.gear_runs import Session, gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.send_command import send, to

LINE = re.compile(r"\[\S+ \S+ +(DEBUG|INFO|WARNING) +\S+ +([\w.]+):\d+\]")
WHO = {"PatientName": "Zweistein^Alberta", "PatientID": "PID-4711"}
SECRETS = ("zweistein", "alberta", "pid-4711")


def debug_lines(result: GearResult) -> list[str]:
    """Return the log lines that exist only with `debug`."""
    return [line for line in result.log.splitlines() if " DEBUG " in line]


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """Zip of images with a patient's name in many places, and one with names instead of UIDs."""
    odd = encoded(made(2, **WHO))
    uid = str(made(2).SOPInstanceUID).encode()
    name = b"ZWEISTEIN^ALBERTA".ljust(len(uid), b" ")[: len(uid)]
    return zip_of(
        tmp_path / "a.zip",
        [
            ArchiveMember("Zweistein_Alberta/1.dcm", encoded(made(1, **WHO))),
            ArchiveMember("Zweistein_Alberta/2.dcm", odd.replace(uid, name)),
            ArchiveMember("Zweistein_Alberta/3.dcm", encoded(made(3, **WHO))[:900]),
            ArchiveMember(
                "Zweistein_Alberta/4.dcm",
                raw.part10(raw.joined(raw.uids(EXPLICIT)), EXPLICIT.uid),
            ),
        ],
    )


def test_the_gears_log_has_only_its_own_details(
    tmp_path: Path, session: Session, hostile: Path
) -> None:
    """The gear logs associations, images and downloads; other libraries log nothing."""
    site = session.site
    site.fault(
        site.add_file(session.acquisition("A"), "a.zip", hostile, file_type="dicom"), Status(503)
    )
    with PythonSCP() as server:
        result = gear_on(tmp_path, site, server.port, session.session, debug=True).run()
        sent = [image.sop_instance_uid for image in server.stored]
    lines = debug_lines(result)
    loggers = {found[2] for line in lines if (found := LINE.match(line))}
    assert loggers
    assert all(name.startswith("fw_gear_dicom_send.") for name in loggers)
    text = "\n".join(lines)
    assert "CT Image Storage in Explicit VR Little Endian: accepted (0)" in text
    assert f"C-STORE of {made(1).SOPInstanceUID}, association " in text
    assert "C-STORE of (not a UID), association " in text
    assert re.search(r"Downloaded a\.zip: [\d,]+ bytes in ", text)
    assert text.count("Downloading a.zip") == 2
    assert wording.RELEASED in text
    assert len(sent) >= 2
    everything = (result.log + "".join(path.read_text() for path in result.output)).lower()
    for secret in (*SECRETS, site.api_key.rpartition(":")[2].lower()):
        assert secret not in text.lower()
        assert secret not in everything


def test_without_debug_there_are_no_details(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """None of the details are logged."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 0
    assert debug_lines(result) == []
    assert "C-STORE of" not in result.log


@pytest.mark.parametrize("options", [[], ["--debug"]])
def test_the_command_logs_details_on_request(
    tmp_path: Path, hostile: Path, options: list[str]
) -> None:
    """`dicom-send --debug` logs the same as the gear."""
    with PythonSCP() as server:
        result = send(hostile, *to(server), *options, cwd=tmp_path)
    assert ("C-STORE of " in result.stderr) is bool(options)
    assert not [line for line in result.stderr.splitlines() if "urllib3" in line]
    for secret in SECRETS:
        assert secret not in result.stderr.lower()
