"""Discovery of files on disk, and their entries in the report."""

import errno
import os
import socket
from contextlib import closing
from pathlib import Path

import pytest

from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.cli.local_source import LocalReports, LocalSource
from fw_gear_dicom_send.errors import UsageError
from fw_gear_dicom_send.models import (
    Container,
    DownloadFailure,
    FileEntry,
    FileReport,
    NameChoice,
    Remark,
)
from fw_gear_dicom_send.name_patterns import NamePatterns
from fw_gear_dicom_send.reasons import Kind, Reason, Skipped
from tests.support import wording
from tests.support.archive_reading import SKIPS
from tests.support.archive_reading import read as read_archive
from tests.support.archives import dicom
from tests.support.sample_files import ArchiveMember, zip_of

A, B, C = (dicom(seed) for seed in range(3))


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """Folder with two images, an archive, and a subfolder with one more image."""
    folder = tmp_path / "top"
    (folder / "below" / "deep").mkdir(parents=True)
    (folder / "b").write_bytes(B)
    (folder / "a").write_bytes(A)
    (folder / "notes.txt").write_text("hello")
    (folder / "below" / "deep" / "c").write_bytes(C)
    zip_of(folder / "old.ZIP", [ArchiveMember("a", A)])
    return folder


def found(*paths: Path) -> list[tuple[str, int | None]]:
    """Return the name and size of each entry."""
    return [(one.name, one.size) for one in LocalSource(paths).select().entries]


def read(folder: Path) -> list[bytes | str]:
    """Return the images of a folder, and the reasons for unreadable files."""
    items: list[bytes | str] = []
    for item in read_archive(folder, folder, SKIPS):
        if isinstance(item, Member):
            with closing(item.content):
                items.append(item.content.read())
        elif not isinstance(item, Skipped):
            items.append(item.reason.text)
    return items


def test_each_folder_with_files_and_each_archive_is_an_entry(top: Path) -> None:
    """The size of an entry is the total size of its files."""
    assert found(top) == [
        ("top", len(A) + len(B) + len("hello")),
        ("top/old.ZIP", (top / "old.ZIP").stat().st_size),
        ("top/below/deep", len(C)),
    ]


def test_the_images_of_a_folder_are_sorted_by_name(top: Path) -> None:
    """Other files, archives and subfolders are not part of the entry."""
    assert read(top) == [A, B]


def test_folders_are_sorted_by_name(tmp_path: Path) -> None:
    """The order of the file system does not matter."""
    for name in "hcfaegbd":
        (tmp_path / name).mkdir()
        (tmp_path / name / "image").write_bytes(A)

    assert [name[-1] for name, _ in found(tmp_path)] == list("abcdefgh")


def test_an_image_with_the_suffix_of_an_archive_is_sent_once(tmp_path: Path) -> None:
    """It has its own entry and is not part of its folder's entry."""
    (tmp_path / "a").write_bytes(A)
    (tmp_path / "b.zip").write_bytes(B)

    assert read(tmp_path) == [A]
    assert found(tmp_path) == [
        (tmp_path.name, len(A)),
        (f"{tmp_path.name}/b.zip", len(B)),
    ]


def test_duplicate_paths_are_sent_once(top: Path) -> None:
    """A folder within another, a link to it and a repeated path are one entry."""
    (top.parent / "link").symlink_to(top / "below" / "deep")

    entries = LocalSource([top, top / "below", top.parent / "link", top]).select().entries

    assert len({Path(one.path).resolve() for one in entries}) == len(entries) == 3


def test_links_to_files_are_followed_and_links_to_folders_are_not(top: Path) -> None:
    """A link to a folder may form a cycle."""
    (top / "round").symlink_to(top)
    (top / "z").symlink_to(top / "below" / "deep" / "c")

    assert read(top) == [A, B, C]
    assert len(found(top)) == 3


def test_a_dangling_link_is_reported(top: Path) -> None:
    """It counts as an image that could not be sent, because its target is unknown."""
    (top / "c").symlink_to(top / "gone")

    assert read(top) == [A, B, f"{wording.FILE_UNOPENED}: No such file or directory"]


def test_a_dangling_link_named_like_an_archive_is_an_entry(tmp_path: Path) -> None:
    """Fetching the entry says that the archive cannot be opened."""
    (tmp_path / "a.zip").symlink_to(tmp_path / "gone")
    source = LocalSource([tmp_path])
    (entry,) = source.select().entries
    assert entry.name == f"{tmp_path.name}/a.zip"
    failure = source.fetcher(tmp_path).fetch(entry)
    assert isinstance(failure, DownloadFailure)
    assert failure.reason.kind is Kind.UNOPENED_FILE


def test_a_link_to_itself_is_reported(top: Path) -> None:
    """It does not affect the other files of its folder."""
    (top / "c").symlink_to(top / "c")

    reason = f"{wording.FILE_UNOPENED}: {os.strerror(errno.ELOOP)}"
    assert read(top) == [A, B, reason]


@pytest.mark.parametrize("name", ["pipe", "pipe.zip", "pipe.dcm"])
def test_fifos_and_sockets_are_skipped_and_counted(top: Path, name: str) -> None:
    """Opening a FIFO of any name would block indefinitely."""
    os.mkfifo(top / name)
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind(str(top / "socket.zip"))

        assert read(top) == [A, B]
        skipped = [item for item in read_archive(top, top, SKIPS) if isinstance(item, Skipped)]
    assert sorted(kind.name for kind in skipped) == ["NOT_DICOM", "SPECIAL", "SPECIAL"]
    assert [entry for entry, _ in found(top)] == ["top", "top/old.ZIP", "top/below/deep"]


def test_an_archive_replaced_by_a_fifo_is_skipped(tmp_path: Path) -> None:
    """The reader does not block, although the path was a file when the folder was listed."""
    os.mkfifo(tmp_path / "a.zip")
    assert list(read_archive(tmp_path / "a.zip", tmp_path, SKIPS)) == [Skipped.SPECIAL]


def test_an_unreadable_folder_is_reported(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It has an entry with the reason, whether the error occurs during listing or reading."""

    def refuse(path: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(os, "scandir", refuse)

    assert found(top) == [("top", None)]
    (item,) = read_archive(top, top, SKIPS)
    assert item == BrokenArchive(Reason(Kind.UNREADABLE_FOLDER, "Permission denied"))


@pytest.mark.parametrize("name", ["nowhere", "top/a/b"])
def test_a_missing_path_ends_the_run(top: Path, name: str) -> None:
    """A missing path may be a typo, so nothing is sent."""
    with pytest.raises(UsageError, match=f"{name}: not found"):
        LocalSource([top, top.parent / name]).select()


def test_the_report_is_named_after_the_input(top: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its name has the folder's name, also for the current folder, or the number of paths."""
    monkeypatch.chdir(top)

    assert LocalSource([top]).select().report_label == "top"
    assert LocalSource([Path()]).select().report_label == "top"
    assert LocalSource([top / "a", top / "b"]).select().report_label == "2 paths"


def test_rows_of_files_that_are_not_dicom_are_left_out(top: Path) -> None:
    """If nothing else was found in any of the given paths, each has one row."""
    (top.parent / "papers" / "more").mkdir(parents=True)
    for name in ("papers/x", "papers/more/y"):
        (top.parent / name).write_text("hello")
    source = LocalSource([top, top.parent / "papers"])
    entries = source.select().entries
    void = Remark((Reason(Kind.NO_IMAGE),), 0, failure=True)
    reports = [
        FileReport(entry, 2, 2)
        if entry.name == "top/below/deep"
        else FileReport(entry, 0, 0, (void,))
        for entry in entries
    ]

    assert [one.entry.name for one in LocalReports().rows(reports)] == ["top/below/deep"]
    no_images = [one for one in reports if one.has_no_image]
    kept = [one.entry.parent for one in LocalReports().rows(no_images)]
    assert kept == [Container("folder", str(path)) for path in (top, top.parent / "papers")]


def test_rows_are_left_out_by_their_kind_and_not_by_their_text(tmp_path: Path) -> None:
    """An unreadable file is shown, even if the system's message resembles "not an image"."""
    parent = Container("folder", str(tmp_path))
    good = FileReport(FileEntry(parent, "a", "a"), 2, 2)
    sounding = Reason(Kind.DOWNLOAD_REFUSED, Reason(Kind.NO_IMAGE).text)
    odd = FileReport(FileEntry(parent, "b", "b"), 0, 0, (Remark((sounding,), 0, failure=True),))
    assert odd.remarks[0].text == wording.NO_IMAGE

    assert LocalReports().rows([good, odd]) == [good, odd]


def test_an_empty_folder_is_reported(tmp_path: Path) -> None:
    """It has an entry, so the run is not complete."""
    assert found(tmp_path) == [(tmp_path.name, None)]


def test_the_list_of_excluded_files_is_short_and_printable(tmp_path: Path) -> None:
    """Of thousands of files, including hostile names, a few are named; each is counted once."""
    folder = tmp_path / "top"
    folder.mkdir()
    for number in range(3000):
        (folder / f"{number:04}{'x' * 200}.txt").touch()
    for name in (b"\n\x1b[2J.zip", b"\xff.zip"):
        Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).touch()
    names = NameChoice(exclude=NamePatterns(("*",)))
    source = LocalSource([folder, folder / ".." / "top"], names)
    selection = source.select()
    assert selection.entries == ()
    (left_out,) = selection.left_out
    assert left_out.text.startswith(
        rf"3,002 files {wording.EXCLUDED} were not selected: top/\n\x1b[2J.zip, top/0000xxx"
    )
    assert left_out.text.endswith(" and 2,992 more")
    assert len(left_out.text) < 1000


def test_files_that_are_left_out_are_named(top: Path) -> None:
    """Their paths start with the folder that the user named."""
    (files,) = LocalSource([top], NameChoice(include=NamePatterns(("a",)))).select().left_out
    assert files.text == (
        f"4 files {wording.NO_INCLUDE} were not selected: "
        "top/b, top/notes.txt, top/old.ZIP, top/below/deep/c"
    )
