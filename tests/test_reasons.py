"""Reasons: values for decisions, and texts for people."""

import re

import pytest

from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.reasons import Kind, Program, Reason


@pytest.mark.parametrize("kind", Kind)
def test_each_kind_has_a_code_a_text_and_an_advice(kind: Kind) -> None:
    """Codes are words with dashes, texts start in lower case, advice consists of sentences."""
    assert re.fullmatch(r"[a-z]+(-[a-z]+)*", kind.code)
    assert kind.template
    assert kind.template[0].islower() or kind.template.startswith("{}")
    assert re.fullmatch(r"[A-Z].+\.|called_ae .+\.", kind.advice, re.DOTALL)


@pytest.mark.parametrize("kind", Kind)
def test_advice_uses_the_terms_of_the_program(kind: Kind) -> None:
    """The command does not mention the gear or a job; only Flywheel's reasons mention Flywheel."""
    advice = kind.advice_for(Program.COMMAND)
    assert not re.search(r"\bgear\b|\bupload\b|\b[a-z]+_[a-z]+\b", advice, re.IGNORECASE)
    assert ("Flywheel" in advice) <= (kind in FLYWHEEL)
    assert "dicom-send" not in kind.advice_for(Program.GEAR)
    assert "{" not in advice + kind.advice


def test_options_have_the_notation_of_each_program() -> None:
    """In the command, options start with dashes and contain dashes."""
    lost = Kind.GIVEN_UP
    assert lost.advice_for(Program.GEAR).endswith(
        "Increase send_retry_time if it is often unavailable."
    )
    assert "run dicom-send again. Increase --send-retry-time" in lost.advice_for(Program.COMMAND)


def test_codes_are_stable() -> None:
    """Programs rely on codes: changing or removing one breaks these programs."""
    assert {kind.name: kind.code for kind in Kind} == CODES


def test_each_kind_has_a_code_of_its_own() -> None:
    """A program that reads a code finds one advice."""
    assert len({kind.code for kind in Kind}) == len(Kind)


def test_the_detail_is_inserted_into_the_text() -> None:
    """Braces in a detail are unchanged."""
    reason = Reason(Kind.UNREADABLE_FOLDER, "Permission {denied} {}")
    assert reason.text == "the folder cannot be read: Permission {denied} {}"
    assert Reason(Kind.ENCRYPTED_MEMBER).text == "a member of the archive is encrypted"


@pytest.mark.parametrize(
    ("reason", "text"),
    [
        (Reason(Kind.CORRUPT_MEMBER), "a member of the archive is corrupt"),
        (Reason(Kind.ENCRYPTED_MEMBER), "a member of the archive is encrypted"),
        (Reason(Kind.MEMBER_TOO_LARGE), "a member of the archive is larger than allowed"),
        (Reason(Kind.NO_SPACE), "no space left on disk"),
        (Reason(Kind.CORRUPT_ARCHIVE), "the archive is corrupt or truncated"),
        (Reason(Kind.UNKNOWN_TYPE), "neither a DICOM file nor a zip or tar archive"),
        (
            Reason(Kind.ARCHIVE_TOO_LARGE, "10"),
            "the archive unpacks to more than 10 times its size",
        ),
        (
            Reason(Kind.DATASET_UNREADABLE, "Input/output error"),
            "the dataset could not be read or unpacked: Input/output error",
        ),
        (Reason(Kind.NOT_REACHED), "the run stopped before it was processed"),
        (Reason(Kind.INTERRUPTED), "the run stopped while it was being processed"),
        (Reason(Kind.NO_IMAGE), "it contains no DICOM image to send"),
        (Reason(Kind.OTHER), "for other reasons"),
        (Reason(Kind.NOT_STORED), "the server acknowledged it, but does not have it"),
    ],
)
def test_texts(reason: Reason, text: str) -> None:
    """Each kind has this text."""
    assert reason.text == text


@pytest.mark.parametrize(
    "detail",
    ["out of resources", "no space", "certificate", "given up", "the archive", "API key", "{}"],
)
def test_free_text_does_not_change_the_code(detail: str) -> None:
    """The message of a server, a site or a system only changes the text."""
    reason = Reason(Kind.REFUSED, f"0xC000 Cannot Understand, error comment {detail}")
    assert reason.kind.code == "refused"
    assert detail in reason.text


def test_an_encrypted_member_is_not_called_damaged() -> None:
    """Uploading the same archive again does not help."""
    advice = Kind.ENCRYPTED_MEMBER.advice
    assert "unencrypted" in advice
    assert "damaged" not in advice


def test_a_lost_download_is_not_blamed_on_the_dicom_server() -> None:
    """Its advice mentions Flywheel; the advice for a lost association mentions the server."""
    assert "Flywheel" in Kind.DOWNLOAD_LOST.advice
    assert "firewall" not in Kind.DOWNLOAD_LOST.advice
    assert "firewall" in Kind.CONNECTION_LOST.advice


def test_a_member_that_is_too_large_is_not_called_damaged() -> None:
    """It is undamaged but exceeds a limit."""
    assert "16 GiB" in Kind.MEMBER_TOO_LARGE.advice


def test_the_last_reason_of_a_remark_counts() -> None:
    """A conversion comes first in the text; the kind is that of the failure."""
    conversion = Reason(Kind.CONVERTED, "MR only as RLE")
    refusal = Reason(Kind.REFUSED, "0xC000 Cannot Understand")
    remark = Remark((conversion, refusal), 2, failure=True)
    assert remark.text == "the server accepts MR only as RLE; status 0xC000 Cannot Understand"
    assert remark.kind is Kind.REFUSED


FLYWHEEL = (
    Kind.DOWNLOAD_REFUSED,
    Kind.INVALID_API_KEY,
    Kind.DOWNLOAD_FAILED,
    Kind.DOWNLOAD_LOST,
)
"""Reasons that occur only in a gear run."""

CODES = {
    "REPLACED": "file-replaced",
    "CORRUPT_ARCHIVE": "archive-corrupt",
    "UNKNOWN_TYPE": "unknown-file-type",
    "EMPTY_FILE": "file-empty",
    "UNSUPPORTED_FORMAT": "format-unsupported",
    "UNSUPPORTED_METHOD": "method-unsupported",
    "ARCHIVE_TOO_LARGE": "archive-too-large",
    "CORRUPT_MEMBER": "member-corrupt",
    "ENCRYPTED_MEMBER": "member-encrypted",
    "MEMBER_TOO_LARGE": "member-too-large",
    "NO_SPACE": "disk-full",
    "UNREADABLE_FOLDER": "folder-unreadable",
    "UNOPENED_FILE": "file-unopened",
    "UNREADABLE_FILE": "file-unreadable",
    "NOT_UNPACKED": "not-unpacked",
    "NO_IMAGE": "no-image",
    "OTHER_FORMAT": "other-format",
    "MALFORMED": "dataset-malformed",
    "REPAIRED": "repaired",
    "DUPLICATE_UID": "uid-duplicate",
    "TRUNCATED": "file-truncated",
    "DAMAGED": "dataset-damaged",
    "NO_PIXEL_DATA": "pixel-data-missing",
    "PIXEL_DATA_ENCODING": "pixel-data-encoding",
    "IMAGE_TOO_LARGE": "image-too-large",
    "DATASET_UNREADABLE": "dataset-unreadable",
    "MISSING_UID": "uid-missing",
    "INVALID_UID": "uid-invalid",
    "NO_PRIVATE_BLOCK": "no-private-block",
    "NOT_READ": "image-unreadable",
    "DOWNLOAD_REFUSED": "download-refused",
    "INVALID_API_KEY": "api-key-invalid",
    "DOWNLOAD_FAILED": "download-failed",
    "DOWNLOAD_LOST": "download-lost",
    "DOWNLOAD_DIFFERS": "download-differs",
    "DOWNLOAD_NOT_WRITTEN": "download-not-written",
    "NO_CONNECTION": "server-unreachable",
    "NO_ASSOCIATION": "no-association",
    "TLS_CERTIFICATE": "tls-certificate",
    "TLS_FAILED": "tls-failed",
    "UNKNOWN_CALLING_AE": "calling-ae-unknown",
    "UNKNOWN_CALLED_AE": "called-ae-unknown",
    "REJECTED": "association-rejected",
    "CONNECTION_LOST": "connection-lost",
    "NO_ANSWER": "no-answer",
    "WRONG_ANSWER": "wrong-answer",
    "GIVEN_UP": "server-given-up",
    "NOT_AUTHORIZED": "not-authorized",
    "NOT_ACCEPTED": "not-accepted",
    "OUT_OF_RESOURCES": "out-of-resources",
    "REFUSED_ALONE": "refused-alone",
    "LOST_ALONE": "lost-alone",
    "REFUSED": "refused",
    "TOO_LARGE_FOR_SERVER": "too-large-for-server",
    "NOT_NAMED": "not-named",
    "WARNING": "stored-with-warning",
    "ALREADY_STORED": "already-stored",
    "DUPLICATE": "duplicate",
    "ANSWER_LOST": "answer-lost",
    "SENT_EARLIER": "sent-earlier",
    "OVERWRITTEN": "overwritten",
    "CONVERSION_OFF": "conversion-off",
    "CONVERTED": "converted",
    "CONVERTED_AS_ASKED": "converted-as-asked",
    "NOT_COMPRESSED": "not-compressed",
    "FRAMES_PADDED": "frames-padded",
    "LOSSY_COMPRESSION": "lossy-compression",
    "GROUP_LENGTH_CORRECTED": "group-length-corrected",
    "GROUP_LENGTHS_REMOVED": "group-lengths-removed",
    "TRAILING_BYTES": "trailing-bytes",
    "NOT_CONVERTIBLE": "not-convertible",
    "CONVERSION_TOO_SLOW": "conversion-too-slow",
    "CONVERSION_STOPPED": "conversion-stopped",
    "NOT_CONVERTED": "not-converted",
    "NOT_STORED": "not-stored",
    "NOT_FOUND_AGAIN": "not-found-again",
    "NOT_OFFERED": "verification-not-offered",
    "QUERY_FAILED": "query-failed",
    "NO_COMMITMENT_REPORT": "commitment-not-reported",
    "NOT_COMMITTED": "commitment-not-named",
    "NOT_QUERYABLE": "not-queryable",
    "NOT_LOOKED_UP": "not-looked-up",
    "CONTENT_DIFFERS": "content-differs",
    "NOT_VERIFIED": "not-verified",
    "NOT_REACHED": "not-reached",
    "INTERRUPTED": "interrupted",
    "UNANSWERED": "unanswered",
    "OTHER": "other",
}
