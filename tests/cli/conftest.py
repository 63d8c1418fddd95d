"""Fixtures shared by the command-line tests."""

import shutil
from pathlib import Path

import pytest

from tests.support.sample_files import TEST_FILES, encoded, made


@pytest.fixture
def series(tmp_path: Path) -> Path:
    """Folder of four CT images."""
    return Path(shutil.copytree(TEST_FILES / "dicomdirtests/77654033/CT2", tmp_path / "series"))


@pytest.fixture
def many_images(tmp_path: Path) -> Path:
    """Folder of a hundred images."""
    folder = tmp_path / "made"
    folder.mkdir()
    for number in range(100):
        (folder / f"{number:03}.dcm").write_bytes(encoded(made(number)))
    return folder
