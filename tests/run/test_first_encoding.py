"""The encoding of the first image is found without reading much."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send.models import ANY_NAME, NameChoice
from fw_gear_dicom_send.name_patterns import NamePatterns
from fw_gear_dicom_send.run.first_encoding import first_encoding
from tests.support.sample_files import ArchiveMember, encoded, made, sparse, tar_of, zip_of

FOUND = ("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")
IMAGE = encoded(made(1))
README = ArchiveMember("a.txt", b"read me")
OTHERS = [ArchiveMember(f"{n}", README.content) for n in range(3)]
MEMBERS = [README, ArchiveMember("b.dcm", IMAGE)]


def image_in(folder: Path) -> Path:
    path = folder / "b.dcm"
    path.write_bytes(IMAGE)
    return path


def folder_in(folder: Path) -> Path:
    (folder / "inner").mkdir()
    zip_of(folder / "a.zip", [README])
    return image_in(folder).parent


@pytest.mark.parametrize(
    "make",
    [
        image_in,
        folder_in,
        lambda folder: zip_of(folder / "images.zip", MEMBERS),
        lambda folder: tar_of(folder / "images.tgz", MEMBERS, "gz"),
    ],
    ids=["file", "folder", "zip", "tgz"],
)
def test_an_image_is_found(make: Callable[[Path], Path], tmp_path: Path) -> None:
    """It is in a file, among the files of a folder, or among the first members of an archive."""
    assert first_encoding(make(tmp_path), ANY_NAME, tmp_path) == FOUND


def test_a_file_that_is_not_selected_is_not_read(tmp_path: Path) -> None:
    """Another file of the folder is."""
    (tmp_path / "b.raw").write_bytes(b"raw data")
    image_in(tmp_path)
    names = NameChoice(exclude=NamePatterns(("*.raw",)))
    assert first_encoding(tmp_path, names, tmp_path) == FOUND
    assert first_encoding(tmp_path, NameChoice(NamePatterns(("*.ima",))), tmp_path) is None


def text_in(folder: Path) -> Path:
    (folder / "a.txt").write_bytes(README.content)
    return folder / "a.txt"


def truncated_in(folder: Path) -> Path:
    (folder / "a.zip").write_bytes(b"PK\x03\x04" + bytes(40))
    return folder / "a.zip"


def nested_in(folder: Path) -> Path:
    inner = zip_of(folder / "inner.zip", MEMBERS)
    return zip_of(folder / "a.zip", [ArchiveMember("inner.zip", inner.read_bytes())])


def fifo_in(folder: Path) -> Path:
    os.mkfifo(folder / "a.dcm")
    return folder / "a.dcm"


def large_in(folder: Path) -> Path:
    path = tar_of(folder / "a.tar", MEMBERS)
    return sparse(path, 1 << 29, path.read_bytes())


def bomb_in(folder: Path) -> Path:
    return zip_of(folder / "a.zip", [ArchiveMember("a.dcm", IMAGE + bytes(1 << 25))])


@pytest.mark.parametrize(
    "make",
    [
        lambda _: None,
        lambda folder: folder,
        lambda folder: folder / "missing",
        text_in,
        truncated_in,
        nested_in,
        fifo_in,
        lambda folder: zip_of(folder / "a.zip", [*OTHERS, *MEMBERS]),
        large_in,
        bomb_in,
    ],
    ids=["none", "empty", "missing", "text", "damaged", "nested", "FIFO", "late", "large", "bomb"],
)
def test_without_an_image_at_once_there_is_none(
    make: Callable[[Path], Path | None], tmp_path: Path
) -> None:
    """Nothing is raised: sending reports the reason."""
    assert first_encoding(make(tmp_path), ANY_NAME, tmp_path) is None
