"""Names of members are printable, those of files in folders are as on disk."""

import io
import os
import tarfile
import zipfile
from contextlib import closing
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from tests.support.archive_reading import SKIPS, read
from tests.support.archives import (
    END_OF_TAR,
    A,
    B,
    set_zip_field,
    tar_entry,
    zipped,
)

NAMES = [
    (b"M\xfcller.dcm", r"M\xfcller.dcm"),
    (b"a\r\n\x1b[2J", r"a\r\n\x1b[2J"),
    ("Müller 画像".encode(), "Müller 画像"),
]


def names(path: Path) -> list[str]:
    """Return the names of the members, and check that all are images."""
    found = []
    for item in read(path, path.parent, SKIPS):
        assert isinstance(item, Member), item
        with closing(item.content):
            found.append(item.name)
    return found


@pytest.mark.parametrize(("name", "shown"), NAMES)
@pytest.mark.parametrize("tar_format", [tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT])
def test_names_in_a_tar(tmp_path: Path, name: bytes, shown: str, tar_format: int) -> None:
    """Old tools write names in the machine's local encoding."""
    entry = tar_entry(os.fsdecode(name), A, tar_format=tar_format)
    (tmp_path / "a").write_bytes(entry + tar_entry("b", B) + END_OF_TAR)
    assert names(tmp_path / "a") == [shown, "b"]


@pytest.mark.parametrize(("name", "shown"), NAMES)
def test_names_in_a_zip_that_are_declared_as_utf_8(tmp_path: Path, name: bytes, shown: str) -> None:
    """Bytes that are not UTF-8 are escaped."""
    file = io.BytesIO()
    stand_in = "é" * (len(name) // 2) + "x" * (len(name) % 2)
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(stand_in, A)
        archive.writestr("b", B)
    (tmp_path / "a").write_bytes(file.getvalue().replace(stand_in.encode(), name))
    assert names(tmp_path / "a") == [shown, "b"]


def test_a_member_that_cannot_be_unpacked_has_its_name(tmp_path: Path) -> None:
    """An unreadable member is reported with its name if names are enabled."""
    path = zipped(tmp_path / "a", A, B)
    set_zip_field(path, "2.dcm", "crc", 1)
    with closing(read(path, tmp_path, SKIPS)) as items:
        found = [(item.number, item.name) for item in items if not isinstance(item, BrokenArchive)]
    assert found == [(1, "1.dcm"), (2, "2.dcm")]


@pytest.mark.parametrize("name", [name for name, _ in NAMES])
def test_names_in_a_folder(tmp_path: Path, name: bytes) -> None:
    """A file has the name that the system knows, which may not be printable."""
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/" + name)).write_bytes(A)
    assert names(tmp_path) == [os.fsdecode(name)]
