"""The body of a store request."""

import email
import io

import pydicom
import pytest

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.dicomweb.request import BOUNDARY, CONTENT_TYPE, EMPTY_BODY, StoreBody
from tests.support.instances import made_instance, relabelled


def parts(body: StoreBody) -> list[bytes]:
    """Return the parts of a body, read by Python's parser of messages."""
    whole = f"Content-Type: {CONTENT_TYPE}\r\n\r\n".encode() + b"".join(body.blocks())
    found = email.message_from_bytes(whole)
    assert not found.defects
    for part in found.get_payload():
        assert part.items() == [("Content-Type", "application/dicom")]
    # The parser of messages changes line ends, so the bytes are cut out by the boundary.
    cut = b"".join(body.blocks()).split(b"--" + BOUNDARY.encode())
    assert cut[0] == b""
    assert cut[-1] == b"--\r\n"
    head = b"\r\nContent-Type: application/dicom\r\n\r\n"
    return [part.removeprefix(head).removesuffix(b"\r\n") for part in cut[1:-1]]


def test_the_boundary_has_32_letters_and_digits() -> None:
    """The type is quoted and the boundary is not, as DICOMcloud and Orthanc need it."""
    assert len(BOUNDARY) == 32
    assert BOUNDARY.isalnum()
    assert CONTENT_TYPE.endswith(f'; type="application/dicom"; boundary={BOUNDARY}')


@pytest.mark.parametrize("number", [1, 3])
def test_the_length_is_exact(number: int) -> None:
    """The length is that of the whole body, with one part for each image."""
    body = StoreBody([made_instance(one) for one in range(number)])
    assert body.size == sum(map(len, body.blocks()))
    assert len(parts(body)) == number


def test_a_part_is_a_dicom_file_with_the_dataset() -> None:
    """The file has a preamble, the needed file meta elements, and the bytes of the dataset."""
    image = made_instance()
    (part,) = parts(StoreBody([image]))
    dataset = b"".join(image.dataset.blocks())
    assert part[:132] == bytes(128) + b"DICM"
    assert part.endswith(dataset)
    read = pydicom.dcmread(io.BytesIO(part))
    meta = read.file_meta
    assert meta.MediaStorageSOPInstanceUID == read.SOPInstanceUID == image.sop_instance_uid
    assert meta.MediaStorageSOPClassUID == read.SOPClassUID
    assert meta.TransferSyntaxUID == image.transfer_syntax_uid
    start = len(part) - len(dataset)
    assert meta.FileMetaInformationGroupLength == start - 144


def test_the_file_meta_information_never_changes() -> None:
    """Google compares whole files, so a file has neither a version nor a time of the sender."""
    (part,) = parts(StoreBody([made_instance()]))
    meta = pydicom.dcmread(io.BytesIO(part)).file_meta
    assert [element.tag for element in meta] == [
        0x00020000, 0x00020001, 0x00020002, 0x00020003, 0x00020010, 0x00020012,
    ]  # fmt: skip
    assert meta.ImplementationClassUID == "2.25.208114732446612383087181351115883378914"
    assert __version__.encode() not in part[:400]


@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.4.202", "1.2.34"])
def test_the_transfer_syntax_of_the_dataset_is_named(syntax: str) -> None:
    """UIDs of odd and even length are padded to an even length."""
    image = relabelled(1, sop_class="1.2.840.10008.5.1.4.1.1.2", transfer_syntax=syntax)
    (part,) = parts(StoreBody([image]))
    meta = pydicom.dcmread(io.BytesIO(part), stop_before_pixels=True).file_meta
    assert meta.TransferSyntaxUID == syntax
    assert len(part) % 2 == 0


def test_a_request_without_image_has_only_the_final_boundary() -> None:
    """The check of the server stores nothing."""
    assert b"".join(EMPTY_BODY.blocks()) == f"--{BOUNDARY}--\r\n".encode()
