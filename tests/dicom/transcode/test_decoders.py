"""Decoder processes are bounded, reused during a run, limited, and end with the gear."""

import io
import os
import signal
import subprocess
import sys
import zlib
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.transcode import FrameDecoders, convert, frame_processes
from fw_gear_dicom_send.dicom.transcode.frame_decoder import DEFLATED_FRAMES, Frame
from fw_gear_dicom_send.dicom.transcode.frame_processes import FrameTimeouts
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import hostile, wording
from tests.support.footprint import children, is_gone
from tests.support.instances import instance
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import shipped
from tests.support.waiting import wait_for

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

LARGE = hostile.blank_rle(2048, 2048)
ENDLESS = hostile.endless_jpeg()
RLE, JPEG_2000 = shipped("MR_small_RLE.dcm"), shipped("MR_small_jp2klossless.dcm")


def decode(decoders: FrameDecoders, folder: Path, content: bytes = RLE.read_bytes()) -> str:
    """Convert an image; return the cause of a failure, otherwise None."""
    result = convert(instance(content), ExplicitVRLittleEndian, decoders, folder)
    if isinstance(result, Unreadable):
        return result.reason.text
    assert isinstance(result, SOPInstance)
    result.close()
    return ""


def outcome(decoders: FrameDecoders, folder: Path, content: bytes = RLE.read_bytes()) -> Kind:
    """Convert an image that fails; return the kind of the reason."""
    result = convert(instance(content), ExplicitVRLittleEndian, decoders, folder)
    assert isinstance(result, Unreadable)
    return result.reason.kind


def test_a_decoder_is_kept_for_the_run(tmp_path: Path) -> None:
    """One process decodes successive images in any syntax and ends with the run."""
    before = children(os.getpid())
    with FrameDecoders(tmp_path) as decoders:
        seen = set()
        for path in (RLE, JPEG_2000, RLE):
            assert decode(decoders, tmp_path, path.read_bytes()) == ""
            seen.add(children(os.getpid()) - before)
    assert len(seen) == 1
    assert len(*seen) == 1
    assert children(os.getpid()) == before


def number_of_decoders(folder: Path) -> int:
    """Return how many decoders eight threads use for 40 images."""
    before = children(os.getpid())
    with FrameDecoders(folder) as decoders, ThreadPoolExecutor(8) as threads:
        causes = list(threads.map(lambda _: decode(decoders, folder), range(40)))
        count = len(children(os.getpid()) - before)
    assert causes == [""] * 40
    return count


def test_there_are_no_more_decoders_than_cores(tmp_path: Path) -> None:
    """Eight threads share as many decoders as this process may use cores, and 8 at most."""
    cores = os.sched_getaffinity(0)
    assert number_of_decoders(tmp_path) <= min(8, len(cores))
    os.sched_setaffinity(0, {min(cores)})
    try:
        assert number_of_decoders(tmp_path) == 1
    finally:
        os.sched_setaffinity(0, cores)


def test_there_are_as_many_decoders_as_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the container has three cores, three frames are decoded at the same time."""
    monkeypatch.setattr(frame_processes, "max_processes", lambda *_: 3)
    coded = zlib.compress(bytes(8), wbits=-zlib.MAX_WBITS)
    frame = Frame(DEFLATED_FRAMES, 2, 4, 1, 8, 8)
    before = children(os.getpid())
    with FrameDecoders(tmp_path) as decoders, ExitStack() as frames:
        for _ in range(3):
            pixels = frames.enter_context(decoders.decoded(frame, io.BytesIO(coded), len(coded)))
            assert next(pixels) == bytes(8)
        assert len(children(os.getpid()) - before) == 3


def test_a_decoder_has_limits_and_no_environment(tmp_path: Path) -> None:
    """A decoder does not see the gear's variables, and its address space is limited."""
    before = children(os.getpid())
    with FrameDecoders(tmp_path) as decoders:
        decode(decoders, tmp_path)
        (decoder,) = children(os.getpid()) - before
        limits = Path(f"/proc/{decoder}/limits").read_text().splitlines()
        environment = Path(f"/proc/{decoder}/environ").read_bytes()
    (addresses,) = (line.split()[3] for line in limits if line.startswith("Max address space"))
    assert int(addresses) < 300_000_000
    (seconds,) = (line.split()[3] for line in limits if line.startswith("Max cpu time"))
    assert int(seconds) < 60
    assert b"=" not in environment.replace(b"LC_CTYPE=", b"")


def test_a_decoder_that_hangs_is_ended(tmp_path: Path) -> None:
    """The image fails with its own reason, and the next one is decoded."""
    before = children(os.getpid())
    with FrameDecoders(tmp_path, FrameTimeouts(frame=0.75)) as decoders:
        decode(decoders, tmp_path)
        (decoder,) = children(os.getpid()) - before
        os.kill(decoder, signal.SIGSTOP)
        assert decode(decoders, tmp_path).endswith(f": {wording.FRAME_TOO_SLOW} 3 s")
        assert decoder not in children(os.getpid())
    with FrameDecoders(tmp_path) as decoders:
        assert decode(decoders, tmp_path) == ""


def test_a_frame_without_end_is_ended(tmp_path: Path) -> None:
    """The image fails with its own reason, and the next one is decoded."""
    with FrameDecoders(tmp_path, FrameTimeouts(frame=0.5)) as decoders:
        assert outcome(decoders, tmp_path, ENDLESS) is Kind.CONVERSION_TOO_SLOW
        assert decode(decoders, tmp_path) == ""


def test_frames_that_take_too_long_stop_the_decoding(tmp_path: Path) -> None:
    """After a few of them, the run decodes no more frames, and the reason says so."""
    with FrameDecoders(tmp_path, FrameTimeouts(frame=0.5, overtime=1)) as decoders:
        outcomes = [outcome(decoders, tmp_path, ENDLESS) for _ in range(12)]
        assert outcome(decoders, tmp_path) is Kind.CONVERSION_STOPPED
    ended = outcomes.count(Kind.CONVERSION_TOO_SLOW)
    assert 1 <= ended <= 3
    assert outcomes[ended:] == [Kind.CONVERSION_STOPPED] * (12 - ended)


def test_frames_within_their_share_do_not_stop_the_decoding(tmp_path: Path) -> None:
    """Only the time beyond it counts, so that a run may decode any number of frames."""
    with FrameDecoders(tmp_path, FrameTimeouts(mebibyte=10000, overtime=0.001)) as decoders:
        assert {decode(decoders, tmp_path) for _ in range(50)} == {""}


def test_slow_starts_stop_the_decoding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which decoders hang costs the run a few starts, not one for each image."""
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(python))
    with FrameDecoders(tmp_path, FrameTimeouts(start=1, overtime=0.9)) as decoders:
        outcomes = [outcome(decoders, tmp_path) for _ in range(3)]
    assert outcomes == [Kind.NOT_CONVERTIBLE, Kind.NOT_CONVERTIBLE, Kind.CONVERSION_STOPPED]


def test_a_decoder_that_ended_is_replaced(tmp_path: Path) -> None:
    """Killing an idle decoder costs no image."""
    before = children(os.getpid())
    with FrameDecoders(tmp_path) as decoders:
        decode(decoders, tmp_path)
        (decoder,) = children(os.getpid()) - before
        os.kill(decoder, signal.SIGKILL)
        assert wait_for(partial(is_gone, decoder))
        assert decode(decoders, tmp_path) == ""


@pytest.mark.parametrize(
    ("end", "cause"),
    [
        (signal.SIGKILL, "decoding a frame takes too much memory"),
        (signal.SIGXCPU, f"{wording.FRAME_TOO_SLOW} 13 s of CPU time"),
    ],
)
def test_a_decoder_that_the_system_kills(end: signal.Signals, cause: str, tmp_path: Path) -> None:
    """The image fails, and the reason mentions lack of memory or of time."""
    before = children(os.getpid())
    with FrameDecoders(tmp_path) as decoders, ThreadPoolExecutor(1) as thread:
        decode(decoders, tmp_path, LARGE)
        (decoder,) = children(os.getpid()) - before
        os.kill(decoder, signal.SIGSTOP)
        # The data exceeds the socket's buffer, so that the gear waits for the decoder.
        waiting = thread.submit(decode, decoders, tmp_path, LARGE)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        os.kill(decoder, end)
        with suppress(ProcessLookupError):
            os.kill(decoder, signal.SIGCONT)
        assert waiting.result().endswith(f": {cause}")


def test_an_image_fails_alone_if_no_decoder_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The reason says so, for example if the system allows no more processes or is Windows."""
    with FrameDecoders(tmp_path) as decoders:
        with monkeypatch.context() as patch:
            patch.setattr(sys, "executable", str(tmp_path / "none"))
            assert decode(decoders, tmp_path).endswith("the decoder does not start")
        assert decode(decoders, tmp_path) == ""


def test_closed_decoders_decode_nothing(tmp_path: Path) -> None:
    """A later image fails because the run has ended."""
    decoders = FrameDecoders(tmp_path)
    decoders.close()
    assert decode(decoders, tmp_path).endswith(f": {wording.RUN_ENDED} decoded")


def test_closing_interrupts_decoding(tmp_path: Path) -> None:
    """Closing does not wait for a decoder that hangs."""
    before = children(os.getpid())
    decoders = FrameDecoders(tmp_path)
    decode(decoders, tmp_path, LARGE)
    (decoder,) = children(os.getpid()) - before
    os.kill(decoder, signal.SIGSTOP)
    with ThreadPoolExecutor(1) as thread:
        waiting = thread.submit(decode, decoders, tmp_path, LARGE)
        decoders.close()
        assert waiting.result().endswith(f": {wording.RUN_ENDED} decoded")


@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGTERM])
def test_a_decoder_dies_with_the_gear(end: signal.Signals, tmp_path: Path) -> None:
    """This is true even if the decoder hangs and the gear is killed."""
    program = f"""
import sys
from pathlib import Path
from tests.dicom.transcode.test_decoders import decode
from fw_gear_dicom_send.dicom.transcode import FrameDecoders
decoders = FrameDecoders(Path({str(tmp_path)!r}))
assert decode(decoders, Path({str(tmp_path)!r})) == ""
print("ready", flush=True)
sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as gear:
        assert gear.stdout
        assert gear.stdout.readline() == b"ready\n"
        (decoder,) = children(gear.pid)
        os.kill(decoder, signal.SIGSTOP)
        gear.send_signal(end)
        gear.wait()
    assert wait_for(partial(is_gone, decoder))
