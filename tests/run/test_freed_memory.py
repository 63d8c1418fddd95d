"""Memory that is freed stays with the process."""

import ctypes
import sys

import pytest

from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.run.freed_memory import MIN_SIZE, keep_freed_memory

FOLDER = Container("folder", "")


class Library:
    """C library that notes its settings."""

    def __init__(self, found: dict[int, int]) -> None:
        self._found = found

    def mallopt(self, parameter: int, value: int) -> int:
        """Note a setting."""
        self._found[parameter] = value
        return 1


@pytest.mark.parametrize(
    ("sizes", "is_set"),
    [
        ([MIN_SIZE - 1], False),
        ([MIN_SIZE], True),
        ([MIN_SIZE // 2, MIN_SIZE // 2], True),
        ([None], True),
        ([1, 2], False),
    ],
)
def test_large_files_keep_memory(
    sizes: list[int | None], is_set: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Up to 8 MiB remain in each heap, and blocks of up to 4 MiB are in it."""
    found: dict[int, int] = {}
    monkeypatch.setattr(ctypes, "CDLL", lambda _: Library(found))
    keep_freed_memory(
        [FileEntry(FOLDER, "a", f"{number}", size) for number, size in enumerate(sizes)]
    )
    assert found == ({-1: 8 << 20, -3: 4 << 20} if is_set else {})


def test_another_c_library_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """The library musl has no mallopt."""
    monkeypatch.setattr(ctypes, "CDLL", lambda _: object())
    keep_freed_memory([FileEntry(FOLDER, "a", "a", MIN_SIZE)])


def test_a_python_without_ctypes_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    """CPython is built without it where libffi is missing."""
    monkeypatch.setitem(sys.modules, "ctypes", None)
    keep_freed_memory([FileEntry(FOLDER, "a", "a", MIN_SIZE)])
