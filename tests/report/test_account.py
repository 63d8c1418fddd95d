"""What the account of a run says of its end."""

from datetime import UTC, datetime

import pytest

from fw_gear_dicom_send.account import Account, VerificationSummary
from fw_gear_dicom_send.errors import ExitCode
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report_names import Report

ENTRY = FileEntry(Container("session", "s"), "a.zip", "p/a.zip")
ALL = [FileReport(ENTRY, 3, 3)]
UNVERIFIED = VerificationSummary("C-FIND", 3, 0, 0)


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (Account(rows=ALL), ExitCode.SUCCESS),
        (Account(), ExitCode.NOT_ALL_SENT),
        (Account(rows=[FileReport(ENTRY, 3, 2)]), ExitCode.NOT_ALL_SENT),
        (Account(rows=ALL, is_reported=False), ExitCode.NOT_ALL_SENT),
        (Account(rows=ALL, verification=UNVERIFIED), ExitCode.NOT_VERIFIED),
        (Account(rows=ALL, given_up="300 s"), ExitCode.SERVER),
        (Account(rows=ALL, given_up="300 s", error="x", error_code=143), 143),
    ],
)
def test_the_exit_code_follows_from_the_account(account: Account, code: int) -> None:
    """An error decides first, then a server that was given up, then the images."""
    assert account.exit_code == code
    assert account.is_success == (code == ExitCode.SUCCESS or bool(account.given_up))


def test_the_error_that_ended_a_run_is_its_cause() -> None:
    """A signal may arrive after the server was given up."""
    assert Account(error="stopped", given_up="300 s").cause == "stopped"
    assert Account(given_up="300 s").cause == "300 s"


def test_a_run_starts_with_its_first_image() -> None:
    """A run without images starts as well, unless an error ended it."""
    started = datetime(2024, 1, 2, tzinfo=UTC)
    assert not Account(rows=ALL).has_started
    assert Account(started=started, rows=ALL, error="x").has_started
    assert Account(started=started).has_started
    assert not Account(started=started, error="x").has_started


def test_images_count_for_each_kind_of_their_remarks() -> None:
    """An image may be converted and then rejected."""
    reasons = (Reason(Kind.CONVERTED, "x"), Reason(Kind.REFUSED, "0xC000"))
    account = Account(rows=[FileReport(ENTRY, 3, 1, (Remark(reasons, 2, failure=True),))])
    assert account.images_with(Kind.CONVERTED, Kind.REPAIRED) == 2
    assert account.images_with(Kind.REPAIRED) == 0


def test_a_report_is_found_by_the_end_of_its_name() -> None:
    """The report on files and the per-image report are both CSV files."""
    account = Account(reports=["a_instances.csv", "a.csv", "a.html"])
    assert account.report(Report.FILES) == "a.csv"
    assert account.report(Report.IMAGES) == "a_instances.csv"
    assert account.report(Report.SUMMARY) == ""
