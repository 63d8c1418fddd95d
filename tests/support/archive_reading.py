"""Archive contents as values that tests can compare."""

from collections.abc import Callable, Generator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from fw_gear_dicom_send import archive
from fw_gear_dicom_send.archive import Archive, BrokenArchive, InnerItems, Limits, Member
from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason, Skipped
from fw_gear_dicom_send.values import replace
from tests.support.archives import has_prefix

CORRUPT, CORRUPT_SECOND = (Unreadable(Reason(Kind.CORRUPT_MEMBER), n) for n in (1, 2))
ENCRYPTED = Unreadable(Reason(Kind.ENCRYPTED_MEMBER), 1)
LARGE = Unreadable(Reason(Kind.MEMBER_TOO_LARGE), 1)
NO_SPACE = Unreadable(Reason(Kind.NO_SPACE), 1)
BROKEN = BrokenArchive(Reason(Kind.CORRUPT_ARCHIVE))
UNKNOWN = BrokenArchive(Reason(Kind.UNKNOWN_TYPE))


@dataclass(frozen=True)
class Image:
    """Archive member, read completely."""

    number: int | str
    content: bytes


Item = Image | Unreadable | BrokenArchive | Skipped


def read_item(item: Member | Unreadable | BrokenArchive | Skipped) -> Item:
    """Read a member completely and close it; return any other item without its name."""
    if isinstance(item, Unreadable):
        return replace(item, name="")
    if not isinstance(item, Member):
        return item
    with closing(item.content):
        return Image(item.number, item.content.read())


def read(
    path: Path,
    work: Path,
    skips: Callable[[bytes], Skipped | None],
    limits: Limits = archive.DEFAULT_LIMITS,
) -> Generator[archive.Item, None, None]:
    """Yield the items of an archive on one thread; the caller closes their contents."""
    with closing(Archive(path, work, skips, limits)) as opened:
        for task in opened.tasks():
            item = task() if callable(task) else task
            if isinstance(item, InnerItems):
                yield from item.items
            elif item is not None:
                yield item
            if isinstance(item, BrokenArchive):
                return


def items(
    path: Path,
    work: Path,
    *,
    is_dicom: Callable[[bytes], bool] = has_prefix,
    limits: Limits = archive.DEFAULT_LIMITS,
) -> list[Item]:
    """Return all items of an archive except skipped members."""
    found = items_and_skipped(path, work, is_dicom=is_dicom, limits=limits)
    return [item for item in found if not isinstance(item, Skipped)]


def items_and_skipped(
    path: Path,
    work: Path,
    *,
    is_dicom: Callable[[bytes], bool] = has_prefix,
    limits: Limits = archive.DEFAULT_LIMITS,
) -> list[Item]:
    """Return all items of an archive, including skipped members."""
    return [read_item(item) for item in read(path, work, skipping(is_dicom), limits)]


def skipping(is_dicom: Callable[[bytes], bool]) -> Callable[[bytes], Skipped | None]:
    """Return a function that gives the reason for skipping a file that is not DICOM."""

    def skips(head: bytes) -> Skipped | None:
        return None if is_dicom(head) else Skipped.NOT_DICOM if head else Skipped.EMPTY

    return skips


SKIPS = skipping(has_prefix)


def items_of(
    data: bytes, work: Path, *, is_dicom: Callable[[bytes], bool] = has_prefix
) -> list[Item]:
    """Return all items of an archive with this content."""
    path = work.parent / "4f2a"
    path.write_bytes(data)
    return items(path, work, is_dicom=is_dicom)


def images(*contents: bytes) -> list[Item]:
    """Return images with these contents, numbered from 1."""
    return [Image(number, content) for number, content in enumerate(contents, start=1)]
