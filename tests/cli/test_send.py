"""`dicom-send`, in a process of its own, from files on disk to real servers."""

import csv
import json
import re
import shlex
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterable
from functools import partial
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.uid import JPEGBaseline8Bit, MRImageStorage

from tests.support import command
from tests.support.certificates import HOST, Identity, issue
from tests.support.compare import added_elements
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.gear import REPOSITORY
from tests.support.instances import dataset_of
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP, free_port
from tests.support.sample_files import TEST_FILES, encoded, made, member, shipped, tar_of, zip_of

ONLY_ON_FLYWHEEL = {"file_download_retry_time"}
BROKEN = ("rtplan_truncated.dcm", "MR_truncated.dcm", "SC_rgb_jpeg.dcm")
"""Servers built on DCMTK end the association at these, each time that they are sent."""
NOT_FOR_STORESCP = (*BROKEN, "image_dfl.dcm")
NOT_FOR_ORTHANC = (*BROKEN, "rtdose_rle.dcm", "rtdose_rle_1frame.dcm")
WITHOUT_SOP_CLASS = 6
TAG = [(0x00210010, "Flywheel"), (0x00211000, "DICOM send")]

send = partial(command.run, "dicom-send")


def to(server: Orthanc | StoreSCP | PythonSCP | FaultSCP, *more: object) -> list[object]:
    """Return the options that name a server."""
    return ["--destination", HOST, "--port", server.port, "--called-ae", "SCP", *more]


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder of all that pydicom ships, in folders of its own."""
    return Path(shutil.copytree(TEST_FILES, tmp_path / "study"))


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """A folder of four CT images."""
    return Path(shutil.copytree(TEST_FILES / "dicomdirtests/77654033/CT2", tmp_path / "series"))


@pytest.fixture
def made_images(tmp_path: Path) -> Path:
    """A folder of a hundred images."""
    folder = tmp_path / "made"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number:03}.dcm").write_bytes(encoded(made(number)))
    return folder


def images_in(paths: Iterable[Path]) -> list[Path]:
    """Return those files that pydicom can tell the SOP class and instance of."""
    found = []
    for path in paths:
        if path.is_file() and path.suffix != ".json" and "DICOMDIR" not in path.name:
            ds = dcmread(path, force=True, stop_before_pixels=True)
            if "SOPInstanceUID" in ds and "SOPClassUID" in ds:
                found.append(path)
    return found


def uid_of(file: Path) -> str:
    """Return a file's SOP Instance UID."""
    return str(dcmread(file, force=True, stop_before_pixels=True).SOPInstanceUID)


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the report on files."""
    (path,) = (one for one in folder.glob("*.csv") if not one.name.endswith("_instances.csv"))
    return list(csv.DictReader(path.read_text().splitlines()))


def test_a_folder_of_pydicoms_files_arrives_at_storescp_as_it_was(
    study: Path, storescp: StoreSCP, tmp_path: Path
) -> None:
    """With --no-tag each dataset of the folder is received byte by byte."""
    _remove(study, NOT_FOR_STORESCP)
    sources: dict[str, Path] = {}
    for path in images_in(study.rglob("*")):
        # storescp names what it receives by its UID, and may write a file twice at once.
        if sources.setdefault(uid_of(path), path) != path:
            path.unlink()

    result = send(study, "--no-tag", *to(storescp), cwd=tmp_path)

    received = {uid_of(path): dataset_of(path) for path in storescp.received()}
    assert received.keys() == sources.keys()
    assert [uid for uid, path in sources.items() if received[uid] != _sent_of(path)] == []
    assert sum(int(row["Images Sent"]) for row in rows_of(tmp_path)) == len(sources)
    assert f"{WITHOUT_SOP_CLASS} images not sent: it has no SOP Class UID" in result.stderr
    assert result.exit_code == 1


def test_a_folder_of_pydicoms_files_arrives_at_orthanc_with_the_tag(
    study: Path, orthanc: Orthanc, tmp_path: Path
) -> None:
    """Each image of the folder is there, with nothing but the private element more."""
    _remove(study, NOT_FOR_ORTHANC)

    send(study, *to(orthanc), cwd=tmp_path)

    sources = {uid_of(path): path for path in images_in(study.rglob("*"))}
    received = orthanc.instances()
    assert received.keys() == sources.keys()
    one = uid_of(study / "dicomdirtests/77654033/CR1/6154")
    assert added_elements(sources[one].read_bytes(), received[one]) == TAG


def test_files_folders_zips_and_tars_go_together(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """What is named is sent, a row for each of it, and the exit code says that all were."""
    zipped = zip_of(tmp_path / "a.zip", [member("MR_small.dcm")])
    tarred = tar_of(tmp_path / "b.tgz", [member("rtplan.dcm"), member("rtdose.dcm")], "gz")
    zip_of(series / "inner.ZIP", [member("JPEG2000.dcm")])
    alone = shutil.copy(shipped("CT_small.dcm"), tmp_path / "alone")

    result = send(series, zipped, tarred, alone, *to(python_scp), cwd=tmp_path)

    rows = {row["Filename"]: row for row in rows_of(tmp_path)}
    assert {name: row["Images Sent"] for name, row in rows.items()} == {
        "series": "4",
        "series/inner.ZIP": "1",
        "a.zip": "1",
        "b.tgz": "2",
        "alone": "1",
    }
    assert {row["Status"] for row in rows.values()} == {"Complete"}
    assert len(python_scp.stored) == 9
    assert result.exit_code == 0


def test_reports_are_the_gears_in_the_folder_that_is_named(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The report, that on images and the page are written where --report-folder says."""
    send(series, *to(python_scp), "--report-folder", tmp_path / "new/reports", cwd=tmp_path)

    names = sorted(path.name for path in (tmp_path / "new/reports").iterdir())
    assert [name[name.index("series") :][26:] for name in names] == [
        ".csv",
        ".html",
        "_instances.csv",
    ]
    assert "All images were sent" in next((tmp_path / "new/reports").glob("*.html")).read_text()


def test_no_report_is_written_where_none_is_wanted(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """With --no-report the current folder stays as it is."""
    before = set(tmp_path.iterdir())

    assert send(series, *to(python_scp), "--no-report", cwd=tmp_path).exit_code == 0

    assert set(tmp_path.iterdir()) == before


def test_json_tells_what_became_of_each_file(
    series: Path, storescp: StoreSCP, tmp_path: Path
) -> None:
    """With --json standard output is JSON alone: counts, remarks, and where the reports are."""
    (series / "bad.zip").write_bytes(b"PK\3\4 no zip")

    result = send(series, "--json", *to(storescp), cwd=tmp_path)

    told = json.loads(result.stdout)
    assert (told["images"], told["sent"], told["complete"]) == (4, 4, False)
    assert {Path(one["path"]).name: one["status"] for one in told["files"]} == {
        "series": "Complete",
        "bad.zip": "Failed",
    }
    assert [one["remarks"] for one in told["files"]][1][0]["failure"]
    assert [Path(one).suffix for one in told["reports"]] == [".csv", ".csv", ".html"]
    assert all(Path(tmp_path / one).is_file() for one in told["reports"])
    assert (told["error"], result.exit_code) == (None, 1)


def test_json_tells_why_nothing_was_sent(series: Path, tmp_path: Path) -> None:
    """An error that ends the run is in the JSON, too."""
    port = free_port()
    result = send(
        series, "--json", "--destination", HOST, "--port", port, "--called-ae", "X", cwd=tmp_path
    )

    told = json.loads(result.stdout)
    assert told["error"].startswith(f"cannot connect to {HOST} port {port}: Connection refused")
    assert told["sent"] == 0
    assert result.exit_code == 1


def test_each_option_of_the_gear_is_taken(
    series: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """Options reach the pipeline: AE titles, the tag, how many associations."""
    result = send(
        series,
        *to(python_scp, "--calling-ae", "SITE7", "--group", "0x0033", "--identifier", "Lab"),
        *("--tag-value", "gone", "--associations", "1", "--send-retry-time", "5"),
        *("--skip-existing", "--verify", "none", "--debug"),
        cwd=tmp_path,
    )

    assert result.exit_code == 0
    stored = {one.sop_instance_uid: one.file() for one in python_scp.stored}
    sources = {uid_of(path): path.read_bytes() for path in series.iterdir()}
    tag = [(0x00330010, "Lab"), (0x00331000, "gone")]
    assert [added_elements(sources[uid], stored[uid]) for uid in sources] == [tag] * 4
    assert {one.calling_ae for one in python_scp.associations} == {"SITE7"}
    in_order = [uid_of(path) for path in sorted(series.iterdir())]
    assert [one.sop_instance_uid for one in python_scp.stored] == in_order


def test_help_names_each_option_of_the_gear(tmp_path: Path) -> None:
    """--help has all options of the manifest that are not about Flywheel, in words of the field."""
    manifest = json.loads((REPOSITORY / "manifest.json").read_text())

    result = send("--help", cwd=tmp_path)

    assert result.exit_code == 0
    names = {f"--{name.replace('_', '-')}" for name in manifest["config"].keys() - ONLY_ON_FLYWHEEL}
    files = {f"--{name.replace('_', '-')}" for name in ("key", "cert", "add_cert_file")}
    assert names | files <= set(re.findall(r"--[a-z-]+", result.stdout))
    assert "dicom-send echo" in result.stdout


def test_a_dry_run_sends_nothing(series: Path, python_scp: PythonSCP, tmp_path: Path) -> None:
    """With --dry-run the report is there, and no image."""
    assert send(series, "--dry-run", *to(python_scp), cwd=tmp_path).exit_code == 0

    assert python_scp.stored == ()
    assert [row["Images Sent"] for row in rows_of(tmp_path)] == ["4"]


def test_there_are_plain_lines_without_a_terminal(
    made_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """What is told has the time before it, and no control character."""
    result = send(made_images, *to(python_scp), cwd=tmp_path)

    assert "INFO made: 100 of 100 images sent" in result.stderr
    assert not {"\x1b", "━"} & set(result.stderr)
    assert result.stdout == ""


def test_there_is_a_bar_on_a_terminal(
    made_images: Path, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """It shows how much is sent and left; what is logged meanwhile has no time before it."""
    result = command.run_on_terminal("dicom-send", made_images, *to(python_scp), cwd=tmp_path)

    assert "100 images sent, 0 not" in result.stdout
    assert "━" in result.stdout
    assert "\nmade: 100 of 100 images sent" in result.stdout.replace("\r", "\n").replace(
        "\x1b[2K", ""
    )
    assert result.exit_code == 0


def test_an_interrupted_run_reports_what_it_sent(made_images: Path, tmp_path: Path) -> None:
    """SIGINT ends the run in good order: the report counts what was acknowledged."""

    def slowly(peer: Peer) -> None:
        peer.accept()
        while True:
            image = peer.read_image()
            time.sleep(0.05)
            peer.answer(image)

    with FaultSCP(slowly) as server:
        result = command.run_on_terminal(
            "dicom-send",
            made_images,
            *to(server),
            cwd=tmp_path,
            interrupt_at=lambda printed: bool(re.search(r"\b[1-9]\d? images sent", printed)),
        )

    (row,) = rows_of(tmp_path)
    assert 0 < int(row["Images Sent"]) < 100
    assert "The run was ended by SIGINT" in result.stdout
    assert result.exit_code == 1


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["{series}"], "--destination is needed"),
        (["--destination", "x", "--called-ae", "X"], "required: PATH"),
        (["{series}", "--destination", "x"], "--called-ae is needed"),
        (
            ["{series}", "--destination", "a/b", "--called-ae", "X"],
            "--destination: 'a/b' was given",
        ),
        (["{series}", "--port", "x"], "--port"),
        (
            ["{series}", "--port", "99999", "--destination", "x", "--called-ae", "X"],
            "--port: 99999",
        ),
        (["nowhere", "--destination", HOST, "--called-ae", "X"], "nowhere: there is no such file"),
        (["{series}", "--verify", "so"], "--verify"),
        (["{series}", "--dest", HOST, "--called-ae", "X"], "--dest"),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--tls-enabled"],
            "--key is needed: a PEM file",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--key", "none.pem"],
            "--key: none.pem: there is no such file",
        ),
        (
            ["{series}", "--destination", HOST, "--called-ae", "X", "--report-folder", "{file}/x"],
            "--report-folder: ",
        ),
    ],
)
def test_what_cannot_be_understood_is_told_in_a_line(
    series: Path, tmp_path: Path, arguments: list[str], told: str
) -> None:
    """The line names the option as it is typed; nothing is sent, and the exit code is 1."""
    file = next(iter(series.iterdir()))
    given = [one.format(series=series, file=file) for one in arguments]

    result = send(*given, cwd=tmp_path)

    (line,) = result.stderr.splitlines()
    assert told in line
    assert result.exit_code == 1


def test_it_sends_by_tls(series: Path, tmp_path: Path) -> None:
    """The gear's inputs for TLS are files on the command line."""
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP(*_tls_options(server, client)) as scp:
        result = send(series, *to(scp), *_tls(client, server), cwd=tmp_path)

        assert result.exit_code == 0, result.stderr
        assert len(scp.received()) == 4


def test_echo_tells_what_orthanc_accepts(orthanc: Orthanc, tmp_path: Path) -> None:
    """It answers the C-ECHO, and takes all storage SOP classes, in JPEG too."""
    result = send("echo", *to(orthanc), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    lines = result.stdout.splitlines()
    assert lines[0] == f"SCP at {HOST} port {orthanc.port} accepts an association"
    assert "Implementation: OFFIS_DCMTK_" in result.stdout
    assert "C-ECHO: success, in " in result.stdout
    assert any(line.startswith("Accepted: all ") for line in lines)
    assert "    JPEG Baseline (Process 1)" in lines


def test_echo_tells_what_a_server_does_not_accept(tmp_path: Path) -> None:
    """The SOP classes and transfer syntaxes that are taken come first, then those that are not."""
    accept = {"1.2.840.10008.1.1": ["1.2.840.10008.1.2"], MRImageStorage: [JPEGBaseline8Bit]}
    with StoreSCP(accept=accept) as server:
        result = send("echo", *to(server), cwd=tmp_path)
        told = send("echo", "--json", *to(server), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert (
        "Accepted: 1 storage SOP class\n    MR Image Storage\n  each in 1 transfer syntax:\n"
        "    JPEG Baseline (Process 1)\n\nNot accepted: "
    ) in result.stdout
    answer = json.loads(told.stdout)
    assert answer["echo_status"] == 0
    assert answer["accepted"][MRImageStorage] == [JPEGBaseline8Bit]
    assert sum(map(len, answer["accepted"].values())) == 1


def test_echo_fails_where_there_is_no_server(tmp_path: Path) -> None:
    """The line, or the JSON, says what to check, and the exit code is 1."""
    options = ["--destination", HOST, "--port", free_port(), "--called-ae", "X"]

    plain = send("echo", *options, cwd=tmp_path)
    told = send("echo", *options, "--json", cwd=tmp_path)

    assert "Connection refused: check destination and port" in plain.stderr
    assert "Connection refused" in json.loads(told.stdout)["error"]
    assert (plain.exit_code, told.exit_code) == (1, 1)


def test_echo_fails_where_it_is_not_accepted(tmp_path: Path) -> None:
    """A server that takes no C-ECHO is told as such."""
    with StoreSCP(accept={MRImageStorage: [JPEGBaseline8Bit]}) as server:
        result = send("echo", *to(server), cwd=tmp_path)

    assert "C-ECHO: not accepted" in result.stdout
    assert result.exit_code == 1


def test_whoever_reads_may_leave(orthanc: Orthanc, tmp_path: Path) -> None:
    """A result that nobody reads to its end, as behind `| head`, is no error."""
    arguments = command.arguments_of("dicom-send", "echo", *to(orthanc))

    ended = subprocess.run(
        ["bash", "-c", f"{shlex.join(arguments)} | true; exit ${{PIPESTATUS[0]}}"],
        cwd=tmp_path,
        env=command.environment(),
        capture_output=True,
        text=True,
        check=False,
    )

    assert (ended.stderr, ended.returncode) == ("", 0)


def test_echo_tells_of_tls(tmp_path: Path) -> None:
    """It shows the version, the cipher suite and the server's certificate."""
    server, client = issue(tmp_path / "server"), issue(tmp_path / "client")
    with StoreSCP(*_tls_options(server, client)) as scp:
        result = send("echo", *to(scp), *_tls(client, server), cwd=tmp_path)

    assert result.exit_code == 0, result.stderr
    assert "TLS: TLSv1." in result.stdout
    assert "Certificate: " in result.stdout


@pytest.mark.parametrize(
    ("typed", "completed"), [("--called", "--called-ae"), ("--no-ta", "--no-tag")]
)
def test_a_shell_completes_options(tmp_path: Path, typed: str, completed: str) -> None:
    """The script that --print-completion prints lets bash complete what is typed."""
    script = send("--print-completion", "bash", cwd=tmp_path)
    (tmp_path / "completion").write_text(script.stdout)
    words = f"COMP_WORDS=(dicom-send {typed}); COMP_CWORD=1; _shtab_dicom_send"

    shown = subprocess.run(
        ["bash", "-c", f". ./completion; {words}; echo ${{COMPREPLY[@]}}"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=True,
    )

    assert completed in shown.stdout.split()


def test_a_wheel_brings_the_commands_and_the_manifest(tmp_path: Path) -> None:
    """What pip installs has all that the commands need, as no repository is beside it."""
    source = tmp_path / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "manifest.json"):
        shutil.copy(REPOSITORY / name, source)
    ignored = shutil.ignore_patterns("__pycache__")
    package = source / "fw_gear_dicom_send"
    shutil.copytree(REPOSITORY / package.name, package, symlinks=True, ignore=ignored)

    pip = [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", tmp_path, source]
    subprocess.run(pip, check=True)

    with zipfile.ZipFile(next(tmp_path.glob("*.whl"))) as wheel:
        names = wheel.namelist()
        (scripts,) = (name for name in names if name.endswith("entry_points.txt"))
        listed = wheel.read(scripts).decode()
        manifest = wheel.read("fw_gear_dicom_send/manifest.json")
    modules = {str(path.relative_to(source)) for path in package.rglob("*.py")}
    assert modules <= set(names)
    assert "dicom-send = " in listed
    assert "dicom-send-batch = " in listed
    assert manifest == (REPOSITORY / "manifest.json").read_bytes()


def _sent_of(file: Path) -> bytes:
    """Return the dataset in a file, which may lack all that is before it."""
    has_meta = file.read_bytes()[128:132] == b"DICM"
    return dataset_of(file) if has_meta else file.read_bytes()


def _remove(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        (folder / name).unlink()


def _tls_options(server: Identity, client: Identity) -> list[str]:
    return ["+tls", str(server.key), str(server.cert), "+cf", str(client.ca)]


def _tls(client: Identity, server: Identity) -> list[object]:
    files = ("--key", client.key, "--cert", client.cert, "--add-cert-file", server.ca)
    return ["--tls-enabled", *files, "--tls-check-hostname"]
