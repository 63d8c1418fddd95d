"""Unchanged parts of a converted instance, and rejected instances."""

import io
from pathlib import Path

import pydicom
from pydicom.uid import MPEG2MPML, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.instances import instance
from tests.support.sample_files import shipped
from tests.support.transcoding import bare, convert, converted, differences


def test_compressed_syntax_without_pixels_is_only_renamed(tmp_path: Path) -> None:
    """A dataset without pixel data in a compressed syntax keeps all elements."""
    content = shipped("UN_sequence.dcm").read_bytes()

    dataset = converted(content, ExplicitVRLittleEndian, tmp_path)

    assert differences(pydicom.dcmread(io.BytesIO(content)), dataset) == []


def test_other_syntaxes_are_refused(tmp_path: Path) -> None:
    """Video has no decoder, and the reason names both syntaxes."""
    result = convert(bare(b"", MPEG2MPML), ExplicitVRLittleEndian, tmp_path)

    assert isinstance(result, Unreadable)
    assert result.reason.kind is Kind.NOT_CONVERTIBLE
    assert result.reason.text == (
        f"{wording.CANNOT_CONVERT} MPEG2 Main Profile / Main Level to Explicit VR Little "
        "Endian: no decoder is available"
    )


def test_instance_keeps_its_identity_and_its_source_open(tmp_path: Path) -> None:
    """UIDs and identifying values are kept, and the caller closes the old dataset."""
    source = instance(shipped("CT_small.dcm"), frozenset({"made"}))

    result = convert(source, ImplicitVRLittleEndian, tmp_path)

    assert isinstance(result, SOPInstance)
    assert result.sop_class_uid == source.sop_class_uid
    assert result.sop_instance_uid == source.sop_instance_uid
    assert result.read_identity() == source.read_identity()
    assert result.dataset.size == sum(map(len, result.dataset.blocks(4096)))
    assert not source.dataset.source.closed
