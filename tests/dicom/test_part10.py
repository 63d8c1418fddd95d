"""Detection of DICOM files, and the position of the dataset in a file."""

import gzip
import random
import subprocess
import sys
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    MediaStorageDirectoryStorage,
)

from fw_gear_dicom_send.dicom.headers import MalformedError
from fw_gear_dicom_send.dicom.part10 import locate, skips
from tests.support import datasets as raw
from tests.support.datasets import BIG, EXPLICIT, IMPLICIT, Wire, each_wire
from tests.support.sample_files import TEST_FILES, shipped

HEAD_SIZE = 4096
PREFIXES = {
    "whole": lambda uid: bytes(128) + b"DICM" + raw.file_meta(uid),
    "garbage preamble": lambda uid: b"\x08\0\x05\0" * 32 + b"DICM" + raw.file_meta(uid),
    "no preamble": lambda uid: b"DICM" + raw.file_meta(uid),
    "meta only": raw.file_meta,
}
NO_META = pytest.mark.parametrize(
    "head", [b"", bytes(128) + b"DICM", b"DICM"], ids=["nothing", "preamble", "DICM"]
)
READ_BY_FW_FILE = """
import sys
from fw_file.dicom import DICOM

for number in range(int(sys.argv[2])):
    path = f"{sys.argv[1]}/{number}"
    try:
        dcm = DICOM(path, force=True, stop_when=lambda tag, *_: tag >= 0x00090000)
        print(sum(1 for tag in dcm.dataset.raw.keys() if tag >> 16 == 0x0008))
    except Exception:
        print(0)
"""
pytestmark = [pytest.mark.slow, pytest.mark.filterwarnings("ignore::UserWarning:pydicom")]


def dataset(wire: Wire) -> bytes:
    return raw.joined([*raw.uids(wire), raw.text(0x00100010, "Doe^John", wire, "PN")])


def shipped_dicom() -> list[Path]:
    charsets = TEST_FILES.parent / "charset_files"
    found = [
        *TEST_FILES.glob("*.dcm"),
        *charsets.glob("*.dcm"),
        *(TEST_FILES / "dicomdirtests").glob("*/*/*"),
    ]
    return sorted(path for path in found if path.is_file() and path.name != "no_meta.dcm")


@each_wire
@pytest.mark.parametrize("prefix", PREFIXES)
def test_locate(wire: Wire, prefix: str) -> None:
    """The dataset starts after the file meta group, whatever precedes that group."""
    head = PREFIXES[prefix](wire.uid)
    location = locate(BytesIO(head + dataset(wire)))
    assert (location.start, location.transfer_syntax_uid) == (len(head), wire.uid)
    assert location.encoding == (wire.implicit, wire.order == "<")


@each_wire
@NO_META
def test_locate_without_meta(wire: Wire, head: bytes) -> None:
    """Without a file meta group, the bytes determine the transfer syntax."""
    location = locate(BytesIO(head + dataset(wire)))
    assert (location.start, location.transfer_syntax_uid) == (len(head), wire.uid)


@each_wire
def test_missing_transfer_syntax(wire: Wire) -> None:
    """If the file meta group has no transfer syntax, the bytes determine it."""
    head = raw.part10(b"", "")
    location = locate(BytesIO(head + dataset(wire)))
    assert (location.start, location.transfer_syntax_uid) == (len(head), wire.uid)


@pytest.mark.parametrize(
    ("declared", "wire"),
    [(ImplicitVRLittleEndian, EXPLICIT), (ExplicitVRLittleEndian, IMPLICIT)],
    ids=["explicit", "implicit"],
)
def test_wrong_vr_encoding(declared: str, wire: Wire) -> None:
    """If the file meta group declares another VR encoding, the bytes take precedence."""
    location = locate(BytesIO(raw.part10(dataset(wire), declared)))
    assert location.transfer_syntax_uid == wire.uid


@pytest.mark.parametrize(
    ("declared", "wire"),
    [
        (ExplicitVRLittleEndian, BIG),
        (ImplicitVRLittleEndian, BIG),
        (ExplicitVRBigEndian, EXPLICIT),
        (ExplicitVRBigEndian, IMPLICIT),
    ],
    ids=["big-le", "big-implicit", "le-big", "implicit-big"],
)
def test_wrong_byte_order(declared: str, wire: Wire) -> None:
    """If the file meta group declares another byte order, the bytes take precedence."""
    location = locate(BytesIO(raw.part10(dataset(wire), declared)))
    assert location.transfer_syntax_uid == wire.uid
    assert location.encoding.little is (wire.order == "<")


@each_wire
def test_other_first_group(wire: Wire) -> None:
    """The declared byte order counts if the first group does not show the order."""
    patient = raw.text(0x00100010, "Doe", wire, "PN").data
    assert locate(BytesIO(raw.part10(patient, wire.uid))).transfer_syntax_uid == wire.uid


def test_big_endian_in_a_little_endian_syntax() -> None:
    """Big-endian elements are rejected where the pixels need a little-endian syntax."""
    with pytest.raises(MalformedError, match="big endian"):
        locate(BytesIO(raw.part10(dataset(BIG), JPEGBaseline8Bit)))


@pytest.mark.parametrize("uid", [JPEGBaseline8Bit, "1.2.840.113619.5.2", "9.9"])
def test_other_transfer_syntax_is_kept(uid: str) -> None:
    """A compressed or unknown transfer syntax is kept, whatever the VR encoding."""
    for wire in (EXPLICIT, IMPLICIT):
        location = locate(BytesIO(raw.part10(dataset(wire), uid)))
        assert (location.transfer_syntax_uid, location.encoding.implicit) == (uid, wire.implicit)


def test_deflated_bytes_are_not_sniffed() -> None:
    """The bytes of a deflated stream are not taken for elements."""
    for start in (b"\x09\0", b"\0\x08"):
        stream = start + b"\x01\0\xff\xff\xff\xff" + bytes(8)
        location = locate(BytesIO(raw.part10(stream, DeflatedExplicitVRLittleEndian)))
        assert location.transfer_syntax_uid == DeflatedExplicitVRLittleEndian
        assert location.encoding == (False, True)


def test_implicit_big_endian() -> None:
    """Implicit VR big endian is rejected, because no transfer syntax uses it."""
    wire = Wire(ExplicitVRBigEndian, True, ">")
    with pytest.raises(MalformedError, match="big endian"):
        locate(BytesIO(raw.part10(dataset(wire), ExplicitVRBigEndian)))


@pytest.mark.parametrize("path", shipped_dicom(), ids=lambda path: path.name)
def test_shipped_files_are_dicom(path: Path) -> None:
    """The first bytes of each DICOM file shipped with pydicom are recognized."""
    with path.open("rb") as file:
        assert not skips(file.read(HEAD_SIZE))


@pytest.mark.parametrize("path", shipped_dicom(), ids=lambda path: path.name)
def test_shipped_files_start(path: Path) -> None:
    """The dataset starts at the same offset as in pydicom."""
    with path.open("rb") as file:
        read = pydicom.filereader.read_partial(file, lambda *_: True, force=True)
        start = file.tell()
        if read.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
            # Pydicom has then read to the end.
            start = 144 + read.file_meta.FileMetaInformationGroupLength
        assert locate(file).start == start


@pytest.mark.parametrize("path", sorted((TEST_FILES / "dicomdirtests").rglob("DICOMDIR*")), ids=str)
def test_dicomdir_is_not_dicom(path: Path) -> None:
    """A DICOMDIR contains no image."""
    assert skips(path.read_bytes()[:HEAD_SIZE])


@each_wire
@pytest.mark.parametrize("number", [0x0000, 0x1130], ids=hex)
@pytest.mark.parametrize("defined", [True, False], ids=["defined", "undefined"])
@NO_META
def test_dicomdir_without_meta(wire: Wire, number: int, defined: bool, head: bytes) -> None:
    """A DICOMDIR without file meta group is recognized by its Directory Record Sequence."""
    first = raw.element(0x00040000 | number, "UL", bytes(4), wire)
    items = [raw.item(bytes(9000), wire, defined=True)]
    records = raw.sequence(0x00041220, items, wire, defined=defined, inner=wire)
    file = head + raw.joined([first, records])
    assert skips(file[:HEAD_SIZE])


@each_wire
@pytest.mark.parametrize("number", [0x0000, 0x1130, 0x1500], ids=hex)
@pytest.mark.parametrize("prefix", [*PREFIXES, "nothing", "DICM"])
def test_image_that_begins_with_group_0004(wire: Wire, number: int, prefix: str) -> None:
    """An image may begin with elements of group 0004, which some writers leave in it."""
    head = {"nothing": b"", "DICM": b"DICM"}.get(prefix)
    head = PREFIXES[prefix](wire.uid) if head is None else head
    first = raw.element(0x00040000 | number, "UL", bytes(4), wire)
    file = head + first.data + dataset(wire)
    assert not skips(file[:HEAD_SIZE])
    assert locate(BytesIO(file)).transfer_syntax_uid == wire.uid


def test_dicomdir_in_private_syntax() -> None:
    """The media storage SOP class in the file meta group also identifies a DICOMDIR."""
    meta = raw.file_meta(ExplicitVRLittleEndian, MediaStorageDirectoryStorage)
    assert skips(bytes(128) + b"DICM" + meta + dataset(EXPLICIT))


@each_wire
@pytest.mark.parametrize("size", [None, 100, 60])
def test_headerless_dataset_is_dicom(wire: Wire, size: int | None) -> None:
    """A bare dataset is DICOM if it starts with two elements of group 0008."""
    assert not skips(dataset(wire)[:size])


def test_headerless_files_are_detected_like_in_fw_file(tmp_path: Path) -> None:
    """Without preamble and file meta group, detection agrees with fw-file."""
    files = [*shipped_dicom(), shipped("no_meta.dcm"), shipped("README.txt"), shipped("zipMR.gz")]
    for number, path in enumerate(files):
        with path.open("rb") as file:
            file.seek(locate(file).start)
            (tmp_path / str(number)).write_bytes(file.read(HEAD_SIZE))
    # It changes how pydicom works in the whole process.
    found = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", READ_BY_FW_FILE, str(tmp_path), str(len(files))],
        check=True,
        capture_output=True,
        text=True,
    ).stdout.split()
    detected = [not skips((tmp_path / str(number)).read_bytes()) for number in range(len(files))]
    names = [path.name for path in files]
    assert dict(zip(names, detected, strict=True)) == {
        name: int(elements) > 1 for name, elements in zip(names, found, strict=True)
    }


def test_one_element_is_not_dicom() -> None:
    """A single element of group 0008 may be a coincidence."""
    assert skips(raw.uids(EXPLICIT)[0].data)


def test_meta_without_preamble_is_dicom() -> None:
    """A file that starts with its file meta group is a DICOM file."""
    assert not skips(raw.file_meta(ExplicitVRLittleEndian) + dataset(EXPLICIT))


def test_malformed_dicom_is_dicom() -> None:
    """A malformed file with the prefix DICM is DICOM, so that the report lists it."""
    broken = raw.element(0x00020102, "SQ", b"no items", EXPLICIT, length=raw.UNDEFINED)
    assert not skips(bytes(128) + b"DICM" + broken.data)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"\x08",
        b"\x08\0",
        bytes(4096),
        b"Some text about a patient.\n" * 100,
        b"\x08\0" + b"text" * 100,
        b'{"00080016": {"vr": "UI"}}' * 20,
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(500),
        gzip.compress(b"x" * 1000, mtime=0),
        b"PK\x03\x04" + bytes(500),
        b"\x08\0\x05\0" * 1000,
        b"\x02\0\0\0" * 1000,
        b"\0\x08" + bytes(1000),
        shipped("test1.json").read_bytes(),
        shipped("README.txt").read_bytes(),
        shipped("zipMR.gz").read_bytes(),
    ],
    ids=lambda head: repr(head[:6]),
)
def test_other_files_are_not_dicom(head: bytes) -> None:
    """Text, JSON, pictures, archives, zeros and empty files are not DICOM."""
    assert skips(head[:HEAD_SIZE])


def test_random_bytes_are_not_dicom() -> None:
    """Random bytes are not DICOM, even if they start like a dataset."""
    source = random.Random(7)
    for start in (b"", b"\x08\0", b"\x02\0", b"\0\x08"):
        for size in (10, 300, HEAD_SIZE):
            assert skips(start + source.randbytes(size))


@pytest.mark.parametrize("padding", [b"", bytes(2)])
def test_dicm_in_a_value_is_not_a_prefix(padding: bytes) -> None:
    """A dataset without preamble may contain DICM at byte 128, such as in a station name."""
    before = raw.joined(raw.uids(EXPLICIT))
    filler = raw.element(0x00081010, "SH", b"x" * (128 - len(before) - 8) + b"DICMA1", EXPLICIT)
    file = before + filler.data + raw.text(0x00100010, "Doe^John", EXPLICIT, "PN").data + padding
    assert file[128:132] == b"DICM"
    assert locate(BytesIO(file)).start == 0


def test_a_preamble_that_looks_like_an_element() -> None:
    """A prefix counts unless it is inside the value of an element."""
    preamble = (b"\x08\0\x05\0CS\x0a\0ISO_IR 100" + bytes(128))[:128]
    file = preamble + b"DICM" + dataset(EXPLICIT)
    assert locate(BytesIO(file)).start == 132
