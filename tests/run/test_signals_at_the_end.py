"""A signal during the report does not stop it."""

import csv
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.account import Account
from fw_gear_dicom_send.cli.local_source import LocalReports, LocalSource
from fw_gear_dicom_send.exit_codes import exit_code
from fw_gear_dicom_send.models import FileReport
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.run import run
from tests.support.archive_scp import ArchiveSCP
from tests.support.configs import send_config
from tests.support.sample_files import encoded, made


class Signalled(LocalReports):
    """Reports of a run that gets a signal when it begins to write them."""

    def rows(self, reports: Sequence[FileReport]) -> Sequence[FileReport]:
        """Send a signal to this process."""
        signal.raise_signal(signal.SIGTERM)
        return super().rows(reports)


@pytest.mark.usefixtures("own_signals")
def test_the_report_is_complete(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """The run ends with the exit code of the signal, and the log names it."""
    path, output = tmp_path / "1.dcm", tmp_path / "output"
    path.write_bytes(encoded(made(1)))
    output.mkdir()
    reports = Signalled()
    accounts: list[Account] = []
    with ArchiveSCP() as server:
        config = send_config(
            PeerAE("127.0.0.1", server.port, server.ae_title, "flywheel"),
            send_retry_time=10,
            associations=1,
        )

        def body() -> int:
            with senders.of(config, tmp_path) as sender:
                run(
                    config,
                    LocalSource([path]),
                    sender,
                    reports,
                    work=tmp_path,
                    output=output,
                    conclude=accounts.append,
                )
            return 0

        assert exit_code(body) == 128 + signal.SIGTERM
    with reports.paths[0].open(newline="") as rows:
        assert [row["Images Sent"] for row in csv.DictReader(rows)] == ["1"]
    assert [account.is_complete for account in accounts] == [True]
    assert signal.SIGTERM.name in caplog.text
