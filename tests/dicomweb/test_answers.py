"""The answer to a store request decides the result of each image."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from fw_gear_dicom_send.delivery.results import AlreadyStored, NotSent, Resending, Sent
from fw_gear_dicom_send.delivery.tries import Judged
from fw_gear_dicom_send.dicom.privacy import Identity
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.answers import StoreAnswer, judge
from fw_gear_dicom_send.dicomweb.messages import Response
from fw_gear_dicom_send.reasons import Kind
from tests.support.instances import instance, made_instance
from tests.support.sample_files import encoded, made

IMAGE = made_instance()
UID = IMAGE.sop_instance_uid
CLASS = "1.2.840.10008.5.1.4.1.1.2"


def item(uid: str = UID, **elements: tuple[str, Any]) -> dict[str, Any]:
    """Return an item in JSON; `elements` have their VR and value by `_tag`."""
    found = {"00081150": {"vr": "UI", "Value": [CLASS]}}
    found |= {"00081155": {"vr": "UI", "Value": [uid]}} if uid else {}
    return found | {tag[1:]: {"vr": vr, "Value": [value]} for tag, (vr, value) in elements.items()}


def answer(*failed: Any, stored: tuple[Any, ...] = ()) -> bytes:
    return json.dumps(
        {
            "00081190": {"vr": "UR", "Value": ["http://host/dicom-web/studies/1.2"]},
            **({"00081198": {"vr": "SQ", "Value": list(failed)}} if failed else {}),
            "00081199": {"vr": "SQ", "Value": list(stored)},
        }
    ).encode()


ORTHANC_STORED = answer(
    stored=(item(_00081190=("UR", f"http://host/dicom-web/studies/1/series/2/instances/{UID}")),)
)
ORTHANC_IGNORED = b'{"00081198":{"vr":"SQ"},"00081199":{"vr":"SQ"}}'
GOOGLE_CONFLICT = answer(
    item(
        _00081197=("US", 272),
        _00090010=("LO", "GoogleHealthcare"),
        _00091097=("LO", "ALREADY_EXISTS"),
    )
)
GOOGLE_XML = (
    '<NativeDicomModel><DicomAttribute tag="00081198" vr="SQ"><Item number="1">'
    f'<DicomAttribute tag="00081155" vr="UI"><Value number="1">{UID}</Value></DicomAttribute>'
    '<DicomAttribute tag="00081197" vr="US"><Value number="1">272</Value></DicomAttribute>'
    '<DicomAttribute tag="00091097" vr="LO" privateCreator="Google">'
    '<Value number="1">ALREADY_EXISTS</Value></DicomAttribute></Item></DicomAttribute>'
    "</NativeDicomModel>"
).encode()
AZURE_TEXT = "DICOM100: (0010,0020) is missing"
AZURE_INVALID = answer(
    item(
        _00081197=("US", 43264),
        _00741048=("SQ", {"00000902": {"vr": "LO", "Value": [AZURE_TEXT]}}),
    )
)
NGINX = b"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body></html>"


def judged(
    status: int,
    body: bytes = b"",
    image: SOPInstance = IMAGE,
    *,
    headers: dict[str, str] | None = None,
    **history: bool,
) -> Judged | AlreadyStored:
    response = Response(status, headers or {}, body)
    given = {"is_first_try": True, **history}
    return judge(StoreAnswer.of(response), image, **given)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, ORTHANC_STORED, 0),
        (202, ORTHANC_STORED, 0),
        (400, ORTHANC_STORED, 0),  # Orthanc, if another image of the request is broken
        (409, ORTHANC_STORED, 0),
        (200, answer(stored=(item(_00081196=("US", 0xB000)),)), 0xB000),
        (202, answer(stored=(item(_00081196=("US", "45063")),)), 0xB007),
        (202, answer(stored=(item(_00081196=("US", 0)),)), 0),
    ],
)
def test_a_referenced_image_is_sent(status: int, body: bytes, code: int) -> None:
    """An image in the Referenced SOP Sequence is sent, with any status; a warning is a remark."""
    found = judged(status, body)
    assert isinstance(found, Judged)
    result = found.result
    assert isinstance(result, Sent)
    assert result.transfer.answer
    assert (result.transfer.answer.code, result.transfer.answer.http_status) == (code, status)
    assert result.transfer.answer.is_success == (not code)
    assert [reason.kind for reason in result.remarks] == ([Kind.WARNING] if code else [])


@pytest.mark.parametrize(
    ("status", "body", "kind", "code", "text", "is_temporary"),
    [
        (409, GOOGLE_CONFLICT, Kind.REFUSED, 0x0110, "ALREADY_EXISTS", False),
        (409, GOOGLE_XML, Kind.REFUSED, 0x0110, "ALREADY_EXISTS", False),
        (409, AZURE_INVALID, Kind.REFUSED, 0xA900, AZURE_TEXT, False),
        (409, answer(item(_00081197=("US", 45071))), Kind.OUT_OF_RESOURCES, 45071, "", True),
        (202, answer(item(_00081197=("US", 0xA700))), Kind.OUT_OF_RESOURCES, 0xA700, "", True),
        (202, answer(item(_00081197=("US", 0xC122))), Kind.REFUSED, 0xC122, "", False),
        (409, answer(item(_00081197=("US", 0xB007))), Kind.REFUSED, 0xB007, "", False),
        (409, answer(item(_00081197=("US", 0))), Kind.REFUSED, 0, "", False),
        (409, answer(item()), Kind.REFUSED, 0, "", True),
        (409, answer(item("", _00081197=("US", 0xC000), _00000902=("LO", "no UID"))),
         Kind.REFUSED, 0xC000, "no UID", True),
        (409, answer(item(_00081197=("US", 0xA900)), stored=(item(),)),
         Kind.REFUSED, 0xA900, "", False),
    ],
    ids=["Google", "Google in XML", "Azure", "Azure 45071", "no space", "syntax", "B007", "zero",
         "no reason", "Static-DICOMweb", "stored and failed"],
)  # fmt: skip
def test_a_failed_image_has_its_reason(  # noqa: PLR0917
    status: int, body: bytes, kind: Kind, code: int, text: str, is_temporary: bool
) -> None:
    """An image in the Failed SOP Sequence is not sent; its reason counts as a C-STORE status."""
    found = judged(status, body)
    assert isinstance(found, Judged)
    assert isinstance(found.result, NotSent)
    assert found.result.reason.kind is kind
    assert (found.resending is not Resending.NEVER) == is_temporary
    reply = found.result.transfer.answer
    assert reply
    assert (reply.code, reply.comment, reply.http_status) == (code, text, status)
    assert text in found.result.reason.text


@pytest.mark.parametrize(
    ("status", "body", "headers", "kind", "text", "is_temporary"),
    [
        (200, ORTHANC_IGNORED, {}, Kind.NOT_NAMED, "HTTP 200", True),
        (200, b"", {}, Kind.NOT_NAMED, "HTTP 200", True),
        (200, b"Thank you", {}, Kind.NOT_NAMED, "HTTP 200", True),
        (204, b"", {}, Kind.NOT_NAMED, "HTTP 204", True),
        (200, answer(stored=(item("1.2.3"),)), {}, Kind.NOT_NAMED, "HTTP 200", True),
        (200, answer(stored=(item(""),)), {}, Kind.NOT_NAMED, "HTTP 200", True),
        (200, answer(*[{}] * 200_000, stored=(item(),)), {}, Kind.NOT_NAMED, "HTTP 200", True),
        (400, ORTHANC_IGNORED, {}, Kind.NOT_NAMED, "HTTP 400", True),
        (409, b"", {"warning": '299 <DCM4CHEE>: "Missing Patient ID"'}, Kind.REFUSED,
         "Missing Patient ID", False),
        (400, b"", {}, Kind.REFUSED, "HTTP 400 Bad Request", False),
        (406, b"", {}, Kind.REFUSED, "HTTP 406", False),
        (413, NGINX, {}, Kind.TOO_LARGE_FOR_SERVER, "413 Request Entity Too Large", False),
        (415, b"", {}, Kind.REFUSED, "HTTP 415", False),
        (500, b"<title>Oops</title>", {}, Kind.REFUSED, "Oops", True),
        (501, b"", {}, Kind.REFUSED, "HTTP 501", True),
        (599, b"", {}, Kind.REFUSED, "HTTP 599", True),
        (302, b"", {}, Kind.REFUSED, "HTTP 302", True),
        (404, b"", {}, Kind.REFUSED, "HTTP 404", True),
        (408, b"", {}, Kind.OUT_OF_RESOURCES, "HTTP 408", True),
        (429, b"", {}, Kind.OUT_OF_RESOURCES, "HTTP 429", True),
        (502, b"", {}, Kind.OUT_OF_RESOURCES, "HTTP 502", True),
        (503, b"", {}, Kind.OUT_OF_RESOURCES, "HTTP 503", True),
        (504, b"", {}, Kind.OUT_OF_RESOURCES, "HTTP 504", True),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_an_answer_without_the_image_is_no_success(  # noqa: PLR0917
    status: int, body: bytes, headers: dict[str, str], kind: Kind, text: str, is_temporary: bool
) -> None:
    """An image that the answer does not name is not sent, whatever the status of HTTP."""
    found = judged(status, body, headers=headers)
    assert isinstance(found, Judged)
    assert isinstance(found.result, NotSent)
    assert (found.result.reason.kind, found.resending is not Resending.NEVER) == (
        kind,
        is_temporary,
    )
    assert text in found.result.reason.text
    assert found.result.reason.status == f"HTTP {status}"


@pytest.mark.parametrize("status", [200, 400, 500, 404])
def test_an_image_without_a_reason_gets_one_second_try(status: int) -> None:
    """The second answer of this kind is final."""
    found = judged(status, ORTHANC_IGNORED, is_first_try=False)
    assert isinstance(found, Judged)
    assert found.resending is Resending.NEVER


@pytest.mark.parametrize("code", [45070, 0x0111])
def test_an_existing_image_was_sent_if_an_answer_was_lost(code: int) -> None:
    """An image that exists after a request without an answer is our own."""
    found = judged(409, answer(item(_00081197=("US", code))), may_be_stored=True)
    assert isinstance(found, Judged)
    assert isinstance(found.result, Sent)


def test_an_existing_image_of_azure_is_already_stored() -> None:
    """45070 means an existing image, 0111 another one that may differ."""
    assert isinstance(judged(409, answer(item(_00081197=("US", 45070)))), AlreadyStored)
    other = judged(409, answer(item(_00081197=("US", 0x0111))))
    assert isinstance(other, Judged)
    assert isinstance(other.result, NotSent)


def test_an_item_without_uid_is_about_no_image_of_several() -> None:
    """In the answer for several images, a failed item without UID says nothing about one."""
    body = answer(item("", _00081197=("US", 0xC000)))
    found = judged(409, body, is_alone=False)
    assert isinstance(found, Judged)
    assert isinstance(found.result, NotSent)
    assert found.result.reason.kind is Kind.NOT_NAMED


def test_a_text_that_quotes_the_dataset_is_withheld() -> None:
    """Neither a reason nor a comment shows a text with a patient's name."""
    image = instance(encoded(made(1)), Identity(words=(b"MUSTERMANN^ERIKA",)))
    secret = answer(item(_00081197=("US", 0xA900), _00000902=("LO", "for Erika Mustermann")))
    pages = b"<title>Erika Mustermann</title>"
    for status, body in ((409, secret), (500, pages)):
        found = judged(status, body, image)
        assert isinstance(found, Judged)
        assert "ustermann" not in repr(found).lower()
        assert "withheld" in repr(found)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("120", 120),
        ("Tue, 01 Dec 2026 12:01:30 GMT", 90),
        ("Tue, 01 Dec 2026 11:00:00 GMT", 0),
        ("Tue, 01 Dec 2026 12:01:30 -0000", 90),
        ("9" * 5000, 999_999_999),
        ("-3", 0),
        ("soon", 0),
        ("", 0),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str, seconds: float) -> None:
    """A past date or another text means no wait."""
    now = datetime(2026, 12, 1, 12, tzinfo=UTC)
    assert Response(503, {"retry-after": value}).retry_after(now) == seconds
