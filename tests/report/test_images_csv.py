"""Per-image report: a row for each image, written during the run."""

import csv
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.delivery.results import (
    AlreadyStored,
    NotSent,
    Planned,
    Sent,
    StoreResult,
    Transfer,
)
from fw_gear_dicom_send.models import Container, FileEntry, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report import schemas
from fw_gear_dicom_send.report.csv_rows import read_rows
from fw_gear_dicom_send.report.earlier_reports import images_on
from fw_gear_dicom_send.report.images_csv import ImagesCSV
from fw_gear_dicom_send.report.verification import Verdict, Verifications
from fw_gear_dicom_send.text import printable
from fw_gear_dicom_send.values import replace
from tests.support import wording
from tests.support.closing import nothing_left_open
from tests.support.drawn_datasets import bounded
from tests.support.results import judged, not_sent, reason_with, sent

CT = "1.2.840.10008.5.1.4.1.1.2"
ENTRY = FileEntry(Container("acquisition", "a"), "a.zip", "lab/study/files/a.zip")
EXPLICIT, IMPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
COLUMNS = (*schemas.names(schemas.IMAGES), *schemas.SERVER)
SERVER = ("pacs.example.org", "104", "PACS")
SENT = sent(answer=judged(0), tries=1, seconds=0.0123, transfer_syntax_uid=EXPLICIT)


def record(number: int, result: StoreResult = SENT, syntax: str = EXPLICIT) -> ImageRecord:
    return ImageRecord(
        ENTRY, f"{number}.dcm", result, CT, f"1.2.{number}", "1.3", "1.4", syntax, 1000, 0xABCD
    )


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_a_row_has_all_known_values(tmp_path: Path) -> None:
    """Each column has its value, named as in DICOM."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    result = Sent(
        Transfer(replace(judged(0xB000), comment="too long"), 3, 0.0123, EXPLICIT),
        (Reason(Kind.CONVERTED, "CT only as ..."), Reason(Kind.WARNING, "0xB000 Coercion")),
    )
    report.image(record(1, result, RLE))
    assert report.close()
    assert rows(tmp_path / "r.csv") == [
        {
            "FW Path": "lab/study/files/a.zip",
            "Member": "1.dcm",
            "SOP Class": "CT Image Storage",
            "SOP Instance UID": "1.2.1",
            "Transfer Syntax": "RLE Lossless",
            "Sent As": "Explicit VR Little Endian",
            "Bytes": "1000",
            "Status": "0xB000 Coercion of Data Elements",
            "Error Comment": "too long",
            "Tries": "3",
            "Milliseconds": "12.3",
            "Outcome": "sent, with a warning",
            "Reason": "",
            "Code": "stored-with-warning",
            "Verified": "",
            "CRC-32": "0000ABCD",
            "HTTP": "",
            "Host": "pacs.example.org",
            "Port": "104",
            "Called AE": "PACS",
        }
    ]


@pytest.mark.parametrize(
    ("result", "outcome", "status", "reason"),
    [
        (SENT, "sent", "0x0000 Success", ""),
        (AlreadyStored(), "already there", "", ""),
        (not_sent("it has no UID"), "not sent", "", "it has no UID"),
        (
            not_sent("status 0xC001", answer=judged(0xC001), tries=1),
            "not sent",
            "0xC001 Cannot Understand",
            "status 0xC001",
        ),
        (not_sent("x", answer=judged(0x1234)), "not sent", "0x1234 of unknown meaning", "x"),
    ],
)
def test_outcomes(
    tmp_path: Path, result: StoreResult, outcome: str, status: str, reason: str
) -> None:
    """The result of an image is a word with its status and reason."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1, result))
    report.close()
    (row,) = rows(tmp_path / "r.csv")
    assert (row["Outcome"], row["Status"], row["Reason"]) == (outcome, status, reason)


@pytest.mark.parametrize(
    ("result", "code"),
    [
        (Sent(Transfer(0)), ""),
        (AlreadyStored(), "already-stored"),
        (AlreadyStored(Reason(Kind.SENT_EARLIER)), "sent-earlier"),
        (Sent(Transfer(0), (Reason(Kind.CONVERTED, "..."),)), "converted"),
        (NotSent(Reason(Kind.ENCRYPTED_MEMBER)), "member-encrypted"),
        (
            NotSent(Reason(Kind.REFUSED, "0xC000"), remarks=(Reason(Kind.CONVERTED, "..."),)),
            "refused",
        ),
    ],
)
def test_the_code_belongs_to_the_reason(tmp_path: Path, result: StoreResult, code: str) -> None:
    """A program reads the reason as a code, independent of the text."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1, result))
    report.close()
    (row,) = rows(tmp_path / "r.csv")
    assert row["Code"] == code


def test_a_conversion_before_a_rejection_is_in_the_reason(tmp_path: Path) -> None:
    """The conversion may be the cause of the rejection."""
    conversion = Reason(Kind.CONVERTED, "CT in RLE Lossless only as Explicit VR Little Endian")
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1, NotSent(Reason(Kind.REFUSED, "0xC000"), remarks=(conversion,))))
    report.close()
    (row,) = rows(tmp_path / "r.csv")
    assert row["Reason"] == f"{conversion.text}; status 0xC000"


def test_a_row_is_written_immediately(tmp_path: Path) -> None:
    """A killed job leaves its rows so far, all of them complete."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    for number in range(3):
        report.image(record(number))
        assert [row["Member"] for row in rows(tmp_path / "r.csv")] == [
            f"{n}.dcm" for n in range(number + 1)
        ]
    report.close()


def test_without_an_image_there_is_no_report(tmp_path: Path) -> None:
    """A run without images leaves no file."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    assert not report.close()
    assert list(tmp_path.iterdir()) == []


def test_resent_images_have_one_row(tmp_path: Path) -> None:
    """A later result replaces the row in its place."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    for number in range(4):
        report.image(record(number))
    report.start_resending()
    report.image(record(1, not_sent("lost", tries=6)))
    report.image(record(2))
    report.mark_missing(ENTRY, "1.2.2", reason_with("it is not there"))
    report.mark_missing(ENTRY, "1.2.99", reason_with("unknown"))
    assert report.close()
    assert list(tmp_path.iterdir()) == [tmp_path / "r.csv"]
    found = [(row["Member"], row["Outcome"], row["Reason"]) for row in rows(tmp_path / "r.csv")]
    assert found == [
        ("0.dcm", "sent", ""),
        ("1.dcm", "not sent", "lost"),
        ("2.dcm", "not sent", "it is not there"),
        ("3.dcm", "sent", ""),
    ]


@pytest.mark.parametrize(
    ("name", "start"), [("\x1b" * 65_535, r"\x1b\x1b"), ("n" * 200_000, "n" * 8)], ids=range(2)
)
def test_a_name_of_any_length_costs_no_report(tmp_path: Path, name: str, start: str) -> None:
    """A long cell is cut, so that the row can be read again, also by `resume`."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(replace(record(1), name=name))
    report.image(record(2))
    verifications = Verifications("find")
    for _ in range(2):
        verifications.add(is_sent=True)
    assert report.close(verifications)
    first, second = (row["Member"] for row in rows(tmp_path / "r.csv"))
    assert (first[:8], first[-1], second) == (start, "…", "2.dcm")
    assert [image.sop_instance_uid for image in images_on(SERVER, report.path)] == [
        "1.2.1",
        "1.2.2",
    ]


def test_a_row_of_an_image_that_was_not_sent_remains(tmp_path: Path) -> None:
    """A resent image does not replace the row of a different image with its UID."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1, not_sent("different")))
    report.image(replace(record(1), name="2.dcm"))
    report.start_resending()
    report.image(replace(record(1, sent("again")), name="2.dcm"))
    assert report.close()
    found = [(row["Member"], row["Outcome"], row["Reason"]) for row in rows(tmp_path / "r.csv")]
    assert found == [("1.dcm", "not sent", "different"), ("2.dcm", "sent", "")]


def test_verification_fills_its_column_at_the_end(tmp_path: Path) -> None:
    """Each row has the state of its image, even if the row was replaced."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    verifications = Verifications("find")
    verdicts = [Verdict.VERIFIED, Verdict.NOT_SENT, Reason(Kind.NOT_COMMITTED), Verdict.ABSENT]
    for number, verdict in enumerate(verdicts):
        report.image(record(number))
        verifications.note(ENTRY, verifications.add(is_sent=True), verdict)
    report.start_resending()
    report.image(record(3))
    assert [row["Verified"] for row in rows(tmp_path / "r.csv")] == [""] * 4
    assert report.close(verifications)
    found = [(row["Member"], row["Verified"]) for row in rows(tmp_path / "r.csv")]
    assert found == [
        ("0.dcm", "yes"),
        ("1.dcm", ""),
        ("2.dcm", wording.NOT_COMMITTED),
        ("3.dcm", "no"),
    ]


def test_a_dry_run_does_not_claim_success(tmp_path: Path) -> None:
    """Planned images are not reported as sent."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1, Planned(Transfer(transfer_syntax_uid=EXPLICIT))))
    report.image(record(2, AlreadyStored()))
    report.image(record(3, not_sent("no")))
    report.close()
    outcomes = [row["Outcome"] for row in rows(tmp_path / "r.csv")]
    assert outcomes == ["would be sent", "already there", "not sent"]


def test_a_report_that_cannot_be_started_is_logged_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """The images are counted elsewhere, and no part of the report is left."""
    report = ImagesCSV(tmp_path / "missing" / "r.csv", SERVER)
    for number in range(100):
        report.image(record(number))
    assert not report.close()
    message = f"{wording.CANNOT_WRITE_IMAGES}: No such file or directory"
    assert caplog.messages == [message]


@pytest.mark.parametrize(
    ("result", "tries", "milliseconds"),
    [
        (sent(tries=1, seconds=1.5), "1", "1500.0"),
        (sent(tries=12, seconds=0.0004), "12", "0.4"),
        (not_sent("lost", tries=6), "6", ""),
        (not_sent("no association"), "", ""),
        (AlreadyStored(), "", ""),
    ],
)
def test_tries_and_time_may_be_empty(
    tmp_path: Path, result: StoreResult, tries: str, milliseconds: str
) -> None:
    """An image that was never sent has neither; an unreadable one has no UID and no size."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(ImageRecord(ENTRY, "1.dcm", result))
    report.close()
    (row,) = rows(tmp_path / "r.csv")
    assert (row["Tries"], row["Milliseconds"]) == (tries, milliseconds)
    assert [
        row[name] for name in ("SOP Class", "Transfer Syntax", "Sent As", "Bytes", "CRC-32")
    ] == [""] * 5


def test_the_file_is_closed(tmp_path: Path) -> None:
    """It is closed immediately, because the report is delivered right afterwards."""
    with nothing_left_open():
        report = ImagesCSV(tmp_path / "r.csv", SERVER)
        report.image(record(1))
        assert report.close()
        del report


def test_a_full_disk_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    """The run continues without the report, which is not attached."""
    report = ImagesCSV(Path("/dev/full"), SERVER)
    for number in range(100):
        report.image(record(number))
    assert not report.close()
    message = f"{wording.CANNOT_WRITE_IMAGES}: No space left on device"
    assert caplog.messages == [message]


def test_an_incomplete_report_is_removed(tmp_path: Path) -> None:
    """A write error ends only the report, and is logged once."""
    report = ImagesCSV(tmp_path / "r.csv", SERVER)
    report.image(record(1))
    report.image(record(2, sent(seconds="long")))
    report.image(record(3))
    assert not report.close()
    assert report.has_failed
    assert list(tmp_path.iterdir()) == []


TEXTS = st.text(st.characters()) | st.text("'=+-@\t\r\n")


@bounded
@given(path=TEXTS, member=TEXTS, reason=TEXTS, is_revised=st.booleans())
@example('lab/a,"b"\nc;é', "a\r\nb", '"', True)
@example("=1+1", "'=1+1", "\udcfc", True)
def test_any_text_is_read_as_written(path: str, member: str, reason: str, is_revised: bool) -> None:
    """Any name results in one row, even if another row was replaced."""
    with TemporaryDirectory() as folder:
        file = Path(folder) / "r.csv"
        report = ImagesCSV(file, SERVER)
        entry = FileEntry(Container("acquisition", "a"), path, path)
        report.image(ImageRecord(entry, member, not_sent(reason)))
        if is_revised:
            report.start_resending()
            report.image(record(1))
        report.close()
        with file.open(newline="") as lines:
            header, row = read_rows(lines)
    found = dict(zip(header, row, strict=True))
    shown = map(printable, (path, member, reason))
    assert (found["FW Path"], found["Member"], found["Reason"]) == tuple(shown)
    assert tuple(header) == COLUMNS
