"""Fixtures of the archive tests: the folder that members are unpacked in, and fuzzing."""

from pathlib import Path

import pytest

from tests.support.fuzzing import fuzz

__all__ = ["fuzz", "work"]


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """Return an empty folder to unpack members in."""
    path = tmp_path / "work"
    path.mkdir()
    return path
