"""The footprint of a process is measured by any user."""

import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.footprint import Peak, bytes_on_disk, peak_resident
from tests.support.waiting import wait_for

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")

MEGABYTE = 1 << 20


@pytest.mark.parametrize("error", [FileNotFoundError, ProcessLookupError, PermissionError])
def test_a_starting_or_ending_process_does_not_stop_the_measurement(error: type[OSError]) -> None:
    """Only root can read such a process briefly; the numbers before and after count."""
    looks: Iterator[int | OSError] = iter([5, error(), 7, error()])

    def look() -> int:
        found = next(looks, 0)
        if isinstance(found, OSError):
            raise found
        return found

    with Peak(look, 0.001) as peak:
        assert wait_for(lambda: peak.looks > 2)
    assert peak.value == 7


def test_files_with_and_without_a_name_are_measured(tmp_path: Path) -> None:
    """An open file counts once, with or without a name; files elsewhere do not count."""
    (tmp_path / "below").mkdir()
    with (
        (tmp_path / "below" / "named").open("wb") as named,
        tempfile.TemporaryFile(dir=tmp_path) as nameless,
    ):
        for file in (named, nameless):
            file.write(bytes(MEGABYTE))
            file.flush()
        assert 2 * MEGABYTE <= bytes_on_disk(tmp_path, os.getpid()) < 3 * MEGABYTE
        assert MEGABYTE <= bytes_on_disk(tmp_path / "below", os.getpid()) < 2 * MEGABYTE


def test_the_memory_of_a_process_is_measured() -> None:
    """Python always needs at least a megabyte."""
    assert peak_resident(os.getpid()) > MEGABYTE
