"""Every format of archives, by its suffixes and by its content."""

import bz2
import gzip
import lzma
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.archive_reading import images, items
from tests.support.archives import A, B, tarred, zipped

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".tar": bytes,
    ".tgz": gzip.compress,
    ".tar.gz": gzip.compress,
    ".tbz2": bz2.compress,
    ".tar.bz2": bz2.compress,
    ".txz": lzma.compress,
    ".tar.xz": lzma.compress,
}


@pytest.mark.parametrize("suffix", [".zip", *PACKERS])
def test_an_archive_in_a_folder_is_a_separate_input(
    tmp_path: Path, work: Path, suffix: str
) -> None:
    """The folder does not include it; it is read on its own, also under another name."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.dcm").write_bytes(A)
    path = folder / f"STUDY{suffix.upper()}"
    if suffix == ".zip":
        zipped(path, A, B)
    else:
        path.write_bytes(PACKERS[suffix](tarred(A, B)))
    assert items(folder, work) == images(A)
    assert items(path, work) == images(A, B)
    assert items(path.rename(tmp_path / "4f2a"), work) == images(A, B)
