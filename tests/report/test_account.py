"""What the account of a run says of its end."""

import signal
from datetime import UTC, datetime

import pytest

from fw_gear_dicom_send.account import Account, VerificationSummary
from fw_gear_dicom_send.errors import CancelledError, ExitCode, ServerError, WorkFolderError
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Origin, Remark
from fw_gear_dicom_send.reasons import Kind, Program, Reason
from fw_gear_dicom_send.report_names import Report

ENTRY = FileEntry(Container("session", "s"), "a.zip", "p/a.zip")
ALL = [FileReport(ENTRY, 3, 3)]
GIVEN_UP = Reason(Kind.GIVEN_UP, "300 s")
STOPPED = CancelledError(signal.SIGTERM)
UNVERIFIED = VerificationSummary("C-FIND", 3, 0, 0)


@pytest.mark.parametrize(
    ("account", "code"),
    [
        (Account(rows=ALL), ExitCode.SUCCESS),
        (Account(), ExitCode.NOT_ALL_SENT),
        (Account(rows=[FileReport(ENTRY, 3, 2)]), ExitCode.NOT_ALL_SENT),
        (Account(rows=ALL, is_reported=False), ExitCode.NOT_ALL_SENT),
        (Account(rows=ALL, verification=UNVERIFIED), ExitCode.NOT_VERIFIED),
        (Account(rows=ALL, given_up=GIVEN_UP), ExitCode.SERVER),
        (Account(rows=ALL, given_up=GIVEN_UP, error=STOPPED), 143),
    ],
)
def test_the_exit_code_follows_from_the_account(account: Account, code: int) -> None:
    """An error decides first, then a server that was given up, then the images."""
    assert account.exit_code == code
    assert account.is_success == (code == ExitCode.SUCCESS or bool(account.given_up))


def test_the_error_that_ended_a_run_is_its_cause() -> None:
    """A signal may arrive after the server was given up."""
    assert Account(error=STOPPED, given_up=GIVEN_UP).cause == STOPPED.cause
    assert Account(given_up=GIVEN_UP).cause == GIVEN_UP.text


@pytest.mark.parametrize(
    ("account", "advice"),
    [
        (Account(error=ServerError("no answer", "check called_ae")), "Check called_ae."),
        (Account(error=WorkFolderError("no space")), None),
        (Account(given_up=GIVEN_UP), Kind.GIVEN_UP.advice),
        (Account(error=STOPPED, given_up=GIVEN_UP), Kind.NOT_REACHED.advice),
        (Account(rows=ALL), ""),
    ],
)
def test_an_early_end_has_the_advice_of_its_cause(account: Account, advice: str | None) -> None:
    """Only a run that was cancelled is to be run again."""
    assert account.advice == advice or (advice is None and account.advice)
    assert ("Run the gear again" in account.advice) == account.is_cancelled


@pytest.mark.parametrize("kind", [Kind.NO_IMAGE, Kind.UNKNOWN_TYPE, Kind.EMPTY_FILE])
@pytest.mark.parametrize(("program", "code"), [(Program.COMMAND, 2), (Program.GEAR, 1)])
def test_a_run_without_any_image_is_wrong_usage_of_the_command(
    program: Program, code: int, kind: Kind
) -> None:
    """The gear has failed, as its only other exit code is that of success."""
    remark = Remark((Reason(kind),), 0, failure=True)
    account = Account(rows=[FileReport(ENTRY, 0, 0, (remark,))], origin=Origin(program))
    assert (account.is_without_images, account.exit_code) == (True, code)


def test_a_run_starts_with_its_first_image() -> None:
    """A run without images starts as well, unless an error ended it."""
    started = datetime(2024, 1, 2, tzinfo=UTC)
    assert not Account(rows=ALL).has_started
    assert Account(started=started, rows=ALL, error=STOPPED).has_started
    assert Account(started=started).has_started
    assert not Account(started=started, error=STOPPED).has_started


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
