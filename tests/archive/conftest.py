"""The folder that members are unpacked in."""

from pathlib import Path

import pytest


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty folder to unpack members in."""
    path = tmp_path / "work"
    path.mkdir()
    return path
