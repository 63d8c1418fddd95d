"""Images for the Storage SCU, made from DICOM files."""

import io
import struct
from pathlib import Path
from typing import BinaryIO

import pydicom

from fw_gear_dicom_send.dicom.privacy import Identity
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from tests.support.sample_files import encoded, made

META_START = 132
GROUP_LENGTH_SIZE = 12
BIG = 4_000_000
NOBODY = Identity()


def instance(file: bytes | Path, identity: Identity = NOBODY) -> SOPInstance:
    """Return the image in a DICOM file."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    header = pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True)
    return SOPInstance(
        str(header.get("SOPClassUID", "")),
        str(header.get("SOPInstanceUID", "")),
        str(header.file_meta.TransferSyntaxUID),
        EncodedDataset(io.BytesIO(content), (Span(dataset_start(content), len(content)),)),
        lambda: identity,
        str(header.get("StudyInstanceUID", "")),
        str(header.get("SeriesInstanceUID", "")),
    )


def dataset_start(content: bytes) -> int:
    """Return the offset of the dataset in a DICOM file, by its group length (PS3.10 7.1)."""
    (length,) = struct.unpack_from("<L", content, META_START + GROUP_LENGTH_SIZE - 4)
    return META_START + GROUP_LENGTH_SIZE + int(length)


def dataset_of(file: bytes | Path) -> bytes:
    """Return the encoded dataset in a DICOM file."""
    content = file if isinstance(file, bytes) else file.read_bytes()
    return content[dataset_start(content) :]


def sop_instance_uid_of(file: Path) -> str:
    """Return the SOP Instance UID in a DICOM file."""
    return str(pydicom.dcmread(file, force=True, stop_before_pixels=True).SOPInstanceUID)


def made_instance(number: int = 1, **elements: object) -> SOPInstance:
    """Return a small CT image, the `number`-th of a series; `elements` are keyed by keyword."""
    return instance(encoded(made(number, **elements)))


def relabelled(number: int, *, sop_class: str, transfer_syntax: str, size: int = 64) -> SOPInstance:
    """Return bytes that claim to be a dataset of any SOP class and transfer syntax."""
    source = io.BytesIO(number.to_bytes(2, "big") * (size // 2))
    dataset = EncodedDataset(source, (Span(0, size // 2 * 2),))
    return SOPInstance(sop_class, f"1.2.3.4.{number}", transfer_syntax, dataset)


def of_source(source: BinaryIO, size: int) -> SOPInstance:
    """Return an explicit VR CT image whose dataset is read from `source`."""
    return SOPInstance(
        "1.2.840.10008.5.1.4.1.1.2",
        "1.2.3.4",
        "1.2.840.10008.1.2.1",
        EncodedDataset(source, (Span(0, size),)),
    )


def big_instance(size: int = BIG) -> SOPInstance:
    """Return an explicit VR CT image whose dataset consists of zeros."""
    return of_source(io.BytesIO(bytes(size)), size)
