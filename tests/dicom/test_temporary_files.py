"""A spool stores data in a nameless file and returns it."""

import errno
import os
import random
import shutil
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.temporary_files import (
    new_temporary_file,
    reserve,
    write_temporary_file,
)

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


def test_space_is_reserved_before_writing(tmp_path: Path) -> None:
    """Later writes cannot fail for lack of space."""
    with new_temporary_file(tmp_path) as file:
        reserve(file, LARGE)
        assert os.fstat(file.fileno()).st_blocks * 512 >= LARGE


def test_space_is_not_reserved_if_too_little_would_remain(tmp_path: Path) -> None:
    """No space is taken, not even temporarily."""
    with new_temporary_file(tmp_path) as file:
        with pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
            reserve(file, LARGE, spare=2 * shutil.disk_usage(tmp_path).total)
        assert os.fstat(file.fileno()).st_size == 0


@pytest.mark.parametrize("error", [errno.EOPNOTSUPP, errno.EINVAL])
def test_a_disk_without_reservations_is_written_to(
    error: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some network file systems and C libraries do not support reservations."""

    def refuse(*_: object) -> None:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, "posix_fallocate", refuse)
    with new_temporary_file(tmp_path) as file:
        reserve(file, LARGE)
        assert file.tell() == 0
