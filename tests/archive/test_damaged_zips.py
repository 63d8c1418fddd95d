"""Damage to a zip affects only the damaged member."""

import zipfile
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.archive_reading import CORRUPT, CORRUPT_SECOND, ENCRYPTED, LARGE, Image, items
from tests.support.archives import A, B, C, dicom, edit, flip, set_zip_field, zipped
from tests.support.sample_files import ArchiveMember, zip_of


def test_wrong_crc(tmp_path: Path, work: Path) -> None:
    """A member with changed content is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", A, B, C, method=zipfile.ZIP_STORED)
    flip(path, path.read_bytes().index(B) + 4200)
    assert items(path, work) == [Image(1, A), CORRUPT_SECOND, Image(3, C)]


def test_wrong_crc_of_a_short_member(tmp_path: Path, work: Path) -> None:
    """The checksum of a member shorter than the head is verified, too."""
    path = zipped(tmp_path / "a", dicom(1, 200), method=zipfile.ZIP_STORED)
    set_zip_field(path, "1.dcm", "crc", 1)
    assert items(path, work) == [CORRUPT]


def test_bad_deflate_stream(tmp_path: Path, work: Path) -> None:
    """A member that cannot be inflated completely is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", dicom(1, 500_000), B)
    edit(path, 100_000, b"\xff" * 100_000)
    assert items(path, work) == [CORRUPT, Image(2, B)]


@pytest.mark.parametrize(
    ("name", "item"),
    [
        ("IM0001", True),
        ("a/b.dcm", True),
        ("a.IMA", True),
        ("1.2.840.10008.5", True),
        ("sub.txt/IM1", True),
        ("info.json", False),
        ("a/REPORT.PDF", False),
        ("brain.nii.gz", False),
        ("a\\table.csv", False),
        ("cd/DICOMDIR", False),
        ("cd\\DICOMDIR", False),
    ],
)
def test_unreadable_members_are_judged_by_name(
    tmp_path: Path, work: Path, name: str, item: bool
) -> None:
    """An unreadable member counts as DICOM unless its name indicates another format."""
    path = zip_of(tmp_path / "a", [ArchiveMember(name, A), ArchiveMember("z.dcm", B)])
    set_zip_field(path, name, "flags", 1)
    assert items(path, work) == [ENCRYPTED] * item + [Image(2, B)]
    set_zip_field(path, name, "flags", 0)
    set_zip_field(path, name, "method", 98)
    unsupported = Unreadable(Reason(Kind.UNSUPPORTED_METHOD, "PPMd"), 1)
    assert items(path, work) == [unsupported] * item + [Image(2, B)]


@pytest.mark.parametrize("offset", [10**9, 2**62, 2**64 - 1])
def test_member_beyond_the_end_of_the_file(tmp_path: Path, work: Path, offset: int) -> None:
    """A member with an offset beyond the end of the file is corrupt, and the next one is read."""
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        for number, content in enumerate((A, B, C), start=1):
            file.writestr(f"{number}.dcm", content)
        file.filelist[1].header_offset = offset
    assert items(tmp_path / "a", work) == [Image(1, A), CORRUPT_SECOND, Image(3, C)]


def test_missing_local_header(tmp_path: Path, work: Path) -> None:
    """A member whose local header is overwritten is corrupt, and the next one is read."""
    path = zipped(tmp_path / "a", A, B)
    flip(path, 0)
    assert items(path, work) == [CORRUPT, Image(2, B)]


def test_stream_that_ends_in_the_head(tmp_path: Path, work: Path) -> None:
    """A member that ends within its head is corrupt and not of another format."""
    path = zipped(tmp_path / "a", A, B)
    edit(path, 30 + len("1.dcm"), b"\x03\x00")
    assert items(path, work) == [CORRUPT, Image(2, B)]


@pytest.mark.parametrize(("size", "item"), [(8999, LARGE), (9001, CORRUPT), (0, LARGE)])
def test_wrong_sizes(tmp_path: Path, work: Path, size: int, item: Unreadable) -> None:
    """A member that is longer or shorter than declared is rejected."""
    path = zipped(tmp_path / "a", A, B)
    set_zip_field(path, "1.dcm", "size", size)
    assert items(path, work) == [item, Image(2, B)]
