"""Fixtures of the archive tests: a work folder for unpacked members, and fuzzing."""

from pathlib import Path

import pytest

from tests.support.fuzzing import fuzz

__all__ = ["fuzz", "work"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty folder for unpacked members."""
    path = tmp_path / "work"
    path.mkdir()
    return path
