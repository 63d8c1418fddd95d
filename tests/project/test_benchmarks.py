"""Parts of the benchmarks: the path to a far server, the data sets, and the results."""

import json
import random
import socket
import subprocess
import sys
import time
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from importlib import import_module
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    JPEGLosslessSV1,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from benchmarks import __main__ as program
from benchmarks.datasets import DataSet, make_compressed, make_ct, make_mr, make_multiframe
from benchmarks.far import FAR_HOST, FarPath, far_path, inside, why_unavailable
from benchmarks.render import page
from benchmarks.results import Data, Run, load, rows_of
from benchmarks.targets import NEAR_AND_FAR, STORESCP, WEB_DISTANCE

ROUND_TRIP = 0.05
ECHO = """
import socket
with socket.create_server(("", 4242)) as server:
    client, _ = server.accept()
    while data := client.recv(65536):
        client.sendall(data)
"""


@pytest.fixture
def path() -> Iterator[FarPath]:
    """Path of 50 ms, with an echo server at its other end."""
    if reason := why_unavailable():
        pytest.skip(reason)
    with far_path(ROUND_TRIP) as path:
        with inside(path.far):
            process = subprocess.Popen([sys.executable, "-c", ECHO])
        yield path
        process.kill()
        process.wait()


def connected(path: FarPath) -> socket.socket:
    """Return a connection to the echo server, as soon as that listens."""
    with inside(path.near):
        while True:
            try:
                return socket.create_connection((FAR_HOST, 4242), timeout=10)
            except ConnectionRefusedError:
                continue


@pytest.mark.slow
def test_a_far_path_delays_each_packet(path: FarPath) -> None:
    """Each answer takes a round trip, and no byte is lost or changed."""
    data = random.Random(1).randbytes(300_000)
    with connected(path) as connection:
        for _ in range(3):
            started = time.monotonic()
            connection.sendall(b"ping")
            assert connection.recv(4) == b"ping"
            assert time.monotonic() - started >= ROUND_TRIP
        connection.sendall(data)
        assert connection.makefile("rb").read(len(data)) == data


@pytest.mark.slow
def test_a_thread_returns_from_a_far_path(path: FarPath) -> None:
    """It is in the other namespace only inside; its own one has no far host."""
    network = Path("/proc/thread-self/ns/net")
    home = network.stat().st_ino
    with inside(path.near):
        near = network.stat().st_ino
        with inside(path.far):
            assert len({home, near, network.stat().st_ino}) == 3
        assert network.stat().st_ino == near
    assert network.stat().st_ino == home


def test_a_machine_without_distant_servers_measures_the_others(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One line has the reason, and the table of near and far servers is left out."""
    monkeypatch.setattr(program, "why_unavailable", lambda: "no tun device")
    assert program.possible([STORESCP, WEB_DISTANCE, *NEAR_AND_FAR]) == (STORESCP,)
    assert capsys.readouterr().err == "Distant servers are not measured: no tun device\n"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "images", "sop_class", "pixels"),
    [
        pytest.param(make_mr, 201, MRImageStorage, 128, id="MR"),
        pytest.param(make_ct, 3, CTImageStorage, 512, id="CT"),
    ],
)
def test_single_frame_images(
    tmp_path: Path, make: Callable[[Path, int], DataSet], images: int, sop_class: str, pixels: int
) -> None:
    """The folder has the requested number of readable images of one study; so has the zip."""
    data = make(tmp_path, images)
    files = {str(path.relative_to(data.folder)): path for path in data.folder.rglob("*.dcm")}
    headers = [pydicom.dcmread(path) for path in files.values()]
    assert data.images == len(headers) == images
    assert data.bytes == sum(path.stat().st_size for path in files.values())
    assert len({header.SOPInstanceUID for header in headers}) == images
    assert len({header.SeriesInstanceUID for header in headers}) == images // 200 + 1
    assert len({header.StudyInstanceUID for header in headers}) == 1
    for header in headers:
        assert header.SOPClassUID == header.file_meta.MediaStorageSOPClassUID == sop_class
        assert header.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
        assert len(header.PixelData) == pixels * pixels * 2
        assert 60 <= len(header) <= 100
        assert header.private_block(0x0019, "BENCHMARK SCANNER 1.0")
    with zipfile.ZipFile(data.flywheel_file) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: path.read_bytes() for name, path in files.items()
        }
    assert 0.4 < data.flywheel_file.stat().st_size / data.bytes < 0.6


def test_multiframe_image(tmp_path: Path) -> None:
    """The only file is a readable image with the requested frames, and the session holds it."""
    data = make_multiframe(tmp_path, 5)
    image = pydicom.dcmread(data.flywheel_file)
    assert [data.flywheel_file] == list(data.folder.iterdir())
    assert data.images == 1
    assert data.bytes == data.flywheel_file.stat().st_size
    assert image.SOPClassUID == EnhancedCTImageStorage
    assert image.NumberOfFrames == len(image.PerFrameFunctionalGroupsSequence) == 5
    assert len(image.PixelData) == 5 * 512 * 512 * 2


@pytest.mark.slow
def test_compressed_images(tmp_path: Path) -> None:
    """Each set has the pixels of the same image in a transfer syntax of its own."""
    found = [
        pydicom.dcmread(next(data.folder.rglob("*.dcm"))) for data in make_compressed(tmp_path, 1)
    ]
    assert [image.file_meta.TransferSyntaxUID for image in found] == [
        JPEGLosslessSV1,
        RLELossless,
        JPEGLSLossless,
    ]
    assert len({image.SOPInstanceUID for image in found}) == 1


def test_datasets_are_the_same_each_time(tmp_path: Path) -> None:
    """Creating a data set twice results in the same bytes."""
    one, other = make_mr(tmp_path / "one", 3), make_mr(tmp_path / "other", 3)
    assert one.flywheel_file.read_bytes() == other.flywheel_file.read_bytes()


DATA = Data(name="mr", title="100 MR images", images=100, bytes=4_000_000, raw_seconds=[0.5, 0.25])


def run(
    sender: str,
    seconds: float,
    *,
    failure: str = "",
    connected: float | None = None,
    first_cpu: float | None = None,
) -> Run:
    return Run(
        target="orthanc",
        data="mr",
        sender=sender,
        seconds=seconds,
        cpu_seconds=seconds / 2,
        peak_bytes=120_000_000,
        sending_seconds=connected,
        failure=failure,
        first_image_cpu_seconds=first_cpu,
    )


RUNS = [
    run("gear-4", 5.0),
    run("gear-4", 1.0, failure="it ended with 1"),
    run("dcmsend", 40.0),
    run("gear-4", 3.0),
    replace(
        run("gear-4", 4.0, connected=2.5, first_cpu=1.01),
        first_image_seconds=0.75,
        first_image_sending_seconds=0.5,
    ),
    run("replay-4", 0.5, connected=0.5),
    run("gear-4-tls", 5.5),
    run("gear-4-tls", 4.5),
]


def test_rows_are_medians_of_successful_runs() -> None:
    """A row has the median, the extremes and the derived numbers."""
    gear, dcmsend, replay = rows_of(RUNS, [DATA])
    assert (gear.sender, gear.runs) == ("gear-4", 3)
    assert (gear.fastest_seconds, gear.seconds, gear.slowest_seconds) == (3.0, 4.0, 5.0)
    assert (gear.images_per_second, gear.megabytes_per_second) == (40.0, 1.6)
    assert (gear.of_replay, replay.of_replay, dcmsend.of_replay) == (0.2, 1.0, None)
    assert gear.image_cpu_ms == pytest.approx(10.0)
    assert (gear.first_image_seconds, gear.images_per_second_after_first) == (0.75, 49.5)
    assert (gear.best_rate, replay.best_rate, dcmsend.best_rate) == (49.5, 200.0, None)
    assert (dcmsend.images_per_second, dcmsend.image_cpu_ms) == (None, None)
    assert (gear.cpu_seconds, gear.peak_megabytes) == (2.0, 120.0)
    assert (gear.tls_seconds, dcmsend.tls_seconds) == (5.0, None)
    assert (gear.times_dcmsend, dcmsend.times_dcmsend) == (10.0, 1.0)
    assert gear.times_raw == pytest.approx(4 / 0.375)


def test_page_quotes_the_results(tmp_path: Path) -> None:
    """The page has the numbers and failures of the JSON, and quotes the other files.

    A table has only the columns that have a value.
    """
    results = {
        "date": "2025-01-02",
        "machine": {
            "cpu": "Some CPU",
            "cores": 2,
            "memory_bytes": 8 << 30,
            "system": "Some Linux",
            "kernel": "6.1",
            "versions": {"DCMTK": "3.6.7"},
        },
        "targets": [{"name": "orthanc", "title": "Orthanc"}],
        "data": [asdict(DATA)],
        "senders": [
            {"name": "gear-4", "title": "gear, 4 associations"},
            {"name": "dcmsend", "title": "dcmsend"},
            {"name": "replay-4", "title": "replay, 4 associations"},
        ],
        "rows": [asdict(row) for row in rows_of(RUNS, [DATA])],
        "runs": [asdict(item) for item in RUNS],
    }
    claim = {"claim": "It is fast", "bound": "1 s", "measured": "0.8 s", "holds": True}
    (tmp_path / "benchmarks.json").write_text(json.dumps(results))
    (tmp_path / "benchmarks-claims.json").write_text(json.dumps([claim]))
    web = [run("command-4", 2.0, connected=1.0), run("command-1", 1.0, failure="it failed too")]
    other = {"runs": [asdict(item) for item in web], "date": "2025-02-03"}
    other["senders"] = [{"name": "command-4", "title": "dicom-send, 4 associations"}]
    (tmp_path / "benchmarks-dicomweb.json").write_text(json.dumps(results | other))
    far = [
        replace(run("gear-4", 5.0, connected=2.0), target=target, data=data)
        for target, data in (("storescp-0ms", "mr-far"), ("storescp-50ms", "mr-few"))
    ]
    other = {
        "runs": [asdict(item) for item in far],
        "date": "2025-03-04",
        "data": [asdict(replace(DATA, name=name)) for name in ("mr-far", "mr-few")],
        "targets": [
            {"name": "storescp-0ms", "title": "storescp"},
            {"name": "storescp-50ms", "title": "storescp, 50 ms away"},
        ],
    }
    (tmp_path / "benchmarks-far.json").write_text(json.dumps(results | other))
    (tmp_path / "profile.md").touch()
    lines = page(load(tmp_path / "benchmarks.json"), tmp_path).splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines if "|" in line]
    numbers = "3,4.00,3.00 - 5.00,5.00,2.50,40.0,1.60,20.0,2.00,10.0,120,10.0,10.7"
    dcmsend = "dcmsend,1,40.0,40.0 - 40.0,-,-,-,-,-,20.0,-,120,1.00,107"
    assert ["gear, 4 associations", "4.00"] in cells[:5]
    assert ["gear, 4 associations", *numbers.split(",")] in cells
    assert dcmsend.split(",") in cells
    assert ["It is fast", "1 s", "0.8 s", "yes"] in cells
    assert "### Orthanc: 100 MR images" in lines
    assert "- gear-4, mr, orthanc: it ended with 1" in lines
    assert any("(profile.md)" in line for line in lines)
    assert ["sender", "storescp", "storescp, 50 ms away"] in cells
    assert ["gear, 4 associations", "50.0", "50.0"] in cells
    assert ["gear, 4 associations", "5.00"] in cells
    section = lines[lines.index("## DICOMweb") :]
    assert any("Measured on 2025-02-03" in line for line in section)
    assert "- command-1, mr, orthanc: it failed too" in section
    columns = "sender,runs,s,range,connected s,images/s,MB/s,CPU s,peak MB,time / raw copy"
    assert columns.split(",") in cells
    assert any("2 cores of Some CPU, 8.0 GiB" in line for line in lines)


@pytest.mark.parametrize(
    "module",
    [
        "benchmarks.__main__",
        "benchmarks.claims.__main__",
        "demo.__main__",
        "scripts.pictures",
        "soak.__main__",
    ],
)
def test_each_program_can_be_imported(module: str) -> None:
    """The programs for developers find every name that they import."""
    assert import_module(module)
