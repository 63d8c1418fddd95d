"""A full disk, or one that cannot be written to, costs only what needs it."""

import errno
import resource
from collections.abc import Callable, Iterator
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless

from fw_gear_dicom_send import archive
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.flywheel.source import FlywheelSource
from fw_gear_dicom_send.models import Container, GearConfig
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.run import pipeline, steps
from tests.support.gear_runs import (
    CT,
    Session,
    assert_work_is_empty,
    counts,
    downloads,
    gear_on,
    images,
)
from tests.support.pacs import PythonSCP
from tests.support.sample_files import (
    ArchiveMember,
    encoded,
    made,
    zip_of,
)


def test_a_full_disk_costs_only_what_needs_it(tmp_path: Path, session: Session) -> None:
    """What cannot be downloaded, unpacked or converted is told; small images go on."""
    site, acquisition = session.site, session.acquisition("A")
    limit = 2_000_000
    large = encoded(made(1, pixels=1200))
    compressed = made(2, pixels=1200)
    compressed.compress(RLELossless)
    site.add_file(acquisition, "large.dcm", large)
    unpacked = zip_of(tmp_path / "u.zip", [ArchiveMember("1", large), *images(3)])
    site.add_file(acquisition, "unpacked.zip", unpacked)
    site.add_file(acquisition, "converted.dcm", encoded(compressed))
    site.add_file(acquisition, "small.zip", zip_of(tmp_path / "s.zip", images(4, 5)))
    with PythonSCP({CT: [ExplicitVRLittleEndian]}) as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session)
        running = gear.start()
        resource.prlimit(running.pid, resource.RLIMIT_FSIZE, (limit, limit))
        result = running.finish()
    assert result.exit_code == 1
    found = counts(site.reports[0].content)
    assert found["large.dcm"] == ("0", "0", "Failed")
    assert found["unpacked.zip"] == ("2", "1", "Incomplete")
    assert found["converted.dcm"] == ("1", "0", "Failed")
    assert found["small.zip"] == ("2", "2", "Complete")
    assert "large.dcm: cannot be written to disk: File too large" in result.log
    assert "unpacked.zip: 1 image not sent: no space left to unpack a member" in result.log
    assert "converted.dcm: 1 image not sent: cannot be converted from RLE Lossless" in result.log
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


Run = Callable[[], tuple[str, ...]]


@pytest.fixture
def run_here(tmp_path: Path, session: Session, python_scp: PythonSCP) -> Run:
    """Send six images in this process; return what the report says of them."""
    return partial(send_six_images, tmp_path, session, python_scp.port)


def send_six_images(tmp_path: Path, session: Session, port: int) -> tuple[str, ...]:
    site = session.site
    archive = zip_of(tmp_path / "a.zip", images(*range(6)))
    site.add_file(session.acquisition("A"), "a.zip", archive)
    work, output = tmp_path / "work", tmp_path / "output"
    for folder in (work, output):
        folder.mkdir()
    config = GearConfig(
        peer=PeerAE("127.0.0.1", port, "PACS", "flywheel"),
        tls=None,
        tag=PrivateTag(0x0021, "Flywheel", "DICOM send"),
        destination=Container("session", session.session),
        input_file=None,
        api_key=site.api_key,
        file_download_retry_time=0,
        send_retry_time=0,
        associations=2,
        report=True,
    )
    source = FlywheelSource(config)
    assert not pipeline.run(config, source, source.reports, work, output)
    assert [*work.iterdir(), *output.iterdir()] == []
    return counts(site.reports[0].content)["a.zip"]


NO_SPACE = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(("failed", "number"), [(1, "1 image"), (6, "6 images")])
def test_an_image_that_cannot_be_stamped_fails_alone(
    run_here: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    failed: int,
    number: str,
) -> None:
    """For want of disk space it is not sent, and told; the others are."""
    calls: list[int] = []
    real = steps.stamp

    def stamp(*arguments: Any) -> SOPInstance | Unreadable:
        calls.append(1)
        if len(calls) <= failed:
            raise NO_SPACE
        return real(*arguments)

    monkeypatch.setattr(steps, "stamp", stamp)
    found = run_here()
    assert found == ("6", str(6 - failed), "Failed" if failed == 6 else "Incomplete")
    reason = "the image could not be stamped: No space left on device"
    assert f"a.zip: {number} not sent: {reason}" in caplog.text


def test_an_archive_that_cannot_be_unpacked_is_told(
    run_here: Run,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What was read before the disk was full is sent, and the reason is in the log."""
    real = archive.read

    def read(*arguments: Any) -> Iterator[object]:
        yield from islice(real(*arguments), 4)
        raise NO_SPACE

    monkeypatch.setattr(archive, "read", read)
    found = run_here()
    assert found[1:] == ("4", "Incomplete")
    assert "a.zip: it could not be unpacked: No space left on device" in caplog.text


def test_a_work_folder_that_cannot_be_written_to_is_told(tmp_path: Path, session: Session) -> None:
    """A path that is no folder stops the run before the server is asked, after the report."""
    site = session.site
    site.add_file(session.acquisition("A"), "a.dcm", encoded(made(1)))
    with PythonSCP() as scp:
        gear = gear_on(tmp_path, site, scp.port, session.session)
        (gear.folder / "work").rmdir()
        (gear.folder / "work").symlink_to("/proc/self")
        result = gear.run()
        assert scp.associations == ()
    assert result.exit_code == 1
    assert counts(site.reports[0].content) == {"a.dcm": ("0", "0", "Failed")}
    assert "ERROR" in result.stderr
    assert "The work folder cannot be written to: " in result.stderr
    assert "Unexpected" not in result.log
    assert "Traceback" not in result.log
    assert not downloads(site)
