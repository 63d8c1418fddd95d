"""Members that are not DICOM, not regular files, or have harmful names."""

import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.limits import HEAD_SIZE, Limits
from fw_gear_dicom_send.dicom.temporary_files import MAX_IN_MEMORY
from fw_gear_dicom_send.reasons import Skipped
from tests.support.archive_reading import (
    SKIPS,
    Image,
    Item,
    images,
    items,
    items_and_skipped,
    items_of,
    read,
    read_item,
)
from tests.support.archives import (
    END_OF_TAR,
    A,
    B,
    dicom,
    set_zip_field,
    tar_entry,
    tarred,
    zipped,
)
from tests.support.sample_files import ArchiveMember, tar_of, zip_of


def test_other_members_are_not_unpacked(tmp_path: Path, work: Path) -> None:
    """Only the head of a member that is not DICOM is unpacked."""
    path = zipped(tmp_path / "a", b"x" * 10_000_000, A)
    limits = Limits(archive=3 * HEAD_SIZE + len(A), ratio=0)
    assert items(path, work, limits=limits) == [Image(2, A)]


def test_damage_to_other_members_is_ignored(tmp_path: Path, work: Path) -> None:
    """A corrupt member that is not DICOM is ignored."""
    path = zipped(tmp_path / "a", b"text" * 5000, A)
    set_zip_field(path, "1.dcm", "crc", 1)
    assert items(path, work) == [Image(2, A)]


@pytest.mark.parametrize("size", [500, MAX_IN_MEMORY + 1])
@pytest.mark.parametrize(
    "method",
    [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA],
)
def test_members_that_may_be_lost_images(
    tmp_path: Path, work: Path, method: int, size: int
) -> None:
    """Text under a name of DICOM, and zeros under any name, are no members of another kind."""
    with zipfile.ZipFile(tmp_path / "a", "w", method) as file:
        for name in ("IM1", "IM1.dcm", "im1.IMA"):
            file.writestr(name, b"x" * size)
        file.writestr("IM2", bytes(size))
        file.writestr("IM3.dicom", b"")
        file.writestr("IM4", b"")
    unread = Skipped.UNREAD
    assert items_and_skipped(tmp_path / "a", work) == [
        Skipped.NOT_DICOM,
        *[unread] * 4,
        Skipped.EMPTY,
    ]


def test_links_devices_and_folders_in_a_tar(work: Path) -> None:
    """Only regular files of a tar are read and counted."""
    kinds = [tarfile.LNKTYPE, tarfile.SYMTYPE, tarfile.CHRTYPE, tarfile.BLKTYPE]
    kinds += [tarfile.FIFOTYPE, tarfile.DIRTYPE]
    others = b"".join(tar_entry("1.dcm", type=kind, linkname="/etc/passwd") for kind in kinds)
    assert items_of(others + tarred(A, B) + END_OF_TAR, work) == images(A, B)


@pytest.mark.parametrize("mode", [0o120777, 0o010644, 0o020644, 0o040755])
def test_links_devices_and_folders_in_a_zip(tmp_path: Path, work: Path, mode: int) -> None:
    """Only regular files of a zip are read and counted."""
    with zipfile.ZipFile(tmp_path / "a", "w") as file:
        entry = zipfile.ZipInfo("link.dcm")
        entry.external_attr = mode << 16
        file.writestr(entry, A)
        file.writestr(zipfile.ZipInfo("folder/"), b"")
        file.writestr("image.dcm", B)
    assert items(tmp_path / "a", work) == images(B)


EVIL_NAMES = [
    "../../evil",
    "/evil",
    "a/../../evil",
    "C:\\evil",
    "e\0vil",
    "evil",
    "evil",
    ".",
]


@pytest.mark.parametrize("write", [zip_of, tar_of])
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_malicious_names_are_harmless(
    tmp_path: Path, work: Path, write: Callable[[Path, list[ArchiveMember]], Path]
) -> None:
    """Names are never used on disk, and members with the same name are separate."""
    folder = tmp_path / "deep" / "down"
    folder.mkdir(parents=True)
    contents = [dicom(seed, 2_000_000) for seed in range(len(EVIL_NAMES))]
    members = [ArchiveMember(*pair) for pair in zip(EVIL_NAMES, contents, strict=True)]
    path = write(folder / "a", members)
    before = set(tmp_path.rglob("*"))
    found: list[Item] = []
    for item in read(path, work, SKIPS):
        assert set(tmp_path.rglob("*")) == before
        found.append(read_item(item))
    assert found == images(*contents)
    assert not Path("/evil").exists()


def test_members_without_a_name(tmp_path: Path, work: Path) -> None:
    """A member whose name is empty or starts with NUL is read like any other."""
    data = zipped(tmp_path / "a", A, B).read_bytes().replace(b"1.dcm", b"\0.dcm")
    assert items_of(data, work) == images(A, B)
