"""A spool stores data in a nameless file and returns it."""

import random
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.temporary_files import write_temporary_file

LARGE = 3 << 20


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_spool(size: int, tmp_path: Path) -> None:
    """A spool returns the written data from the start and leaves no file."""
    data = random.Random(2).randbytes(size)
    with write_temporary_file([data[:5], b"", data[5:]], tmp_path) as file:
        assert file.read() == data
        assert list(tmp_path.iterdir()) == []
    assert file.closed


def test_spool_on_disk(tmp_path: Path) -> None:
    """A spool over 1 MiB is stored in the given folder."""
    with pytest.raises(FileNotFoundError):
        write_temporary_file([bytes(LARGE)], tmp_path / "missing")
