"""The gear attaches its reports, and its log contains no patient data and no secret."""

import re
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from tests.support.flywheel_http import Status
from tests.support.gear_runs import Session, counts, gear_on
from tests.support.pacs import CStore, PythonSCP
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    made,
    zip_of,
)


def test_a_signed_url_is_used_if_the_site_requires_it(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """File and report are transferred through its storage, which gets neither key nor password."""
    session.site.signed_url = True
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    gear = gear_on(tmp_path, session.site, python_scp.port, session.session)
    netrc = tmp_path / "netrc"
    netrc.write_text("default login someone password hunter2\n")
    gear.environment["NETRC"] = str(netrc)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert counts(session.site.reports[0].content) == {"a.dcm": ("1", "1", "Complete")}
    for method in ("GET", "PUT"):
        assert any("/storage/" in path for path in session.site.requested(method))
    assert "signature" not in result.log


def test_a_rejected_report_stays_in_the_output_folder(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """A read-only key cannot attach the reports, so the engine attaches them from the outputs."""
    session.site.upload_status = 403
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    assert result.exit_code == 0, result.log
    report, page, instances, summary = result.output
    stem = report.name.removesuffix(".csv")
    assert stem.startswith("dicom-send_report-visit 1_")
    assert [path.name.removeprefix(stem) for path in (page, instances, summary)] == [
        ".html",
        "_instances.csv",
        "_summary.json",
    ]
    assert counts(report.read_bytes()) == {"a.dcm": ("1", "1", "Complete")}
    assert "403 Forbidden" in result.log


def test_no_report_is_written_on_request(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """With `report_files` none nothing is attached or left; the log still has the table."""
    session.site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    result = gear_on(
        tmp_path, session.site, python_scp.port, session.session, report_files="none"
    ).run()
    assert result.exit_code == 0, result.log
    assert session.site.uploads == []
    assert result.output == ()
    assert re.search(r"a\.dcm +1 +1 +Complete", result.log)


def test_the_log_ends_with_the_table(
    tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """The log ends with the report as a table with aligned columns."""
    acquisition = session.acquisition("A")
    session.site.add_file(acquisition, "a.dcm", encoded(made(1)))
    session.site.add_file(acquisition, "a much longer name.dcm", encoded(made(2)))
    result = gear_on(tmp_path, session.site, python_scp.port, session.session).run()
    header, *lines = result.stdout.rstrip().splitlines()[-3:]
    assert header.split("  ")[0] == "Acquisition ID"
    assert {line.index("Complete") for line in lines} == {header.index("Status")}


@pytest.mark.parametrize("debug", [False, True])
def test_the_log_contains_no_patient_and_no_secret(
    tmp_path: Path, session: Session, debug: bool
) -> None:
    """Neither the log nor the output folder contains patient data or the key."""
    who = {
        "PatientName": "Zweistein^Alberta",
        "PatientID": "PID-4711",
        "PatientBirthDate": "19010203",
    }
    archive = zip_of(
        tmp_path / "a.zip",
        [
            ArchiveMember("Zweistein_Alberta/1.dcm", encoded(made(1, **who))),
            ArchiveMember("Zweistein_Alberta/2.dcm", encoded(made(2, **who))[:900]),
            ArchiveMember(
                "Zweistein_Alberta/3.dcm", encoded(made(3, **who)).replace(b"UI", b"UX", 3)
            ),
        ],
    )
    site = session.site
    site.fault(
        site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom"), Status(503)
    )

    def quote(_: CStore) -> Dataset:
        answer = Dataset()
        answer.Status = 0xC001
        answer.ErrorComment = "cannot take ALBERTA ZWEISTEIN, PID-4711"
        return answer

    with PythonSCP(status=quote) as scp:
        result = gear_on(tmp_path, site, scp.port, session.session, debug=debug).run()

    text = result.log + "".join(path.read_text() for path in result.output)
    assert bool(result.output) == debug
    assert "status 0xC001 Cannot Understand" in text
    for secret in ("zweistein", "alberta", "pid-4711", site.api_key.rpartition(":")[2]):
        assert secret not in text.lower()
