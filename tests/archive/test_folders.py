"""Files in a folder that are no images are closed at once."""

import gc
import sys
import warnings
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.archive_reading import Image, items
from tests.support.archives import A


@pytest.mark.skipif(sys.platform != "linux", reason="reads from /proc")
def test_what_is_not_an_image_is_closed(tmp_path: Path, work: Path) -> None:
    """Neither a text nor a file that cannot be read stays open until Python gets to it."""
    folder = tmp_path / "images"
    folder.mkdir()
    (folder / "1.txt").write_bytes(b"no image")
    (folder / "2.dcm").symlink_to("/proc/self/mem")
    (folder / "3.dcm").write_bytes(A)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        found = items(folder, work)
        gc.collect()
    failure = Unreadable(Reason(Kind.UNREADABLE_FILE, "Input/output error"), 2)
    assert found == [failure, Image(3, A)]
    assert [warning for warning in caught if warning.category is ResourceWarning] == []
