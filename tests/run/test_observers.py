"""A failing observer neither ends a run nor hides its report."""

import csv
from collections.abc import Callable
from pathlib import Path

import pytest

from fw_gear_dicom_send import senders
from fw_gear_dicom_send.cli.local_source import LocalReports, LocalSource
from fw_gear_dicom_send.models import FileReport, ImageRecord
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.progress import Progress
from fw_gear_dicom_send.run import run
from tests.support import wording
from tests.support.configs import send_config
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made


class Failing(Observer):
    """Observer that fails from one of its methods on."""

    def __init__(self, method: str) -> None:
        self._method = method

    def image(self, record: ImageRecord) -> None:  # noqa: ARG002
        self._fail("image")

    def file(self, report: FileReport) -> None:  # noqa: ARG002
        self._fail("file")

    def _fail(self, method: str) -> None:
        if method == self._method:
            raise UnicodeEncodeError("utf-8", "Doe\udcfc", 0, 1, "no")


class FailingProgress(Progress):
    """Progress that fails."""

    def image(self, record: ImageRecord) -> None:  # noqa: ARG002
        """Fail."""
        raise OSError("the terminal is gone")


@pytest.fixture
def send(tmp_path: Path, python_scp: PythonSCP) -> Callable[..., list[dict[str, str]]]:
    """Send ten images in this process successfully; return the per-file report."""
    folder, output = tmp_path / "images", tmp_path / "output"
    for path in (folder, output):
        path.mkdir()
    for number in range(10):
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))

    def run_here(**how: object) -> list[dict[str, str]]:
        config = send_config(
            PeerAE("127.0.0.1", python_scp.port, "PACS", "flywheel"),
            send_retry_time=10,
            associations=2,
        )
        source, reports = LocalSource([folder]), LocalReports()
        with senders.of(config, tmp_path) as sender:
            account = run(config, source, sender, reports, work=tmp_path, output=output, **how)
        assert account.is_success
        assert len(reports.paths) == 4
        return list(csv.DictReader(reports.paths[0].read_text().splitlines()))

    return run_here


@pytest.mark.parametrize("method", ["image", "file"])
def test_a_failed_observer_is_ignored(
    method: str, send: Callable[..., list[dict[str, str]]], caplog: pytest.LogCaptureFixture
) -> None:
    """All images are sent and reported; the failure is logged once, without data."""
    (row,) = send(observer=Failing(method))
    assert (row["Images Sent"], row["Status"]) == ("10", "Complete")
    (message,) = (one.getMessage() for one in caplog.records if one.levelname == "ERROR")
    assert message.startswith(f"Failing {wording.CONTINUES_WITHOUT} (UnicodeEncodeError")
    assert "Doe" not in caplog.text


def test_failed_progress_is_ignored(
    send: Callable[..., list[dict[str, str]]], caplog: pytest.LogCaptureFixture
) -> None:
    """The run completes without the progress."""
    (row,) = send(make_progress=FailingProgress)
    assert (row["Images Sent"], row["Status"]) == ("10", "Complete")
    (message,) = (one.getMessage() for one in caplog.records if one.levelname == "ERROR")
    assert message.startswith(f"FailingProgress {wording.CONTINUES_WITHOUT} (OSError")
