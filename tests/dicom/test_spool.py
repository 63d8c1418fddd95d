"""A spool keeps data in a nameless file, and gives it back."""

import errno
import os
import random
import shutil
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.spool import new_spool, reserve, spool

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


def test_room_is_taken_before_anything_is_written(tmp_path: Path) -> None:
    """What is written later has it for certain."""
    with new_spool(tmp_path) as file:
        reserve(file, LARGE)
        assert os.fstat(file.fileno()).st_blocks * 512 >= LARGE


def test_room_is_not_taken_where_too_little_would_remain(tmp_path: Path) -> None:
    """Nothing is taken then, not even for a moment."""
    with new_spool(tmp_path) as file:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            reserve(file, LARGE, spare=2 * shutil.disk_usage(tmp_path).total)
        assert os.fstat(file.fileno()).st_size == 0


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_disk_that_takes_no_reservations_is_written_to(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems and C libraries have none."""

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with new_spool(tmp_path) as file:
        reserve(file, LARGE)
        assert file.tell() == 0
