"""Parts of the benchmarks: the delaying proxy, the data sets, and the results."""

import json
import random
import socket
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    MRImageStorage,
)

from benchmarks.datasets import DataSet, make_ct, make_mr, make_multiframe
from benchmarks.proxy import DelayingProxy
from benchmarks.render import page
from benchmarks.results import Data, Run, load, rows_of
from tests.support.pacs import HOST

ROUND_TRIP = 0.05


@pytest.fixture
def echo_port() -> Iterator[int]:
    """Port of an echo server."""
    with socket.create_server((HOST, 0)) as listener:
        threading.Thread(target=answer, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


def answer(listener: socket.socket) -> None:
    while True:
        try:
            client, _ = listener.accept()
        except OSError:
            return
        threading.Thread(target=echo, args=(client,), daemon=True).start()


def echo(client: socket.socket) -> None:
    with client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while data := client.recv(1 << 16):
            client.sendall(data)


def exchange(connection: socket.socket, data: bytes) -> bytes:
    """Send data and return the same number of received bytes."""
    sending = threading.Thread(target=connection.sendall, args=(data,))
    sending.start()
    received = b""
    while len(received) < len(data) and (more := connection.recv(1 << 16)):
        received += more
    sending.join()
    return received


def test_proxy_delays_each_round_trip_and_the_first_twice(echo_port: int) -> None:
    """A response takes 50 ms, and the first one twice as long."""
    with DelayingProxy(HOST, echo_port, ROUND_TRIP) as proxy:
        seconds = []
        with socket.create_connection((HOST, proxy.port), timeout=5) as connection:
            for _ in range(5):
                started = time.monotonic()
                exchange(connection, b"ping")
                seconds.append(time.monotonic() - started)
    assert seconds[0] >= 2 * ROUND_TRIP
    assert min(seconds[1:]) >= ROUND_TRIP
    assert min(seconds[1:]) < 1.5 * ROUND_TRIP
    assert proxy.traffic.connections == 1
    assert 6 * ROUND_TRIP <= proxy.traffic.seconds < 1.0


def test_proxy_keeps_order_and_bytes_of_several_connections(echo_port: int) -> None:
    """Four parallel connections receive their own data, faster than one by one."""
    contents = [random.Random(seed).randbytes(1_000_000) for seed in range(4)]

    def send_and_receive(data: bytes) -> bytes:
        with socket.create_connection((HOST, proxy.port), timeout=5) as connection:
            return b"".join(
                exchange(connection, data[at : at + 250_000]) for at in range(0, len(data), 250_000)
            )

    with DelayingProxy(HOST, echo_port, ROUND_TRIP) as proxy, ThreadPoolExecutor(4) as pool:
        started = time.monotonic()
        assert list(pool.map(send_and_receive, contents)) == contents
        seconds = time.monotonic() - started
    assert 5 * ROUND_TRIP <= seconds < 4 * 5 * ROUND_TRIP


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
    run("gear-4", 4.0, connected=2.5, first_cpu=1.01),
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
