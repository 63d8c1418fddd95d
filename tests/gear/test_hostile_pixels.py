"""An image of a few bytes that claims or unpacks to gigabytes costs only itself."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest
from pydicom.uid import ExplicitVRLittleEndian

from tests.support import hostile, wording
from tests.support.footprint import Peak, peak_resident_of_all
from tests.support.gear_runs import CT, Session, counts, gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of

MAX_MEMORY = 300_000_000
PAUSE = 0.01
HUGE = 65535
CLAIMS = {
    "rle": hostile.rle(Rows=HUGE, Columns=HUGE),
    "rle frames": hostile.rle(Rows=HUGE, Columns=64, NumberOfFrames=600),
    "jpeg": hostile.jpeg(HUGE, HUGE),
    "jpeg 400 MB": hostile.jpeg(20000, 10000),
    "jpeg 2000": hostile.jpeg_2000(HUGE, HUGE),
    "jpeg 2000 400 MB": hostile.jpeg_2000(20000, 10000),
    "jpeg 2000 30 MB": hostile.jpeg_2000(5000, 3000),
}

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def again(content: bytes) -> bytes:
    """Return an image as a new instance."""
    return content.replace(b".498.1.1\0", b".498.1.3\0")


def sent(contents: list[bytes], folder: Path, session: Session) -> tuple[str, int, str]:
    """Send images to a server without compression; return sent count, peak memory and log."""
    members = [ArchiveMember(str(number), content) for number, content in enumerate(contents)]
    session.site.add_file(
        session.acquisition("a"), "a.zip", zip_of(folder / "a.zip", members), file_type="dicom"
    )
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as server:
        gear = gear_on(folder, session.site, server.port, session.session, associations=4)
        running = gear.start()
        with Peak(partial(peak_resident_of_all, running.pid), PAUSE) as memory:
            result = running.finish()
    return counts(session.site.reports[0].content)["a.zip"][1], memory.value, result.log


@pytest.mark.slow
@pytest.mark.parametrize(
    "contents",
    [*([content, again(content)] for content in CLAIMS.values()), [hostile.deflated(1100)]],
    ids=[*CLAIMS, "deflated"],
)
def test_few_bytes_that_claim_gigabytes(
    contents: list[bytes], tmp_path: Path, session: Session
) -> None:
    """Such images fail, another is sent, and all processes together stay below 300 MB."""
    number, memory, log = sent([*contents, encoded(made(2))], tmp_path, session)
    assert number == "1", log
    assert wording.IMAGE_TOO_LARGE in log
    assert 0 < memory < MAX_MEMORY


@pytest.mark.slow
@pytest.mark.parametrize(
    ("make", "rows", "columns"),
    [
        (hostile.jpeg_2000, 3072, 3072),
        (hostile.blank_rle, 8192, 8192),
        (hostile.blank_jpeg, 2500, 2500),
    ],
)
def test_blank_images_of_maximum_size(
    make: Callable[..., bytes], rows: int, columns: int, tmp_path: Path, session: Session
) -> None:
    """They are sent, and all processes together stay below 300 MB."""
    images = [make(rows, columns, SOPInstanceUID=f"1.2.{number}") for number in range(4)]
    number, memory, log = sent(images, tmp_path, session)
    assert number == "4", log
    assert 0 < memory < MAX_MEMORY
