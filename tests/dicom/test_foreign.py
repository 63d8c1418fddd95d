"""Formats of files without a DICOM image, as fw-file detects them."""

import random
import struct
import sys
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.foreign import MAX_FILES, ForeignFormats
from tests.support import wording
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.send_command import send, to

RDA = b">>> Begin of header <<<\r\nPatientName: Doe\r\n>>> End of header <<<\r\n" + bytes(64)
PAR = b"# === GENERAL\n.    Patient name                       :   Doe\n"
OTHERS = (b"", b"x", b"a: 1\n", b'{"a": 1}', b"a,b\n1,2\n", b"%PDF-1.4\n", bytes(5000))


def named(path: Path, content: bytes) -> str:
    """Return the format of a file with this content."""
    path.write_bytes(content)
    return ForeignFormats().name(path)


@pytest.mark.slow
def test_known_formats_are_named(tmp_path: Path) -> None:
    """Users often take raw scanner data for DICOM."""
    image = encoded(made(1))
    raw = b"preamble" + image + struct.pack("i", len(image)) + b"LARGE_PET_LM_RAWDATA"
    assert named(tmp_path / "a", raw) == wording.SIEMENS_PTD
    assert named(tmp_path / "a", RDA) == wording.SIEMENS_RDA
    assert named(tmp_path / "a", PAR) == "the header of Philips PAR/REC"


@pytest.mark.slow
@pytest.mark.parametrize("content", [*OTHERS, random.Random(5).randbytes(50_000)])
def test_other_files_have_no_name(tmp_path: Path, content: bytes) -> None:
    """No format is reported for an unknown file."""
    assert named(tmp_path / "a", content) == ""


@pytest.mark.slow
def test_few_files_of_a_run_are_examined(tmp_path: Path) -> None:
    """A thousand files that are not DICOM do not take a thousand seconds."""
    path = tmp_path / "a"
    path.write_bytes(RDA)
    formats = ForeignFormats()
    assert sum(bool(formats.name(path)) for _ in range(MAX_FILES + 2)) == MAX_FILES


def test_fw_file_is_not_imported_into_the_process(tmp_path: Path) -> None:
    """It replaces functions of pydicom."""
    assert named(tmp_path / "a", RDA)
    assert "fw_file.siemens" not in sys.modules


def test_a_run_names_the_format_of_a_file(tmp_path: Path, python_scp: PythonSCP) -> None:
    """The file fails with its format, and none of its values are shown."""
    (tmp_path / "raw.rda").write_bytes(RDA)
    (tmp_path / "a.dcm").write_bytes(encoded(made(1)))
    paths = (tmp_path / "raw.rda", tmp_path / "a.dcm")
    result = send(*paths, *to(python_scp), cwd=tmp_path)
    assert result.exit_code == 1
    assert f"raw.rda: {wording.NEITHER_BUT} {wording.SIEMENS_RDA}" in result.stderr
    assert "Doe" not in result.stderr
    assert len(python_scp.stored) == 1
