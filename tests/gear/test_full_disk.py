"""A full or read-only disk affects only images that need it."""

import resource
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian, ExplicitVRLittleEndian, RLELossless

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.flywheel.source import FlywheelSource
from fw_gear_dicom_send.models import Container, DownloadFailure, FileEntry
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.run import run
from fw_gear_dicom_send.source import Fetcher
from tests.support import wording
from tests.support.configs import gear_config
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
    tar_of,
    zip_of,
)

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("real_starts")]


def test_a_full_disk_costs_only_images_that_need_it(tmp_path: Path, session: Session) -> None:
    """Failed downloads, unpacking, stamping and conversion are reported; small images are sent."""
    site, acquisition = session.site, session.acquisition("A")
    limit = 2_000_000
    large = encoded(made(1, pixels=1200))
    compressed = made(2, pixels=1200)
    compressed.compress(RLELossless)
    deflated = made(6, pixels=1200)
    deflated.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
    site.add_file(acquisition, "large.dcm", large)
    unpacked = zip_of(tmp_path / "u.zip", [ArchiveMember("1", large), *images(3)])
    site.add_file(acquisition, "unpacked.zip", unpacked, file_type="dicom")
    site.add_file(acquisition, "converted.dcm", encoded(compressed))
    site.add_file(acquisition, "deflated.dcm", encoded(deflated))
    site.add_file(
        acquisition, "small.zip", zip_of(tmp_path / "s.zip", images(4, 5)), file_type="dicom"
    )
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
    assert found["deflated.dcm"] == ("1", "0", "Failed")
    assert found["small.zip"] == ("2", "2", "Complete")
    assert "large.dcm: cannot be written to disk: File too large" in result.log
    assert "unpacked.zip: 1 image not sent: no space left on disk" in result.log
    assert "converted.dcm: 1 image not sent: cannot be converted from RLE Lossless" in result.log
    reason = "the dataset could not be read or unpacked: File too large"
    assert f"deflated.dcm: 1 image not sent: {reason}" in result.log
    assert "Traceback" not in result.log
    assert_work_is_empty(gear)


class LosingItsFolder(FlywheelSource):
    """Source that deletes the work folder after a download."""

    def fetcher(self, folder: Path) -> Fetcher:
        """Return a function that downloads a file and moves it before the folder is deleted."""
        download = super().fetcher(folder).fetch

        def fetch(entry: FileEntry) -> Path | DownloadFailure:
            path = download(entry)
            assert isinstance(path, Path)
            moved = path.rename(folder.parent / path.name)
            folder.rmdir()
            return moved

        return Fetcher(fetch)


@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_an_archive_that_cannot_be_unpacked_is_reported(
    tmp_path: Path,
    session: Session,
    python_scp: PythonSCP,
    caplog: pytest.LogCaptureFixture,
    pack: type,
) -> None:
    """Images that need no disk space are sent, and the log has the reason for the others."""
    site = session.site
    large = ArchiveMember("large", encoded(made(9, pixels=1200)))
    archive = pack(tmp_path / "a.zip", [*images(1, 2, 3), large])
    site.add_file(session.acquisition("A"), "a.zip", archive, file_type="dicom")
    work, output = tmp_path / "work", tmp_path / "output"
    for folder in (work, output):
        folder.mkdir()
    config = gear_config(
        PeerAE("127.0.0.1", python_scp.port, "PACS", "flywheel"),
        container=Container("session", session.session),
        api_key=site.api_key,
        downloads=1,
        file_download_retry_time=0,
        send_retry_time=0,
        associations=2,
    )
    source = LosingItsFolder(config)
    with senders.of(config, work) as sender:
        outcome = run(config, source, sender, source.reports, work=work, output=output)
    assert not outcome.is_success
    assert [*work.iterdir(), *output.iterdir()] == []
    assert counts(site.reports[0].content)["a.zip"][1:] == ("3", "Incomplete")
    assert "a.zip: it could not be unpacked: No such file or directory" in caplog.text


def test_an_unwritable_work_folder_is_reported(tmp_path: Path, session: Session) -> None:
    """A path that is not a folder stops the run before the server check, with a report."""
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
    assert f"{wording.CANNOT_WRITE_TO_WORK}: " in result.stderr
    assert "Unexpected" not in result.log
    assert "Traceback" not in result.log
    assert not downloads(site)
