"""Implicit and explicit VR encode the same values."""

import io
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.datasets import content_of
from tests.support.sample_files import encoded, made, shipped
from tests.support.transcoding import bare, by_dcmtk, convert, converted, differences, encoded_by


@pytest.mark.parametrize(
    "name", ["CT_small.dcm", "reportsi.dcm", "test-SR.dcm", "liver_1frame.dcm"]
)
def test_explicit_to_implicit_keeps_every_value(name: str, tmp_path: Path) -> None:
    """Nested and private elements of implicit VR are read as DCMTK reads them."""
    content = shipped(name).read_bytes()

    dataset = converted(content, ImplicitVRLittleEndian, tmp_path)

    truth = pydicom.dcmread(io.BytesIO(by_dcmtk(content, tmp_path, "dcmconv", "+ti")))
    assert differences(truth, dataset) == []


@pytest.mark.parametrize(
    "name", ["rtplan.dcm", "rtdose.dcm", "MR_small_implicit.dcm", "nested_priv_SQ.dcm"]
)
def test_implicit_to_explicit_keeps_every_value(name: str, tmp_path: Path) -> None:
    """Implicit VR files have the same values in explicit VR."""
    dataset = converted(shipped(name).read_bytes(), ExplicitVRLittleEndian, tmp_path)

    assert differences(pydicom.dcmread(shipped(name)), dataset) == []


def test_implicit_to_explicit_names_the_dictionary_vr(tmp_path: Path) -> None:
    """VRs come from the dictionary; ambiguous ones are resolved as in implicit VR."""
    dataset = converted(shipped("rtdose.dcm").read_bytes(), ExplicitVRLittleEndian, tmp_path)

    assert dataset["PatientName"].VR == "PN"
    assert dataset["DoseGridScaling"].VR == "DS"
    assert dataset["PixelData"].VR == "OW"


def test_private_elements_become_un(tmp_path: Path) -> None:
    """In explicit VR a private element becomes UN, its creator LO."""
    data = bytes.fromhex("2100100004000000") + b"Made" + bytes.fromhex("2100001004000000") + b"sent"

    out = encoded_by(bare(data, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    assert (
        out
        == (bytes.fromhex("210010004c4f0400") + b"Made" + bytes.fromhex("21000010554e000004000000"))
        + b"sent"
    )


def test_unknown_sequence_stays_implicit(tmp_path: Path) -> None:
    """A private sequence of undefined length becomes UN with implicit VR content."""
    inner = bytes.fromhex("feff00e0ffffffff 1000100002000000") + b"ab"
    inner += bytes.fromhex("feff0de000000000 feffdde000000000")
    source = bytes.fromhex("21000010ffffffff") + inner

    out = encoded_by(bare(source, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    explicit = bytes.fromhex("21000010554e0000ffffffff") + inner
    assert out == explicit
    back = bare(explicit, ExplicitVRLittleEndian)
    assert encoded_by(back, ImplicitVRLittleEndian, tmp_path) == source


def test_sign_is_known_before_pixel_representation(tmp_path: Path) -> None:
    """US or SS follows Pixel Representation, also for preceding elements and in items."""
    dataset = made(1, PixelRepresentation=1)
    dataset.ZeroVelocityPixelValue = -5
    dataset["ZeroVelocityPixelValue"].VR = "SS"
    item = Dataset()
    item.ZeroVelocityPixelValue = -6
    item["ZeroVelocityPixelValue"].VR = "SS"
    dataset.ReferencedImageSequence = Sequence([item])
    dataset.is_implicit_VR = True
    dataset.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian

    out = converted(encoded(dataset), ExplicitVRLittleEndian, tmp_path)

    assert out["ZeroVelocityPixelValue"].VR == "SS"
    assert out.ZeroVelocityPixelValue == -5
    assert out.ReferencedImageSequence[0].ZeroVelocityPixelValue == -6


def test_value_too_long_for_its_vr_becomes_un(tmp_path: Path) -> None:
    """A value that is too long for a 16-bit length becomes UN."""
    data = bytes.fromhex("2800100000000100") + bytes(0x10000)

    out = encoded_by(bare(data, ImplicitVRLittleEndian), ExplicitVRLittleEndian, tmp_path)

    assert out == bytes.fromhex("28001000554e000000000100") + bytes(0x10000)


def test_unknown_vr_has_a_long_length(tmp_path: Path) -> None:
    """An unknown VR has a 32-bit length."""
    data = bytes.fromhex("080005005a5a000002000000") + b"ab"

    out = encoded_by(bare(data, ExplicitVRLittleEndian), ImplicitVRLittleEndian, tmp_path)

    assert out == bytes.fromhex("0800050002000000") + b"ab"


def test_group_lengths_are_removed(tmp_path: Path) -> None:
    """The other encoding changes group lengths, so they are removed, with a remark."""
    data = bytes.fromhex("08000000 554c0400 0a000000  08006000 43530200") + b"CT"

    for source, remarks in ((data, (Reason(Kind.GROUP_LENGTHS_REMOVED),)), (data[12:], ())):
        image = convert(bare(source, ExplicitVRLittleEndian), ImplicitVRLittleEndian, tmp_path)
        assert isinstance(image, SOPInstance)
        assert content_of(image.dataset) == bytes.fromhex("08006000 02000000") + b"CT"
        assert image.remarks == remarks
