"""Files that are not images or cannot be unpacked are closed immediately."""

import resource
import sys
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.archive_reading import CORRUPT, NO_SPACE, Image, items
from tests.support.archives import A, dicom, set_zip_field, zipped
from tests.support.closing import nothing_left_open

pytestmark = pytest.mark.slow


@pytest.mark.skipif(sys.platform != "linux", reason="reads from /proc")
def test_files_that_are_not_images_are_closed(tmp_path: Path, work: Path) -> None:
    """Neither a text file in a folder nor an unreadable file stays open."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"no image")
    (folder / "2.dcm").symlink_to("/proc/self/mem")
    (folder / "3.dcm").write_bytes(A)
    with nothing_left_open():
        found = items(folder, work)
    failure = Unreadable(Reason(Kind.UNREADABLE_FILE, "Input/output error"), 2)
    assert found == [failure, Image(3, A)]


def test_a_corrupt_member_is_closed(tmp_path: Path, work: Path) -> None:
    """This includes members large enough to be on disk."""
    path = zipped(tmp_path / "a", dicom(1, 3_000_000))
    set_zip_field(path, "1.dcm", "crc", 0)
    with nothing_left_open():
        assert items(path, work) == [CORRUPT]


def test_a_member_that_does_not_fit_on_the_disk_is_closed(tmp_path: Path, work: Path) -> None:
    """The disk may have room for the next member."""
    path = zipped(tmp_path / "a", dicom(1, 6_000_000), A)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (3_000_000, limits[1]))
    try:
        with nothing_left_open():
            assert items(path, work) == [NO_SPACE, Image(2, A)]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
