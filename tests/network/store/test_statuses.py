"""The status of a response decides whether an image counts as sent."""

import pytest
from pydicom.dataset import Dataset

from fw_gear_dicom_send.dicom.privacy import Identity
from fw_gear_dicom_send.network.statuses import describe
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.fault_scp import FaultSCP
from tests.support.instances import instance, made_instance
from tests.support.pacs import PythonSCP
from tests.support.results import Outcome, outcome, outcomes
from tests.support.sample_files import encoded, made
from tests.support.scripted import answering
from tests.support.sending import SCUFactory, send_all


@pytest.mark.parametrize(
    ("status", "is_sent", "kind", "message"),
    [
        (0x0000, True, None, ""),
        (0xB000, True, Kind.WARNING, "status 0xB000 Coercion of Data Elements"),
        (0xB006, True, Kind.WARNING, "status 0xB006 Element Discarded"),
        (0xB007, True, Kind.WARNING, "status 0xB007 Data Set Does Not Match SOP Class"),
        (0xB123, True, Kind.WARNING, f"status 0xB123 {wording.UNKNOWN_MEANING}"),
        (0x0107, True, Kind.WARNING, "status 0x0107 Attribute List Error"),
        (0x0116, True, Kind.WARNING, "status 0x0116 Attribute Value Out of Range"),
        (0x0001, True, Kind.WARNING, f"status 0x0001 {wording.UNKNOWN_MEANING}"),
        (0xA700, False, Kind.OUT_OF_RESOURCES, "status 0xA700 Refused: Out of Resources"),
        (0xA900, False, Kind.REFUSED, "status 0xA900 Data Set Does Not Match SOP Class"),
        (0xC000, False, Kind.REFUSED, "status 0xC000 Cannot Understand"),
        (0x0111, False, Kind.REFUSED, "status 0x0111 Duplication SOP Instance"),
        (0x0117, False, Kind.REFUSED, "status 0x0117 Invalid Object Instance"),
        (0x0122, False, Kind.REFUSED, "status 0x0122 Refused: SOP Class Not Supported"),
        (0x0124, False, Kind.REFUSED, "status 0x0124 Refused: Not Authorised"),
        (0x0213, False, Kind.OUT_OF_RESOURCES, "status 0x0213 Resource Limitation"),
        (0xFE00, False, Kind.REFUSED, f"status 0xFE00 {wording.UNKNOWN_MEANING}"),
        (0x1234, False, Kind.REFUSED, f"status 0x1234 {wording.UNKNOWN_MEANING}"),
    ],
)
def test_the_status_shows_whether_an_image_was_stored(
    scu: SCUFactory, status: int, is_sent: bool, kind: Kind | None, message: str
) -> None:
    """Success and warnings count as sent, all others do not; each image is sent once."""
    with FaultSCP(answering(status)) as server:
        results = send_all(scu(server), [made_instance()])
        assert len(server.images) == 1
        assert server.connections == 1
    assert outcomes(results) == [Outcome(is_sent, kind, message)]
    assert [result.transfer.answer.code for result in results] == [status]


def status_with(code: int, comment: str, *tags: int) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = comment
    if tags:
        status.OffendingElement = list(tags)
    return status


def test_the_remark_has_the_servers_details(scu: SCUFactory) -> None:
    """The remark has the offending elements and the error comment on one line."""
    with PythonSCP(status=status_with(0xA900, "No  such study", 0x00100020, 0x0020000D)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert outcome(result) == Outcome(
        False,
        Kind.REFUSED,
        "status 0xA900 Data Set Does Not Match SOP Class, "
        "offending elements (0010,0020) (0020,000d), error comment No such study",
    )
    assert result.transfer.answer.comment == "No such study"


def test_the_remark_has_a_single_offending_element(scu: SCUFactory) -> None:
    """A single offending element has the same format as several."""
    with PythonSCP(status=status_with(0xB007, "invalid", 0x00080016)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert outcome(result)[:2] == (True, Kind.WARNING)
    assert "offending elements (0008,0016), error comment invalid" in outcome(result).text


def test_an_error_comment_is_one_line_of_text(scu: SCUFactory) -> None:
    """A server may put any characters into it."""
    status = status_with(0xC000, "a\r\nb \x1b\x85\u202ec\u2028d")
    status.SpecificCharacterSet = "ISO_IR 192"
    with PythonSCP(status=status) as server:
        (result,) = send_all(scu(server), [made_instance()])
    message = outcome(result).text
    assert r"error comment a b \x1b" in message
    assert (message + result.transfer.answer.comment).isprintable()


@pytest.mark.parametrize(
    ("comment", "shown"),
    [
        ("unknown patient MÜLLER^Eva", "unknown patient [...]"),
        ("eva is not here", "[...] is not here"),
        ("accession acc-0815", "accession [...]"),
        ("ID [4711-x] differs from ID [4712-x]", "ID [...] differs from ID [...]"),
        ("id [4712]" + " is unknown" * 9, ("id [...]" + " is unknown" * 9)[:63]),
        ("4711-X", "withheld because it may quote the dataset"),
    ],
)
@pytest.mark.parametrize("code", [0xC000, 0xB000])
def test_an_error_comment_is_masked(scu: SCUFactory, comment: str, shown: str, code: int) -> None:
    """Quoted values and parts of the patient's name or id, in any case, are not shown."""
    identity = Identity(("Müller^Eva".encode(), b"4711-X", b"ACC 0815"))
    status = status_with(code, comment)
    status.SpecificCharacterSet = "ISO_IR 192"
    with PythonSCP(status=status) as server:
        (result,) = send_all(scu(server), [instance(encoded(made(1)), identity)])
    assert outcome(result).text.endswith(f", error comment {shown}")
    assert result.transfer.answer.comment == shown


def test_success_has_a_name() -> None:
    """No table of the standard has one, and the report shows each image's status."""
    assert describe(0x0000) == "0x0000 Success"
