"""A dataset that is designed to exhaust memory costs only itself."""

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from struct import pack

import pytest

from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT
from tests.support.footprint import Peak, peak_resident_of_all
from tests.support.gear_runs import Session, counts, gear_on
from tests.support.pacs import PythonSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of

ELEMENTS = 2_000_000
MAX_MEMORY = 300_000_000
PAUSE = 0.01

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc")


def same() -> bytes:
    return pack("<HH2sH", 0x0021, 0x1001, b"LO", 0) * ELEMENTS


def ascending() -> bytes:
    headers = (
        pack("<HH2sH", 0x0011 + 2 * (number >> 16), number & 0xFFFF, b"LO", 0)
        for number in range(9 << 16)
    )
    return b"".join(headers)


@pytest.mark.slow
@pytest.mark.parametrize("make", [same, ascending])
def test_millions_of_elements(
    make: Callable[[], bytes], tmp_path: Path, session: Session, python_scp: PythonSCP
) -> None:
    """An image with a full group fails, the other is sent, and the gear stays below 300 MB."""
    dataset = raw.joined(raw.uids(EXPLICIT)) + make()
    members = [
        ArchiveMember("1", raw.part10(dataset, EXPLICIT.uid)),
        ArchiveMember("2", encoded(made(2))),
    ]
    archive = zip_of(tmp_path / "a.zip", members)
    session.site.add_file(session.acquisition("a"), "a.zip", archive, file_type="dicom")
    running = gear_on(tmp_path, session.site, python_scp.port, session.session).start()
    with Peak(partial(peak_resident_of_all, running.pid), PAUSE) as memory:
        result = running.finish()
    assert counts(session.site.reports[0].content)["a.zip"][:2] == ("2", "1"), result.log
    assert 0 < memory.value < MAX_MEMORY
