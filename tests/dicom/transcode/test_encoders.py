"""Encoder processes are limited like decoder processes and end with the gear."""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.conversion import Conversion
from fw_gear_dicom_send.dicom.transcode import FrameEncoders
from fw_gear_dicom_send.dicom.transcode.capacity import usable_cores
from fw_gear_dicom_send.dicom.transcode.frame_processes import FrameTimeouts
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from tests.support import wording
from tests.support.compressing import JPEG_LS, SYNTAXES, Shape, compressed_by
from tests.support.footprint import children
from tests.support.instances import instance
from tests.support.sample_files import shipped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

SMALL, LARGE = Shape(), Shape(1500, 1500)


def encode(encoders: FrameEncoders, folder: Path, shape: Shape = SMALL) -> str:
    """Compress an image; return the cause of a failure, otherwise None."""
    image = compressed_by(encoders, shape.dataset(shape.pixels()), JPEG_LS, folder)
    if isinstance(image, Unreadable):
        return image.reason.detail
    assert isinstance(image, SOPInstance)
    image.close()
    return ""


def test_there_are_no_more_encoders_than_cores(tmp_path: Path) -> None:
    """Eight threads share the encoders, each image is encoded, and the encoders end."""
    before = children(os.getpid())
    with FrameEncoders(tmp_path) as encoders, ThreadPoolExecutor(8) as threads:
        causes = list(threads.map(lambda _: encode(encoders, tmp_path), range(40)))
        count = len(children(os.getpid()) - before)
    assert causes == [""] * 40
    assert 1 <= count <= min(8, usable_cores())
    assert children(os.getpid()) == before


def test_an_encoder_has_limits_and_no_environment(tmp_path: Path) -> None:
    """An encoder does not see the gear's variables, and its address space is limited."""
    before = children(os.getpid())
    with FrameEncoders(tmp_path) as encoders:
        encode(encoders, tmp_path)
        (encoder,) = children(os.getpid()) - before
        limits = Path(f"/proc/{encoder}/limits").read_text().splitlines()
        environment = Path(f"/proc/{encoder}/environ").read_bytes()
    (addresses,) = (line.split()[3] for line in limits if line.startswith("Max address space"))
    assert int(addresses) < 400_000_000
    (seconds,) = (line.split()[3] for line in limits if line.startswith("Max cpu time"))
    assert int(seconds) < 60
    assert b"=" not in environment.replace(b"LC_CTYPE=", b"")


def test_an_encoder_that_hangs_is_ended(tmp_path: Path) -> None:
    """The image is not compressed and has its own reason; the next one is compressed."""
    before = children(os.getpid())
    with FrameEncoders(tmp_path, FrameTimeouts(frame=0.75)) as encoders:
        encode(encoders, tmp_path)
        (encoder,) = children(os.getpid()) - before
        os.kill(encoder, signal.SIGSTOP)
        assert encode(encoders, tmp_path) == f"{wording.FRAME_TOO_SLOW} 3 s"
        assert encoder not in children(os.getpid())
        assert encode(encoders, tmp_path) == ""


def test_frames_that_take_too_long_stop_the_encoding(tmp_path: Path) -> None:
    """Later images are sent uncompressed, and the reason says so."""
    before = children(os.getpid())
    with FrameEncoders(tmp_path, FrameTimeouts(frame=0.25, overtime=0.25)) as encoders:
        encode(encoders, tmp_path)
        (encoder,) = children(os.getpid()) - before
        os.kill(encoder, signal.SIGSTOP)
        assert encode(encoders, tmp_path) == f"{wording.FRAME_TOO_SLOW} 1 s"
        assert encode(encoders, tmp_path) == "too many frames took too long to be encoded"


def test_an_encoder_that_is_killed_for_its_memory(tmp_path: Path) -> None:
    """The image is not compressed, and the reason mentions lack of memory."""
    before = children(os.getpid())
    with FrameEncoders(tmp_path) as encoders, ThreadPoolExecutor(1) as thread:
        encode(encoders, tmp_path, LARGE)
        (encoder,) = children(os.getpid()) - before
        os.kill(encoder, signal.SIGSTOP)
        # The data exceeds the socket's buffer, so that the gear waits for the encoder.
        waiting = thread.submit(encode, encoders, tmp_path, LARGE)
        with pytest.raises(TimeoutError):
            waiting.result(1)
        os.kill(encoder, signal.SIGKILL)
        assert waiting.result() == "encoding a frame takes too much memory"


def test_images_are_unchanged_if_no_encoder_can_be_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """For example, the system allows no more processes or is Windows."""
    monkeypatch.setattr(sys, "executable", str(tmp_path / "none"))
    with FrameEncoders(tmp_path) as encoders:
        assert encode(encoders, tmp_path) == "the encoder does not start"


def test_closed_encoders_encode_nothing(tmp_path: Path) -> None:
    """A later image is not compressed because the run has ended."""
    encoders = FrameEncoders(tmp_path)
    encoders.close()
    assert encode(encoders, tmp_path) == f"{wording.RUN_ENDED} encoded"


@pytest.mark.parametrize("syntax", [*SYNTAXES, ExplicitVRLittleEndian])
def test_a_run_ends_its_processes(syntax: str, tmp_path: Path) -> None:
    """It ends encoders and decoders."""
    before = children(os.getpid())
    name = "MR_small_RLE.dcm" if syntax == ExplicitVRLittleEndian else "MR_small.dcm"
    with Conversion(tmp_path) as conversion:
        image = conversion(instance(shipped(name)), syntax)
        assert isinstance(image, SOPInstance)
        assert len(children(os.getpid()) - before) == 1
    image.close()
    assert children(os.getpid()) == before
