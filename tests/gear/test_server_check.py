"""The gear checks the server before the first download."""

import json
import re
from functools import partial
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.uids import VERIFICATION
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.text import sentence
from tests.support import wording
from tests.support.fault_scp import FaultSCP, Peer, Script
from tests.support.gear import GearFolder, GearResult
from tests.support.gear_runs import (
    Session,
    assert_work_is_empty,
    counts,
    downloads,
    gear_on,
    images,
)
from tests.support.html_reading import parsed
from tests.support.pacs import PythonSCP
from tests.support.sample_files import (
    encoded,
    made,
    zip_of,
)

RETRY_TIME = 300
"""Duration in seconds of a run that retries: the default of `send_retry_time`."""


def test_an_unreachable_server_ends_the_run_before_any_download(
    tmp_path: Path, session: Session
) -> None:
    """Each file has its row, one line has the reason, and nothing is downloaded."""
    with PythonSCP() as scp:
        port = scp.port
    archive = zip_of(tmp_path / "a.zip", images(*range(50)))
    acquisition = session.acquisition("A")
    for name in ("a.zip", "b.zip"):
        session.site.add_file(acquisition, name, archive, file_type="dicom")
    gear = gear_on(tmp_path, session.site, port, session.session)
    result = gear.run()
    assert_failed_at_once(session, gear, result, ["a.zip", "b.zip"])
    message = (
        f"{wording.CANNOT_CONNECT} 127.0.0.1 port {port}: Connection refused: check destination and"
    )
    assert message in result.stderr


@pytest.mark.parametrize(
    ("script", "message"),
    [
        (
            partial(Peer.reject, result=1, source=1, reason=7),
            f"{wording.UNKNOWN_CALLED_AE} 'PACS'",
        ),
        (
            partial(Peer.reject, result=1, source=1, reason=3),
            wording.UNKNOWN_CALLING_AE,
        ),
        (Peer.close, f"{wording.NO_VALID_ANSWER}: {wording.CHECK_DICOM}"),
    ],
)
def test_a_server_that_fails_the_check_ends_the_run_before_any_download(
    tmp_path: Path, session: Session, script: Script, message: str
) -> None:
    """A wrong AE title or port is reported in one line within seconds."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with FaultSCP(script) as server:
        gear = gear_on(tmp_path, session.site, server.port, session.session)
        result = gear.run()
        assert server.connections == 1
    assert_failed_at_once(session, gear, result, ["a.dcm"])
    assert message in result.stderr


def test_the_page_of_a_failed_start_says_why(tmp_path: Path, session: Session) -> None:
    """It leads with the words of the log and their advice, and asks for no other run."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with FaultSCP(partial(Peer.reject, result=1, source=1, reason=7)) as server:
        gear_on(tmp_path, session.site, server.port, session.session).run()
    (upload,) = (one for one in session.site.uploads if one.name.endswith(".html"))
    page = parsed(upload.content.decode())
    outcome = page.texts("p")[0]
    assert f"{wording.UNKNOWN_CALLED_AE} 'PACS'. Nothing was sent. " in outcome
    assert outcome.endswith(f" {sentence(wording.CHECK_TITLES)}")
    assert page.texts("h2") == ["Files", "Details for support requests"]
    assert Kind.NOT_REACHED.advice not in page.text
    (summary,) = (json.loads(one.content) for one in session.site.uploads if "summary" in one.name)
    assert summary["advice"] == sentence(wording.CHECK_TITLES)
    assert wording.UNKNOWN_CALLED_AE in summary["cause"]


def test_an_unknown_host_has_a_report(tmp_path: Path, session: Session) -> None:
    """Name resolution is a part of the check."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    host = "no-such-host.invalid"
    gear = gear_on(tmp_path, session.site, 104, session.session, destination=host)
    result = gear.run()
    assert_failed_at_once(session, gear, result, ["a.dcm"])
    assert f"{wording.CANNOT_CONNECT} {host} port 104: " in result.stderr


def assert_failed_at_once(
    session: Session, gear: GearFolder, result: GearResult, names: list[str]
) -> None:
    """Check that nothing was downloaded, each file is reported as failed, and one line says why."""
    assert result.exit_code == 1
    assert result.seconds < RETRY_TIME
    found = counts(session.site.reports[0].content)
    assert found == dict.fromkeys(names, ("0", "0", "Failed"))
    assert_not_counted(session, result)
    assert not downloads(session.site)
    (error,) = [line for line in result.stderr.splitlines() if "ERROR" in line]
    assert f"{gear.config['config']['destination']} port" in error
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


def assert_not_counted(session: Session, result: GearResult) -> None:
    """Check that log and page do not show a number of images without a count."""
    assert f"Images {wording.NOT_COUNTED}" in result.log
    table = result.log.rpartition("Images in Series  ")[2].splitlines()[1:]
    assert any(re.search(rf"  {wording.NOT_COUNTED} +0 +Failed$", line) for line in table)
    assert not re.search(r"\d images? (would be )?sent", result.log)
    (page,) = (one.content for one in session.site.uploads if one.name.endswith(".html"))
    shown = parsed(page.decode())
    facts = zip(shown.texts("dt"), shown.texts("dd"), strict=True)
    assert ("Images", wording.NOT_COUNTED) in facts


def test_a_run_on_a_file_that_cannot_start_has_no_count(tmp_path: Path, session: Session) -> None:
    """The file is on disk, but nothing has opened it."""
    with PythonSCP() as scp:
        port = scp.port
    acquisition = session.acquisition("A")
    session.site.add_file(acquisition, "a.dcm", encoded(made(1)))
    gear = gear_on(tmp_path, session.site, port, acquisition, "acquisition")
    gear.give("a.dcm", encoded(made(1)), parent_id=acquisition)
    result = gear.run()
    assert result.exit_code == 1
    assert counts(session.site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert_not_counted(session, result)


def test_a_name_of_the_local_machine_works(tmp_path: Path, session: Session) -> None:
    """A host name with an IPv6 and an IPv4 address is reached at the one that listens."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with PythonSCP() as scp:
        gear = gear_on(tmp_path, session.site, scp.port, session.session, destination="localhost")
        result = gear.run()
    assert result.exit_code == 0, result.log


def test_an_input_file_is_sent_in_the_association_of_the_check(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """It is on disk, so its presentation contexts are known."""
    acquisition = session.acquisition("A")
    path = tmp_path / "image.dcm"
    path.write_bytes(encoded(made(1)))
    gear = gear_on(tmp_path, session.site, python_scp.port, acquisition, "acquisition")
    gear.give(path.name, path, parent_id=acquisition)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert (len(python_scp.associations), python_scp.released) == (1, 1)


def test_no_association_waits_for_a_download(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """That of the check is for a C-ECHO only; servers end idle ones."""
    session.site.add_file(session.acquisition("A"), "image.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 0, result.log
    check, _ = python_scp.associations
    assert {one.abstract_syntax for one in check.contexts} == {VERIFICATION}
