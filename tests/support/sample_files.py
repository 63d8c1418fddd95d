"""DICOM files shipped with pydicom, archives of them, and small generated files."""

import io
import os
import tarfile
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"
IS_PYDICOM_2 = pydicom.__version__.startswith("2.")
PREFIX_OF_MADE_UIDS = "1.2.826.0.1.3680043.8.498."


@dataclass(frozen=True)
class ArchiveMember:
    """Member of an archive to be written."""

    name: str
    content: bytes


def shipped(name: str) -> Path:
    """Return a file of pydicom's wheel, e.g. `dicomdirtests/77654033/CT2/17106`."""
    path = TEST_FILES / name
    if not path.is_file():
        raise FileNotFoundError(path)
    return path


def member(name: str, as_name: str | None = None) -> ArchiveMember:
    """Return a shipped file as a member of an archive, under its own or another name."""
    path = shipped(name)
    return ArchiveMember(as_name or path.name, path.read_bytes())


def zip_of(path: Path, members: Iterable[ArchiveMember]) -> Path:
    """Write a zip of the members, in order."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for item in members:
            archive.writestr(item.name, item.content)
    return path


def tar_of(path: Path, members: Iterable[ArchiveMember], compression: str = "") -> Path:
    """Write a tar of the members, in order; `compression` is `gz`, `bz2`, `xz` or empty."""
    with tarfile.open(path, f"w:{compression}") as archive:  # type: ignore[call-overload]
        for item in members:
            entry = tarfile.TarInfo(item.name)
            entry.size = len(item.content)
            archive.addfile(entry, io.BytesIO(item.content))
    return path


def sparse(path: Path, size: int, start: bytes = b"") -> Path:
    """Write a file that begins with `start` and continues with zeros, which take no disk space."""
    path.write_bytes(start)
    os.truncate(path, size)
    return path


def with_new_uid(path: Path) -> bytes:
    """Return a file's image as a new SOP instance; its file meta follows PS3.10 7.1."""
    dataset = pydicom.dcmread(path)
    dataset.SOPInstanceUID = generate_uid(PREFIX_OF_MADE_UIDS)
    dataset.file_meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    return encoded(dataset)


def made(number: int, *, pixels: int = 16, **elements: object) -> Dataset:
    """Return a small CT image, the `number`-th of a series; `elements` are keyed by keyword."""
    dataset = Dataset()
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    if IS_PYDICOM_2:
        dataset.is_little_endian = True
        dataset.is_implicit_VR = False
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = f"{PREFIX_OF_MADE_UIDS}1.{number}"
    dataset.StudyInstanceUID = f"{PREFIX_OF_MADE_UIDS}2"
    dataset.SeriesInstanceUID = f"{PREFIX_OF_MADE_UIDS}3"
    dataset.PatientName = "Made^For Test"
    dataset.PatientID = "made-1"
    dataset.Modality = "CT"
    dataset.InstanceNumber = number
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows = pixels
    dataset.Columns = pixels
    dataset.BitsAllocated = 16
    dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 0
    dataset.PixelData = number.to_bytes(2, "little") * (pixels * pixels)
    for keyword, value in elements.items():
        setattr(dataset, keyword, value)
    return dataset


def of_own_study(number: int, *, pixels: int = 16) -> Dataset:
    """Return a small image of its own patient and study, which waits for no other image."""
    study = f"{PREFIX_OF_MADE_UIDS}2.{number}"
    return made(number, pixels=pixels, StudyInstanceUID=study, PatientID=f"made-{number}")


def uid_of(number: int) -> str:
    """Return the SOP Instance UID of the generated image with this number."""
    return str(made(number).SOPInstanceUID)


def encoded(dataset: Dataset) -> bytes:
    """Return a dataset as a DICOM file in its own transfer syntax."""
    meta = dataset.file_meta
    meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    meta.MediaStorageSOPInstanceUID = dataset.SOPInstanceUID
    target = io.BytesIO()
    whole = {"write_like_original": False} if IS_PYDICOM_2 else {"enforce_file_format": True}
    dcmwrite(target, dataset, **whole)
    return target.getvalue()
