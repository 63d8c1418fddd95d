"""Any thread can unpack the members of a zip or a folder, in any order."""

import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive import DEFAULT_LIMITS, Archive, Item, Limits, Member, Task
from fw_gear_dicom_send.archive.types import BrokenArchive
from fw_gear_dicom_send.reasons import Kind
from tests.support.archive_reading import SKIPS
from tests.support.archives import A, dicom, zipped
from tests.support.sample_files import ArchiveMember, tar_of

COUNT = 24
CONTENTS = [dicom(n, 132 + 2_500_000 * (n % 8 == 1) + 1000 * n) for n in range(COUNT)]


def folder_of(path: Path) -> Path:
    """Return a folder of files."""
    path.mkdir()
    for number, content in enumerate(CONTENTS):
        (path / f"{number:02}").write_bytes(content)
    return path


@contextmanager
def opened(path: Path, work: Path, limits: Limits = DEFAULT_LIMITS) -> Iterator[Archive]:
    """Open an archive and close it after use."""
    with closing(Archive(path, work, SKIPS, limits)) as archive:
        yield archive


def contents(items: list[Item | object]) -> dict[object, bytes]:
    """Return the contents of members by number, and close the members."""
    found: dict[object, bytes] = {}
    for item in items:
        assert isinstance(item, Member)
        with closing(item.content):
            found[item.number] = item.content.read()
    return found


@pytest.mark.parametrize("kind", ["stored", "deflated", "folder"])
def test_members_are_complete_in_any_order(tmp_path: Path, work: Path, kind: str) -> None:
    """Four threads unpack the members in reverse order."""
    if kind == "folder":
        path = folder_of(tmp_path / "a")
    else:
        method = zipfile.ZIP_STORED if kind == "stored" else zipfile.ZIP_DEFLATED
        path = zipped(tmp_path / "a", *CONTENTS, method=method)
    with opened(path, work) as archive, ThreadPoolExecutor(4) as pool:
        tasks = [task for task in archive.tasks() if callable(task)]
        items = list(pool.map(lambda task: task(), reversed(tasks)))
        found = contents(items)
    assert found == dict(enumerate(CONTENTS, start=1))


def test_a_tar_is_unpacked_as_it_is_read(tmp_path: Path, work: Path) -> None:
    """A tar is a stream and yields its members, not tasks that unpack them."""
    path = tar_of(tmp_path / "a", [ArchiveMember(f"{n}", c) for n, c in enumerate(CONTENTS)])
    with opened(path, work) as archive:
        found = contents(list(archive.tasks()))
    assert list(found.values()) == CONTENTS


def test_an_unpacked_member_outlives_its_archive(tmp_path: Path, work: Path) -> None:
    """A member can be sent after its archive was closed."""
    path = zipped(tmp_path / "a", *CONTENTS[:3], method=zipfile.ZIP_STORED)
    with opened(path, work) as archive:
        items = [task() for task in archive.tasks() if callable(task)]
    path.unlink()
    assert list(contents(items).values()) == CONTENTS[:3]


def test_a_limit_is_shared_by_all_threads(tmp_path: Path, work: Path) -> None:
    """After the limit is exceeded, each thread fails."""
    path = zipped(tmp_path / "a", *[A * 100] * COUNT)
    with opened(path, work, Limits(archive=len(A) * 250, ratio=0)) as archive:
        tasks: list[Task | Item] = list(archive.tasks())
        with ThreadPoolExecutor(4) as pool:
            items = list(pool.map(lambda task: task(), filter(callable, tasks)))
    broken = [item for item in items if isinstance(item, BrokenArchive)]
    assert [item.reason.kind for item in broken] == [Kind.ARCHIVE_TOO_LARGE] * (COUNT - 2)
