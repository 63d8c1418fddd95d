"""Conversion of images to another transfer syntax, and reading of the output."""

import io
import struct
import subprocess
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_dataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from fw_gear_dicom_send.dicom import transcode
from fw_gear_dicom_send.dicom.transcode import FrameDecoders
from fw_gear_dicom_send.dicom.transcode.layout import Layout
from fw_gear_dicom_send.dicom.transcode.pixels import native_frames
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Unreadable
from tests.support.instances import instance
from tests.support.programs import path_of
from tests.support.sample_files import made

BOTH = [ExplicitVRLittleEndian, ImplicitVRLittleEndian]
RLE_FRAME = struct.pack("<16I", 2, 64, 64 + 258, *[0] * 13) + 2 * (
    b"\x7f" + bytes(range(128)) + b"\x7f" + bytes(range(128, 256))
)


def convert(instance: SOPInstance, target: str, work: Path) -> SOPInstance | Unreadable:
    """Convert an image with new decoders."""
    with FrameDecoders(work) as decoders:
        return transcode.convert(instance, target, decoders, work)


def bare(data: bytes, transfer_syntax_uid: str) -> SOPInstance:
    """Return an instance whose dataset consists of these bytes."""
    dataset = EncodedDataset(io.BytesIO(), (data,))
    return SOPInstance("1.2", "1.2.3", transfer_syntax_uid, dataset)


def encoded_by(instance: SOPInstance, target: str, work: Path) -> bytes:
    """Convert an image and return the encoded dataset."""
    converted = convert(instance, target, work)
    assert isinstance(converted, SOPInstance), converted
    assert converted.transfer_syntax_uid == target
    data = b"".join(converted.dataset.blocks(1000))
    converted.close()
    return data


def converted(content: bytes, target: str, work: Path) -> Dataset:
    """Convert a DICOM file and read the dataset."""
    data = encoded_by(instance(content), target, work)
    return read_dataset(DicomBytesIO(data), target == ImplicitVRLittleEndian, True)


def refused(instance: SOPInstance, work: Path, target: str = ExplicitVRLittleEndian) -> str:
    """Return the reason why an instance cannot be converted."""
    result = convert(instance, target, work)
    assert isinstance(result, Unreadable)
    return result.reason.text.split(": ", 1)[1]


def by_dcmtk(content: bytes, work: Path, *command: str) -> bytes:
    """Return the output of a DCMTK tool for a file."""
    (work / "in.dcm").write_bytes(content)
    program, *options = command
    command = (path_of(program), *options, str(work / "in.dcm"), str(work / "out.dcm"))
    subprocess.run(command, check=True, capture_output=True)
    return (work / "out.dcm").read_bytes()


def decode(frames: Iterable[Iterable[bytes]], syntax: str, layout: Layout, work: Path) -> bytes:
    """Return the decoded pixels of frames, which are given as fragments."""
    fragments = (iter([fragment]) for frame in frames for fragment in frame)
    with FrameDecoders(work) as decoders:
        found = native_frames(fragments, syntax, layout, decoders, work)
        with closing(found):
            return b"".join(chunk for frame in found for chunk in frame.chunks)


def differences(one: Dataset, other: Dataset, but: Iterable[BaseTag] = ()) -> list[str]:
    """Return the names of elements that differ, except group lengths and the given ones."""
    tags = {tag for tag in (*one.keys(), *other.keys()) if tag.element} - set(but)
    found = []
    for tag in sorted(tags):
        if tag not in one or tag not in other:
            found.append(f"{tag} is in one only")
        elif one[tag].VR == other[tag].VR == "SQ" and len(one[tag].value) == len(other[tag].value):
            for items in zip(one[tag].value, other[tag].value, strict=True):
                found += differences(*items)
        elif one[tag].value != other[tag].value and not one[tag].is_empty & other[tag].is_empty:
            found.append(f"{tag} differs")
    return found


def compressed(syntax: str, frames: Iterable[bytes], **elements: object) -> Dataset:
    """Return a 16 x 16 image of the given frames, one fragment each."""
    dataset = made(1, **elements)
    dataset.file_meta.TransferSyntaxUID = syntax  # type: ignore[assignment]
    dataset.PixelData = encapsulate(list(frames), has_bot=False)
    dataset["PixelData"].VR = "OB"
    dataset["PixelData"].is_undefined_length = True
    return dataset
