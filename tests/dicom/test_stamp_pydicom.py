"""Pydicom reads a stamped dataset unchanged, plus our element."""

import zlib
from io import BytesIO

import pydicom
from hypothesis import assume, given
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as SequenceOfItems
from pydicom.uid import CTImageStorage

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, Wire, content_of
from tests.support.drawn_datasets import GROUP, bounded
from tests.support.stamping import TAG, WORK

PUBLIC = {
    "PatientName": st.text("ABCäöü^= ", max_size=20),
    "PatientID": st.text("ABC123", max_size=16),
    "Modality": st.sampled_from(["CT", "MR", ""]),
    "SliceThickness": st.integers(0, 99),
    "InstanceNumber": st.none() | st.integers(0, 999),
    "Rows": st.integers(0, 0xFFFF),
    "PixelData": st.binary(max_size=200).filter(lambda value: len(value) % 2 == 0),
    "ImagePositionPatient": st.just([1, 2.5, -3]),
    "TextValue": st.text("ABC", max_size=2000),
}
PRIVATE = {
    "LO": st.text("ABC", max_size=9),
    "UN": st.binary(max_size=30),
    "OB": st.binary(max_size=30),
    "US": st.integers(0, 0xFFFF),
    "FD": st.floats(allow_nan=False),
    "UT": st.text("ABC", max_size=99),
    "DS": st.just("1.5"),
    "AT": st.just(0x00100010),
}


@st.composite
def pydicom_datasets(draw: st.DrawFn, depth: int = 2) -> Dataset:
    """Draw a dataset of public and private elements and sequences."""
    dataset = Dataset()
    for keyword in draw(st.sets(st.sampled_from(sorted(PUBLIC)), max_size=4)):
        setattr(dataset, keyword, draw(PUBLIC[keyword]))
    dataset.BitsAllocated = 8
    for group in draw(st.sets(st.sampled_from([0x0009, GROUP, 0x0029, 0x7FE1]), max_size=3)):
        for creator in draw(st.sets(st.sampled_from(["OTHER", "Flywheel", "GEMS"]), max_size=2)):
            block = dataset.private_block(group, creator, create=True)
            for number in draw(st.sets(st.integers(0, 255), max_size=2)):
                vr = draw(st.sampled_from(sorted(PRIVATE)))
                block.add_new(number, vr, draw(PRIVATE[vr]))
    if depth:
        tags = [0x00081140, 0x00321064, 0x300A00B0]
        for tag in draw(st.sets(st.sampled_from(tags), max_size=2)):
            items = draw(st.lists(pydicom_datasets(depth - 1), max_size=2))
            for item in items:
                item.is_undefined_length_sequence_item = draw(st.booleans())
            dataset.add_new(tag, "SQ", SequenceOfItems(items))
            dataset[tag].is_undefined_length = draw(st.booleans())
    return dataset


def written(dataset: Dataset, wire: Wire) -> bytes:
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = "1.2.3"
    dataset.SpecificCharacterSet = "ISO_IR 192"
    dataset.preamble = bytes(128)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = wire.uid  # type: ignore[assignment]
    dataset.is_implicit_VR = wire.implicit
    dataset.is_little_endian = wire.order == "<"
    target = BytesIO()
    dcmwrite(target, dataset, write_like_original=False)
    return target.getvalue()


def meta_size(file: bytes) -> int:
    """Return the offset of the dataset in a file, by its group length (PS3.10 7.1)."""
    return 132 + 12 + int.from_bytes(file[140:144], "little")


def without(dataset: bytes, numbers: set[int], read: Dataset, start: int) -> bytes:
    """Return an encoded dataset without these elements of our group."""
    for tag in sorted(numbers, reverse=True):
        raw_element = read.get_item(tag)
        value = raw_element.value_tell - start  # type: ignore[attr-defined]
        dataset = dataset[: value - 8] + dataset[value + raw_element.length :]  # type: ignore[attr-defined]
    return dataset


@bounded
@given(st.data(), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]))
def test_pydicom_reads_the_same(data: st.DataObject, wire: Wire) -> None:
    """Pydicom reads its own data and our element, ascending, in any transfer syntax.

    The outcome is the same without the file meta group.
    """
    dataset = data.draw(pydicom_datasets())
    file = written(dataset, wire)
    start = meta_size(file)
    instance = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(instance, SOPInstance)
    assume(Reason(Kind.REPAIRED) not in instance.remarks)  # Another property covers these.
    assert instance.transfer_syntax_uid == wire.uid
    stamped = content_of(instance.dataset)
    plain, plain_stamped, head = file[start:], stamped, file[:start]
    if wire is DEFLATED:
        plain, plain_stamped = (zlib.decompress(x, -zlib.MAX_WBITS) for x in (plain, stamped))
        head = raw.part10(b"", EXPLICIT.uid)
    else:
        headless = stamp(BytesIO(plain), TAG, WORK)
        assert isinstance(headless, SOPInstance)
        assert content_of(headless.dataset) == stamped

    read = pydicom.dcmread(BytesIO(head + plain_stamped))
    new = set(read.keys()) - set(dataset.keys())
    assert len(new) in (1, 2)
    assert list(read.keys()) == sorted(read.keys())
    assert without(plain_stamped, new, read, len(head)) == plain
    block = read.private_block(GROUP, TAG.creator)
    assert read.get_item(max(new)).value.rstrip() == TAG.value.encode()
    assert max(new) in {block.get_tag(number) for number in range(256)}
    before = pydicom.dcmread(BytesIO(head + plain))
    for tag in new:
        del read[tag]
    assert read == before
