"""The bytes of a dataset decide its byte order if its file meta group is wrong."""

from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import JPEGBaseline8Bit, RLELossless

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import datasets as raw
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, Wire, content_of
from tests.support.instances import dataset_of
from tests.support.sample_files import shipped
from tests.support.stamping import TAG, ours, stamped

IMPLICIT_BIG = Wire("", True, ">")
each_tag = pytest.mark.parametrize("tag", [None, TAG], ids=["no tag", "tag"])
each_disagreement = pytest.mark.parametrize(
    ("declared", "actual"),
    [(EXPLICIT, BIG), (IMPLICIT, BIG), (BIG, EXPLICIT), (BIG, IMPLICIT)],
    ids=["be as le", "be as implicit", "le as be", "implicit as be"],
)


def refused(data: bytes, tag: PrivateTag | None, work: Path) -> Kind:
    outcome = stamp(BytesIO(data), tag, work)
    assert isinstance(outcome, Unreadable)
    return outcome.reason.kind


@each_disagreement
@pytest.mark.parametrize("first", [0x0004, 0x0008])
def test_wrong_byte_order(declared: Wire, actual: Wire, first: int, tmp_path: Path) -> None:
    """The image is sent in its actual transfer syntax, also if it begins with group 0004."""
    elements = [raw.text(0x00041500, "x", actual, "CS")] if first == 4 else []
    elements += raw.uids(actual)
    instance = stamped(raw.part10(raw.joined(elements), declared.uid), tmp_path)
    assert instance.transfer_syntax_uid == actual.uid
    assert content_of(instance.dataset) == raw.joined([*elements, *ours(0x10, actual)])


@each_tag
@pytest.mark.parametrize("declared", [EXPLICIT, IMPLICIT])
def test_big_endian_image(declared: Wire, tag: PrivateTag | None, tmp_path: Path) -> None:
    """A big-endian image that is called little endian is neither truncated nor without UIDs."""
    data = dataset_of(shipped("MR_small_bigendian.dcm"))
    outcome = stamp(BytesIO(raw.part10(data, declared.uid)), tag, tmp_path)
    assert isinstance(outcome, SOPInstance)
    assert outcome.transfer_syntax_uid == BIG.uid
    assert tag or content_of(outcome.dataset) == data


@each_tag
@pytest.mark.parametrize("declared", [EXPLICIT, IMPLICIT, BIG])
def test_implicit_big_endian(declared: Wire, tag: PrivateTag | None, tmp_path: Path) -> None:
    """No transfer syntax is implicit VR big endian, and the reason says so."""
    data = raw.part10(raw.joined(raw.uids(IMPLICIT_BIG)), declared.uid)
    assert refused(data, tag, tmp_path) is Kind.MALFORMED


@each_tag
@pytest.mark.parametrize("actual", [BIG, IMPLICIT_BIG])
@pytest.mark.parametrize("declared", [RLELossless, JPEGBaseline8Bit])
def test_big_endian_in_a_compressed_syntax(
    declared: str, actual: Wire, tag: PrivateTag | None, tmp_path: Path
) -> None:
    """No compressed transfer syntax is big endian, and the reason says so."""
    elements = [*raw.uids(actual), raw.element(0x00280010, "US", b"\0\1", actual)]
    data = raw.part10(raw.joined(elements), declared)
    assert refused(data, tag, tmp_path) is Kind.MALFORMED


@pytest.mark.parametrize("wire", [EXPLICIT, BIG])
def test_other_groups_say_nothing(wire: Wire, tmp_path: Path) -> None:
    """If a dataset begins with neither group, its declared byte order holds."""
    elements = [raw.text(0x00100020, "made", wire), *raw.uids(wire)]
    outcome = stamp(BytesIO(raw.part10(raw.joined(elements), wire.uid)), None, tmp_path)
    assert isinstance(outcome, SOPInstance)
    assert outcome.transfer_syntax_uid == wire.uid


def test_private_syntaxes_may_be_big_endian(tmp_path: Path) -> None:
    """The rules of a private transfer syntax are unknown, so the dataset is sent as it is."""
    instance = stamped(raw.part10(raw.joined(raw.uids(BIG)), "1.2.3.4"), tmp_path)
    assert instance.transfer_syntax_uid == "1.2.3.4"
    assert content_of(instance.dataset) == raw.joined([*raw.uids(BIG), *ours(0x10, BIG)])


def test_ge_headers_are_little_endian(tmp_path: Path) -> None:
    """GE's private transfer syntax, with big-endian pixels, has implicit VR little endian."""
    instance = stamped(raw.part10(raw.joined(raw.uids(IMPLICIT)), "1.2.840.113619.5.2"), tmp_path)
    assert instance.transfer_syntax_uid == "1.2.840.113619.5.2"
    assert content_of(instance.dataset) == raw.joined([*raw.uids(IMPLICIT), *ours(0x10, IMPLICIT)])


def test_deflated_data_has_no_byte_order(tmp_path: Path) -> None:
    """A deflated stream may start with the bytes of a big-endian group."""
    dataset = raw.joined([*raw.uids(EXPLICIT), raw.element(0x00280010, "OB", bytes(458), EXPLICIT)])
    assert len(dataset) % 0x100 == 8
    size = len(dataset).to_bytes(2, "little")
    stream = b"\0" + size + bytes(byte ^ 0xFF for byte in size) + dataset + b"\3\0"
    assert stream.startswith(b"\0\x08")
    stream += bytes(len(stream) % 2)
    instance = stamp(BytesIO(raw.part10(stream, DEFLATED.uid)), None, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert instance.sop_instance_uid == "1.2.3.4"
