"""Inspecting a file that is not DICOM takes little memory and time, whatever the file contains."""

import os
import signal
import struct
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.foreign import ForeignFormats
from tests.dicom.test_foreign import RDA
from tests.support import wording
from tests.support.footprint import Peak, children, is_gone
from tests.support.preloaded import REPOSITORY, unmeasured
from tests.support.sample_files import encoded, made, sparse
from tests.support.waiting import NEVER, PATIENCE, wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MEBIBYTE = 1 << 20
SLACK = 48 * MEBIBYTE
INSPECT = """
import resource, sys
from pathlib import Path
from fw_gear_dicom_send.dicom.foreign import ForeignFormats
print(ForeignFormats(600).name(Path(sys.argv[1])))
print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
"""
HANGING_READER = f"""
import sys
sys.path.insert(0, {str(REPOSITORY)!r})
from threading import Event
from fw_gear_dicom_send.dicom import foreign_reader
def detected(content):
    if content == b"hang":
        print("inspecting", flush=True)
        Event().wait()
foreign_reader.detected = detected
foreign_reader.main(int(sys.argv[1]))
"""
PARENT = f"""
import os, subprocess, sys
code = {HANGING_READER!r}
subprocess.run([sys.executable, "-I", "-c", code, str(os.getpid())])
"""


def memory_for(path: Path) -> int:
    """Return the peak memory of the process that inspects a file of no known format, in bytes."""
    done = subprocess.run(
        [sys.executable, "-c", INSPECT, path],
        cwd=REPOSITORY,
        capture_output=True,
        check=True,
        text=True,
    )
    name, kibibytes = done.stdout.split("\n")[:2]
    assert name == ""
    return int(kibibytes) * 1024


@contextmanager
def hanging_reader(folder: Path) -> Iterator[tuple["subprocess.Popen[str]", int]]:
    """Yield a running parent and the reader that it has started, which never ends by itself."""
    path = folder / "file"
    path.write_bytes(b"hang")
    with (
        path.open("rb") as file,
        subprocess.Popen(
            [sys.executable, "-c", PARENT],
            stdin=file,
            stdout=subprocess.PIPE,
            text=True,
            env=unmeasured(),
        ) as parent,
    ):
        assert parent.stdout
        assert parent.stdout.readline() == "inspecting\n"
        (reader,) = children(parent.pid)
        try:
            yield parent, reader
        finally:
            parent.kill()


@pytest.mark.slow
@pytest.mark.parametrize("content", [b"", b"\n" * MEBIBYTE], ids=["zeros", "lines"])
def test_a_large_file_takes_little_memory(content: bytes, tmp_path: Path) -> None:
    """250 MB take no more than an empty file, and fw-file may use 32 MiB for any content."""
    path = sparse(tmp_path / "large", 250_000_000, content)
    assert memory_for(path) < memory_for(sparse(tmp_path / "small", 1)) + SLACK


@pytest.mark.slow
def test_a_header_at_the_end_of_a_large_file_is_found(tmp_path: Path) -> None:
    """Siemens PET list-mode data ends with its header."""
    image = encoded(made(1))
    end = image + struct.pack("<i", len(image)) + b"LARGE_PET_LM_RAWDATA"
    path = sparse(tmp_path / "large", 250_000_000)
    with path.open("ab") as file:
        file.write(end)
    assert ForeignFormats(PATIENCE).name(path) == wording.SIEMENS_PTD


@pytest.mark.slow
def test_a_header_at_the_start_of_a_large_file_is_found(tmp_path: Path) -> None:
    """The rest of the file is not read."""
    path = sparse(tmp_path / "large", 250_000_000, RDA)
    assert ForeignFormats(PATIENCE).name(path) == wording.SIEMENS_RDA


@pytest.mark.slow
def test_one_file_is_inspected_at_a_time(tmp_path: Path) -> None:
    """Several threads do not multiply the memory."""
    path, before = tmp_path / "a", children(os.getpid())
    path.write_bytes(RDA)
    formats = ForeignFormats(PATIENCE)

    def running() -> int:
        # Reading the list takes time, in which one process may end and the next one start.
        return len((children(os.getpid()) & children(os.getpid())) - before)

    with (
        Peak(running, 0.001) as peak,
        ThreadPoolExecutor(3) as threads,
    ):
        names = list(threads.map(lambda _: formats.name(path), range(3)))
    assert names == [wording.SIEMENS_RDA] * 3
    assert peak.value == 1


def test_a_file_that_takes_too_long_has_no_name(tmp_path: Path) -> None:
    """The process is ended."""
    path = tmp_path / "a"
    path.write_bytes(RDA)
    assert ForeignFormats(timeout=0.001).name(path) == ""


def test_the_reader_has_five_seconds_of_cpu_time(tmp_path: Path) -> None:
    """The system ends it then, even if the gear waits longer."""
    with hanging_reader(tmp_path) as (_, reader):
        limits = Path(f"/proc/{reader}/limits").read_text().splitlines()
    (cpu_time,) = (line.split()[3:5] for line in limits if line.startswith("Max cpu time"))
    assert cpu_time == ["5", "5"]


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_the_reader_dies_with_the_gear(end: signal.Signals, tmp_path: Path) -> None:
    """This is true even if the reader hangs and the gear is killed."""
    with hanging_reader(tmp_path) as (gear, reader):
        gear.send_signal(end)
        gear.wait(NEVER)
        assert wait_for(partial(is_gone, reader))
