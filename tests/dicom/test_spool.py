"""A spool keeps data in a nameless file, and gives it back."""

import random
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.spool import spool

LARGE = 3 << 20


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_spool(size: int, tmp_path: Path) -> None:
    """A spool gives back what was written, from the start, and leaves no file."""
    data = random.Random(2).randbytes(size)
    with spool([data[:5], b"", data[5:]], tmp_path) as file:
        assert file.read() == data
        assert list(tmp_path.iterdir()) == []
    assert file.closed


def test_spool_on_disk(tmp_path: Path) -> None:
    """A spool over 1 MiB goes to the folder that it is given."""
    with pytest.raises(FileNotFoundError):
        spool([bytes(LARGE)], tmp_path / "missing")
