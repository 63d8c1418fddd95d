"""`dicom-send` writes its reports to the chosen folder and prints JSON for programs."""

import json
import os
import re
import shutil
from contextlib import nullcontext
from pathlib import Path

from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.certificates import HOST
from tests.support.html_reading import parsed
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP, free_port
from tests.support.sample_files import TEST_FILES
from tests.support.send_command import send, to


def test_reports_equal_those_of_the_gear_in_the_chosen_folder(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The report, the per-image report and the page are written to --report-folder."""
    send(series, *to(python_scp), "--report-folder", tmp_path / "new/reports", cwd=tmp_path)

    names = sorted(path.name for path in (tmp_path / "new/reports").iterdir())
    assert [name[name.index("series") :][26:] for name in names] == [
        ".csv",
        ".html",
        "_instances.csv",
        "_summary.json",
    ]
    page = parsed(next((tmp_path / "new/reports").glob("*.html")).read_text()).one("main")
    shown = dict(zip(page.texts("dt"), page.texts("dd"), strict=True))
    assert wording.ALL_SENT in page.texts("p")
    assert (shown["Source"], shown["Images sent"]) == (str(series), "4 of 4")
    assert {"--destination", "--send-retry-time"} <= set(page.texts("td"))
    assert not re.search(r"gear's|FW Path|Acquisition ID|Upload", page.text)


def test_no_report_is_written_on_request(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """With --no-reports the current folder remains unchanged."""
    before = set(tmp_path.iterdir())

    assert send(series, *to(python_scp), "--no-reports", cwd=tmp_path).exit_code == 0

    assert set(tmp_path.iterdir()) == before


def test_json_shows_the_result_of_each_file(
    series: Path, storescp: StoreSCP, tmp_path: Path
) -> None:
    """With --json, stdout is JSON only: counts, remarks and the paths of the reports."""
    (series / "bad.zip").write_bytes(b"PK\3\4 no zip")

    result = send(series, "--json", *to(storescp), cwd=tmp_path)

    summary = json.loads(result.stdout)
    assert (summary["images"], summary["sent"], summary["complete"]) == (4, 4, False)
    assert {Path(one["path"]).name: one["status"] for one in summary["files"]} == {
        "series": "Complete",
        "bad.zip": "Failed",
    }
    assert [one["remarks"] for one in summary["files"]][1][0]["failure"]
    assert [Path(one).suffix for one in summary["reports"]] == [".csv", ".csv", ".html", ".json"]
    assert all(Path(tmp_path / one).is_file() for one in summary["reports"])
    assert (summary["error"], result.exit_code) == (None, 1)


def test_json_distinguishes_sent_existing_and_planned_images(
    series: Path, orthanc: Orthanc, tmp_path: Path
) -> None:
    """A first run sends all, one with --skip-existing finds all existing, a dry run plans all."""
    summary = []
    for options in ([], ["--skip-existing"], ["--dry-run"], ["--dry-run", "--skip-existing"]):
        result = send(series, "--json", "--no-reports", *options, *to(orthanc), cwd=tmp_path)
        known = json.loads(result.stdout)
        (file,) = known["files"]
        keys = ("images", "sent", "already_there", "would_be_sent")
        summary += [tuple(one[key] for key in keys) for one in (known, file)]
        assert (known["complete"], result.exit_code) == (True, 0)
        assert file["status"] == ("Dry run" if "--dry-run" in options else "Complete")

    first, second, dry, skipping = (4, 4, 0, None), (4, 0, 4, None), (4, 0, 0, 4), (4, 0, 4, 0)
    assert summary == [first, first, second, second, dry, dry, skipping, skipping]


def test_json_shows_the_number_of_verified_images(
    series: Path, storescp: StoreSCP, orthanc: Orthanc, tmp_path: Path
) -> None:
    """With --verify the JSON has numbers and the reason for unverified images, otherwise null."""
    summary = {}
    for name, server, options in (
        ("not asked", nullcontext(storescp), []),
        ("failed", ArchiveSCP(find_status=0xC000), ["--verify", "find"]),
        ("verified", nullcontext(orthanc), ["--verify", "find"]),
    ):
        with server as one:
            result = send(series, "--json", "--no-reports", *options, *to(one), cwd=tmp_path)
        (file,) = json.loads(result.stdout)["files"]
        known = json.loads(result.stdout)
        assert (known["sent"], known["complete"]) == (4, True)
        summary[name] = (
            result.exit_code,
            known["verified"],
            file["verified"],
            known["not_verified"],
        )

    cause = {
        "text": f"{wording.FIND_FAILED} 0xC000 Unable to Process",
        "code": "query-failed",
        "images": 4,
    }
    assert summary == {
        "not asked": (0, None, None, None),
        "failed": (4, 0, 0, {"absent": 0, "causes": [cause]}),
        "verified": (0, 4, 4, {"absent": 0, "causes": []}),
    }


def test_skipped_files_are_counted_by_kind(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The counts are in the log, on the page and in the JSON, and the run is complete."""
    (series / "notes.txt").write_text("no image")
    (series / "empty.dcm").touch()
    (series / "more.txt").write_text("no image either")
    shutil.copy(TEST_FILES / "dicomdirtests" / "DICOMDIR", series)
    os.mkfifo(series / "pipe.zip")

    result = send(series, "--json", *to(python_scp), cwd=tmp_path)

    summary = json.loads(result.stdout)
    assert summary["skipped"] == {"not_dicom": 2, "dicomdir": 1, "empty": 1, "special": 1}
    text = "Skipped 5 files: not DICOM (2), DICOMDIR (1), empty (1), FIFO, socket or device (1)"
    assert text in result.stderr
    assert f"<p>{text}.</p>" in next(tmp_path.glob("*.html")).read_text()
    assert result.exit_code == 0


def test_json_shows_why_nothing_was_sent(series: Path, tmp_path: Path) -> None:
    """An error that ends the run is in the JSON, too."""
    port = free_port()
    result = send(
        series, "--json", "--destination", HOST, "--port", port, "--called-ae", "X", cwd=tmp_path
    )

    summary = json.loads(result.stdout)
    assert summary["error"].startswith(
        f"{wording.CANNOT_CONNECT} {HOST} port {port}: Connection refused"
    )
    assert summary["sent"] == 0
    assert result.exit_code == 3
