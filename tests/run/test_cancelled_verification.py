"""A run that is cancelled during verification reports the results so far."""

import csv
from pathlib import Path
from signal import Signals

import pytest

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.cli.local_source import LocalReports, LocalSource
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import MonotonicClock, RetryPolicy
from fw_gear_dicom_send.run import Waits, run
from tests.support.archive_scp import ArchiveSCP
from tests.support.configs import send_config
from tests.support.sample_files import encoded, made, uid_of


class Cancelling(MonotonicClock):
    """Clock that cancels the run when it waits."""

    def sleep(self, seconds: float) -> None:  # noqa: ARG002
        """Cancel the run."""
        raise CancelledError(Signals.SIGTERM)


def test_absent_images_do_not_count_as_sent(tmp_path: Path) -> None:
    """The job was cancelled while the gear waited for the server to find an image."""
    folder, output = tmp_path / "images", tmp_path / "output"
    for path in (folder, output):
        path.mkdir()
    for number in range(3):
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))
    waits = Waits(verify=RetryPolicy(clock=Cancelling()))
    reports = LocalReports()
    with ArchiveSCP(lambda uid: uid == uid_of(1)) as server:
        config = send_config(
            PeerAE("127.0.0.1", server.port, server.ae_title, "flywheel"),
            send_retry_time=10,
            associations=1,
            verify="find",
        )
        source = LocalSource([folder])
        with senders.of(config, tmp_path) as sender, pytest.raises(CancelledError):
            run(config, source, sender, reports, work=tmp_path, output=output, waits=waits)
    files, images, *_ = reports.paths
    with files.open(newline="") as rows:
        assert [row["Images Sent"] for row in csv.DictReader(rows)] == ["2"]
    with images.open(newline="") as rows:
        found = {row["SOP Instance UID"]: row["Verified"] for row in csv.DictReader(rows)}
    assert found == {uid_of(0): "yes", uid_of(1): "no", uid_of(2): "yes"}
