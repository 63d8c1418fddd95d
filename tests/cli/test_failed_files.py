"""Failed files in folders are named by their paths, and listed for a second run."""

import csv
import json
import os
import zipfile
from pathlib import Path

import pytest

from fw_gear_dicom_send.cli.failed_list import FailedList
from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import wording
from tests.support.html_reading import parsed
from tests.support.pacs import CStore, PythonSCP, free_port
from tests.support.pages import facts, file
from tests.support.sample_files import encoded, made, uid_of
from tests.support.send_command import send, to

REFUSED = {uid_of(2), uid_of(5), uid_of(7)}


def refusing(record: CStore) -> int:
    """Return the status of a server that never stores some images."""
    return 0xA900 if record.sop_instance_uid in REFUSED else 0x0000


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """Folder with images: some in a subfolder, a zip, and a zip without the suffix of one."""
    study = tmp_path / "study"
    (study / "below").mkdir(parents=True)
    for number in (1, 2, 3):
        (study / f"im {number}").write_bytes(encoded(made(number)))
    (study / "below" / "im 7").write_bytes(encoded(made(7)))
    for name, numbers in (("a.zip", (4, 5)), ("packed", (6, 7))):
        with zipfile.ZipFile(study / name, "w") as file:
            for number in numbers:
                file.writestr(f"Doe^{number}", encoded(made(number)))
    return study


@pytest.mark.usefixtures("study")
@pytest.mark.parametrize(
    ("options", "members"),
    [((), ("member 2", "member 2")), (("--show-member-names",), ("Doe^5", "Doe^7"))],
)
def test_a_failed_file_is_named_wherever_results_are(
    tmp_path: Path, options: tuple[str, ...], members: tuple[str, str]
) -> None:
    """Log, page, per-image report and JSON have the path; members of archives have numbers."""
    with PythonSCP(status=refusing) as server:
        ended = send("study", "--json", *options, *to(server), cwd=tmp_path)

    in_zip, in_packed = members
    failed = {"study/im 2", "study/below/im 7", f"study/packed, {in_packed}"}
    (report,) = tmp_path.glob("*_instances.csv")
    rows = list(csv.DictReader(report.read_text().splitlines()))
    assert {row["File"] for row in rows if row["Outcome"] == "not sent"} == failed | {in_zip}
    assert {row["File"] for row in rows} >= {"study/im 1", "study/im 3"}
    page = parsed(next(tmp_path.glob("*.html")).read_text())
    shown = {*page.texts("p"), *(text.rpartition(", ")[0] for text in page.texts("li"))}
    assert shown >= failed | {"study/a.zip", in_zip}
    files = json.loads(ended.stdout)["files"]
    first = {remark["first_image"] for file in files for remark in file["remarks"]}
    assert first == {"study/im 2", "study/below/im 7", in_zip}
    assert "study/im 2)" in ended.stderr
    assert ("Doe^" in ended.stderr) == bool(options)


def test_the_list_of_failed_files_is_one_for_a_second_run(study: Path, tmp_path: Path) -> None:
    """It has each failed file once, an archive for its members, and nothing that was sent."""
    (study / "damaged.tar").write_bytes(b"x" * 600)
    with zipfile.ZipFile(study / "both.zip", "w") as file:
        for number in (2, 5):
            file.writestr(f"{number}", encoded(made(number)))
    (tmp_path / "texts").mkdir()
    (tmp_path / "texts" / "notes.txt").write_text("no image")
    with PythonSCP(status=refusing) as server:
        ended = send("study", "missing", *to(server), cwd=tmp_path)
        assert ended.exit_code == 2  # a missing path is an error of usage
        (tmp_path / "paths").write_text("study\nmissing\ntexts\n")
        given = ("--files-from", "paths", "--failed-list", "failed")
        assert send(*given, *to(server), cwd=tmp_path).exit_code == 1
    failed = (tmp_path / "failed").read_text().splitlines()
    assert sorted(failed) == [
        "missing",
        "study/a.zip",
        "study/below/im 7",
        "study/both.zip",
        "study/damaged.tar",
        "study/im 2",
        "study/packed",
    ]

    with PythonSCP() as server:
        ended = send("--files-from", "failed", "--json", *to(server), cwd=tmp_path)
    # Images 2, 5 and 7 are there twice.
    assert json.loads(ended.stdout)["sent"] == 5


def test_names_with_line_breaks_need_from0(tmp_path: Path) -> None:
    """Without --from0 they are counted; with it, any name is listed as it is on disk."""
    study = tmp_path / "study"
    study.mkdir()
    names = [b"a\n1", b"b\r", b"c\xff\x1b", b"d"]
    for number, name in enumerate(names):
        Path(os.fsdecode(os.fsencode(study) + b"/" + name)).write_bytes(encoded(made(number)))
    with PythonSCP(status=0xA900) as server:
        ended = send("study", "--failed-list", "lines", *to(server), cwd=tmp_path)
        send("study", "--failed-list", "nul", "--from0", *to(server), cwd=tmp_path)

    assert sorted((tmp_path / "lines").read_bytes().splitlines()) == [
        b"study/c\xff\x1b",
        b"study/d",
    ]
    assert "2 paths with a line break" in ended.stderr
    page = next(tmp_path.glob("*.html")).read_text()
    assert r"study/c\xff\x1b" in page
    assert "\x1b" not in page + ended.stderr
    *listed, end = (tmp_path / "nul").read_bytes().split(b"\0")
    assert (sorted(listed), end) == ([b"study/%b" % name for name in names], b"")


@pytest.mark.usefixtures("study")
def test_a_failed_start_lists_all_paths(tmp_path: Path) -> None:
    """Nothing was reached; without a failure the list is empty."""
    nowhere = ("--destination", "127.0.0.1", "--port", free_port(), "--called-ae", "X")
    given = ("study", "--failed-list", "failed")
    assert send(*given, *nowhere, cwd=tmp_path).exit_code == 3
    folders = ["study", "study/a.zip", "study/below"]
    assert sorted((tmp_path / "failed").read_text().splitlines()) == folders
    with PythonSCP() as server:
        assert send(*given, *to(server), cwd=tmp_path).exit_code == 0
    assert (tmp_path / "failed").read_text() == ""


def test_images_that_the_server_lost_are_listed_by_folder(tmp_path: Path) -> None:
    """Only the row of a folder counts them."""
    lost = Remark((Reason(Kind.NOT_STORED),), images=1, failure=True)
    row = file("below", 2, 1, lost)
    FailedList(tmp_path / "failed", ends_with_nul=False).conclude(
        facts(rows=(row, file("a", 1, 1)))
    )
    assert (tmp_path / "failed").read_text() == f"{row.entry.key}\n"


@pytest.mark.usefixtures("study")
def test_a_full_disk_makes_the_list_incomplete(tmp_path: Path) -> None:
    """The log says so once, without terms of the program, and the run continues."""
    with PythonSCP(status=refusing) as server:
        ended = send("study", "--failed-list", "/dev/full", "-q", *to(server), cwd=tmp_path)
    lines = [line for line in ended.stderr.splitlines() if "--failed-list" in line]
    assert (len(lines), ended.exit_code) == (1, 1)
    assert "FailedList" not in ended.stderr


def test_a_list_that_cannot_be_written_is_an_error(
    study: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Nothing is sent."""
    ended = send(study, "--failed-list", tmp_path, *to(python_scp), cwd=tmp_path)
    assert (ended.exit_code, len(python_scp.stored)) == (2, 0)
    assert "--failed-list: " in ended.stderr
    assert wording.FILE_NOT_FOUND not in ended.stderr
