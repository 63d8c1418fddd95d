"""Names and labels with any bytes do not prevent sending, and the log remains plain text."""

import csv
import io
import os
import tarfile
import zipfile
from collections.abc import Iterable
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.text import printable
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear_runs import gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import send, to
from tests.support.session_runs import SessionRuns

pytestmark = pytest.mark.slow

few_runs = settings(
    max_examples=4, deadline=None, database=None, suppress_health_check=list(HealthCheck)
)
FORGERY = b"a\nERROR forged\x1b[2J"
ODD = [FORGERY, b"M\xfcller.dcm", b"\r", b"=1+1|x\t", "\u202etxt.\u2028".encode(), b"\xed\xa0\x80"]
MEMBER_NAMES = st.lists(st.binary(min_size=1, max_size=99), min_size=3, max_size=9)
FILE_NAMES = st.lists(
    st.binary(min_size=1, max_size=80).filter(
        lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..", b"files")
    ),
    min_size=3,
    max_size=9,
    unique=True,
)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=60)
LABELS = st.lists(TEXTS, min_size=3, max_size=5)
FLYWHEEL_NAMES = st.lists(
    TEXTS.filter(lambda name: "/" not in name and name.strip(".")),
    min_size=3,
    max_size=9,
    unique=True,
)


def tar_with(names: Iterable[bytes]) -> bytes:
    """Return a tar of images with these names, as written by tools without Unicode support."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for number, name in enumerate(names):
            entry = tarfile.TarInfo(os.fsdecode(name))
            content = encoded(made(number))
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return file.getvalue()


def zip_with(names: Iterable[bytes], first: int) -> bytes:
    """Return a zip of images with these names, all flagged as UTF-8."""
    file = io.BytesIO()
    known = list(names)
    # "0008" is part of every UID defined by DICOM.
    stand_ins = [f"~{number:03}{'é' * (len(name) // 2)}" for number, name in enumerate(known)]
    with zipfile.ZipFile(file, "w") as archive:
        for number, stand_in in enumerate(stand_ins):
            archive.writestr(stand_in, encoded(made(first + number)))
    data = file.getvalue()
    for stand_in, name in zip(stand_ins, known, strict=True):
        size = len(stand_in.encode())
        # A name up to NUL alone would end in "/", like a folder.
        data = data.replace(stand_in.encode(), (name.replace(b"/", b"_") * size)[:size])
    return data


def assert_is_text(log: str) -> None:
    """Check that each character of the log is printable, and that no line comes from a name."""
    lines = log.split("\n")
    assert [line for line in lines if printable(line) != line] == []
    assert not [line for line in lines if line.startswith("ERROR forged")]


def assert_are_rows(text: str, number: int) -> None:
    """Check that there are this many rows of one line each, without formulas."""
    assert len(text.splitlines()) == number + 1
    cells = [cell for row in csv.reader(io.StringIO(text)) for cell in row]
    assert not [cell for cell in cells if cell.startswith(tuple("=+-@\t\r"))]


@few_runs
@given(MEMBER_NAMES, MEMBER_NAMES, FLYWHEEL_NAMES, LABELS)
@example(
    ODD, ODD, [os.fsdecode(name).encode(errors="ignore").decode() for name in ODD[:4]], ["\n"] * 3
)
def test_the_gear_accepts_names_and_labels_of_any_bytes(
    in_tar: list[bytes], in_zip: list[bytes], names: list[str], labels: list[str]
) -> None:
    """This includes members, files and containers; the exit code is 0, and all rows exist."""
    with TemporaryDirectory() as folder, FlywheelSite() as site, PythonSCP() as server:
        project = site.add_project(site.add_group("lab"), labels[0])
        session = site.add_session(site.add_subject(project, labels[1]), labels[2])
        acquisition = site.add_acquisition(session, labels[0])
        contents = [tar_with(in_tar), zip_with(in_zip, 100)]
        contents += [encoded(made(200 + number)) for number in range(len(names) - 2)]
        for name, content in zip(names, contents, strict=True):
            site.add_file(acquisition, name, content, file_type="dicom")

        result = gear_on(Path(folder), site, server.port, session).run()

        reports = [upload.content.decode() for upload in site.uploads]
        stored = len(server.stored)
    images = len(in_tar) + len(in_zip) + len(names) - 2
    assert stored == images, result.log
    assert result.exit_code == 0
    assert_is_text(result.log)
    assert_are_rows(reports[0], len(names))
    assert_are_rows(reports[1], images)


@few_runs
@given(MEMBER_NAMES, FILE_NAMES, FILE_NAMES)
@example(ODD, ODD, ODD)
def test_the_command_accepts_names_of_any_bytes(
    in_tar: list[bytes], files: list[bytes], folders: list[bytes]
) -> None:
    """This includes members, files and folders on disk; the exit code is 0, and all rows exist."""
    with TemporaryDirectory() as folder, PythonSCP() as server:
        top = os.fsencode(folder) + b"/" + folders[0]
        for number, name in enumerate(folders):
            os.makedirs(top + b"/" + name)
            Path(os.fsdecode(top + b"/" + name + b"/x")).write_bytes(encoded(made(500 + number)))
        for number, name in enumerate(files):
            path = top + b"/files/" + name
            os.makedirs(top + b"/files", exist_ok=True)
            Path(os.fsdecode(path)).write_bytes(encoded(made(600 + number)))
        Path(os.fsdecode(top + b"/a.tar")).write_bytes(tar_with(in_tar))
        out = Path(folder, "out")

        result = send(os.fsdecode(top), "--report-folder", out, *to(server), cwd=Path(folder))

        reports = {path.name: path.read_bytes().decode() for path in out.glob("*.csv")}
        stored = len(server.stored)
    images = len(in_tar) + len(files) + len(folders)
    assert stored == images, result.stderr
    assert result.exit_code == 0
    assert_is_text(result.stderr)
    for report, text in reports.items():
        is_of_images = report.endswith("_instances.csv")
        assert_are_rows(text, images if is_of_images else len(folders) + 2)


def test_the_name_of_an_input_file_is_one_line(runs: SessionRuns) -> None:
    """The name comes from a user and cannot create log lines of its own."""
    with PythonSCP() as server:
        gear = runs.gear(server)
        gear.give(FORGERY.decode(), encoded(made(1)), parent_id=runs.acquisition)
        result = gear.run()
    assert result.exit_code == 0, result.log
    assert_is_text(result.log)
    assert r"is a\nERROR forged\x1b[2J from" in result.log


def test_a_name_that_does_not_fit_a_url_costs_only_its_file(runs: SessionRuns) -> None:
    """A site may have a file whose name contains half of a surrogate pair."""
    runs.add("\ud800.dcm", encoded(made(1)))
    runs.add("b.dcm", encoded(made(2)))
    with PythonSCP() as server:
        ended = runs.send(server, file_download_retry_time=0)
    assert ended.rows["b.dcm"] == ("1", "1", "Complete")
    assert ended.rows[r"\ud800.dcm"][2] == "Failed"
