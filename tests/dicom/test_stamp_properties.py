"""What stamping holds for any dataset: nothing is lost, and nothing makes it raise."""

import tempfile
import zlib
from collections.abc import Iterator, Sequence
from io import BytesIO
from pathlib import Path
from struct import unpack

import pydicom
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filewriter import dcmwrite
from pydicom.sequence import Sequence as SequenceOfItems
from pydicom.uid import CTImageStorage

from fw_gear_dicom_send.dicom.part10 import is_dicom
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import EncodedDataset, PrivateTag, SOPInstance, Span, Unreadable
from tests.support import datasets as raw
from tests.support.datasets import (
    BIG,
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    RawElement,
    Wire,
    content_of,
    insertions,
)
from tests.support.sample_files import shipped

pytestmark = pytest.mark.filterwarnings("ignore::UserWarning:pydicom")
WORK = Path(tempfile.gettempdir())
GROUP = 0x0021
TAG = PrivateTag(GROUP, "Flywheel", "DICOM send")
LENGTH = GROUP << 16
bounded = settings(
    deadline=None,
    derandomize=True,
    max_examples=100,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
WIRES = st.sampled_from([IMPLICIT, EXPLICIT, BIG])
CREATORS = st.sampled_from(["Flywheel", "OTHER", "DICOM send"])
VALUES = st.sampled_from(["DICOM send", "x"])


# Datasets byte by byte


@st.composite
def private_groups(draw: st.DrawFn, wire: Wire) -> list[RawElement]:
    """Draw the elements of the group: blocks of ours and of others, orphans, a group length."""
    creators = draw(st.dictionaries(st.integers(0x10, 0x13) | st.just(0xFF), CREATORS))
    numbers = draw(
        st.dictionaries(
            st.builds(
                lambda block, number: block << 8 | number,
                st.integers(0x10, 0x14),
                st.integers(0, 2) | st.just(0xFF),
            ),
            VALUES | st.none(),
        )
    )
    texts = sorted({**numbers, **creators}.items())
    group = [
        draw(raw.raw_elements(LENGTH | number, wire))
        if text is None
        else raw.text(LENGTH | number, text, wire)
        for number, text in texts
    ]
    if draw(st.booleans()):
        group.insert(0, raw.group_length(GROUP, len(raw.joined(group)), wire))
    return group


@st.composite
def raw_datasets(draw: st.DrawFn, wire: Wire) -> list[RawElement]:
    """Draw a dataset around the group."""
    before = st.integers(0x00080020, 0x00080FFF) | st.integers(0x00090000, 0x0020FFFF)
    behind = st.integers(0x00220000, 0xFFFCFFFF)
    return [
        *raw.uids(wire),
        *draw(raw.datasets(wire, before)),
        *draw(private_groups(wire)),
        *draw(raw.datasets(wire, behind, 1)),
    ]


def text_of(element: RawElement, wire: Wire) -> str:
    value = element.data[8:]
    assert wire.implicit or element.data[4:6] == b"LO"
    return value.decode().rstrip(" ")


def check_choice(source: Sequence[RawElement], found: Sequence[RawElement], wire: Wire) -> None:
    """Check which elements were added to a dataset."""
    numbers = {e.tag & 0xFFFF: e.data for e in source if e.tag >> 16 == GROUP}
    creator = raw.text(LENGTH, TAG.creator, wire).data[4:]
    value = raw.text(LENGTH, TAG.value, wire).data[4:]
    own = [n for n, data in numbers.items() if 0x10 <= n <= 0xFF and data[4:] == creator]
    blocks = {n >> 8 if n > 0xFF else n for n in numbers}
    is_tagged = any(data[4:] == value and n >> 8 in own for n, data in numbers.items())
    event(f"{len(own)} own blocks, tagged {is_tagged}")
    match [e.tag & 0xFFFF for e in found if e.tag != LENGTH]:
        case []:
            assert is_tagged
        case [element]:
            assert not is_tagged
            assert element == min(n for n in range(own[0] << 8, 0x10000) if n not in numbers)
        case [block, element]:
            assert not own
            assert block == min(set(range(0x10, 0x100)) - blocks)
            assert element == block << 8
    for element in found:
        if element.tag == LENGTH:
            everything = [e for e in [*source, *found] if e.tag >> 16 == GROUP and e.tag != LENGTH]
            length = unpack(wire.order + "L", element.data[8:])
            assert length == (len(raw.joined(everything)),)
        else:
            expected = TAG.creator if element.tag & 0xFFFF < 0x100 else TAG.value
            assert text_of(element, wire) == expected
    assert not found or (0 in numbers) == (found[0].tag == LENGTH)


@bounded
@given(st.data())
def test_only_the_two_elements_are_added(data: st.DataObject) -> None:
    """Without the added elements, and but for the group length, each byte is as it was.

    Whatever unknown VRs, odd values, empty items and delimiters there are.
    """
    wire = data.draw(WIRES)
    source = data.draw(raw_datasets(wire))
    rest = data.draw(st.sampled_from([b"", bytes(5), bytes(64)]))
    file = raw.part10(raw.joined(source) + rest, wire.uid)
    instance = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(instance, SOPInstance)
    tail = [*source, RawElement(0xFFFFFFFF, rest)] if rest else source
    found = insertions(tail, instance, wire)
    check_choice(source, found, wire)
    tags = sorted([e.tag for e in source] + [e.tag for e in found if e.tag != LENGTH])
    assert positions(instance, tags, source, found)


def positions(
    instance: SOPInstance,
    tags: Sequence[int],
    source: Sequence[RawElement],
    found: Sequence[RawElement],
) -> bool:
    """Tell whether the elements come in ascending order of their tags."""
    elements = {e.tag: e.data for e in source} | {e.tag: e.data for e in found}
    return content_of(instance.dataset).startswith(b"".join(elements[tag] for tag in tags))


@settings(bounded, max_examples=50)
@given(st.data())
def test_stamping_twice_changes_nothing(data: st.DataObject) -> None:
    """A stamped dataset is left alone when it is stamped again."""
    wire = data.draw(WIRES)
    file = raw.part10(raw.joined(data.draw(raw_datasets(wire))), wire.uid)
    once = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(once, SOPInstance)
    stamped = content_of(once.dataset)
    twice = stamp(BytesIO(raw.part10(stamped, wire.uid)), TAG, WORK)
    assert isinstance(twice, SOPInstance)
    assert content_of(twice.dataset) == stamped


# Datasets of pydicom

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
    dataset.file_meta.TransferSyntaxUID = wire.uid
    dataset.is_implicit_VR = wire.implicit
    dataset.is_little_endian = wire.order == "<"
    target = BytesIO()
    dcmwrite(target, dataset)
    return target.getvalue()


def meta_size(file: bytes) -> int:
    """Return how long a file is up to its dataset, as pydicom sees it."""
    stream = BytesIO(file)
    pydicom.filereader.read_preamble(stream, force=True)
    pydicom.filereader._read_file_meta_info(stream)
    return stream.tell()


def without(dataset: bytes, numbers: set[int], read: Dataset, start: int) -> bytes:
    """Return an encoded dataset without these elements of our group."""
    for tag in sorted(numbers, reverse=True):
        raw_element = read.get_item(tag)
        value = raw_element.value_tell - start
        dataset = dataset[: value - 8] + dataset[value + raw_element.length :]
    return dataset


@bounded
@given(st.data(), st.sampled_from([IMPLICIT, EXPLICIT, BIG, DEFLATED]))
def test_pydicom_reads_the_same(data: st.DataObject, wire: Wire) -> None:
    """Pydicom reads what it wrote and our element, ascending, in any transfer syntax.

    Without the file meta group, the outcome is the same.
    """
    dataset = data.draw(pydicom_datasets())
    file = written(dataset, wire)
    start = meta_size(file)
    instance = stamp(BytesIO(file), TAG, WORK)
    assert isinstance(instance, SOPInstance)
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


# Broken files

SMALL = [
    "MR_small.dcm",
    "MR_small_bigendian.dcm",
    "MR_small_implicit.dcm",
    "ExplVR_LitEndNoMeta.dcm",
    "UN_sequence.dcm",
    "badVR.dcm",
    "image_dfl.dcm",
    "nested_priv_SQ.dcm",
    "no_meta.dcm",
    "reportsi.dcm",
    "rtplan.dcm",
    "rtstruct.dcm",
    "test-SR.dcm",
    "SC_rgb_small_odd_jpeg.dcm",
]


def check_outcome(content: BytesIO, group: int = GROUP) -> SOPInstance | Unreadable:
    """Stamp, and check that the outcome is a value which can be used."""
    outcome = stamp(content, PrivateTag(group, TAG.creator, TAG.value), WORK)
    if isinstance(outcome, Unreadable):
        assert content.closed
    else:
        assert outcome.dataset.size == len(content_of(outcome.dataset))
    return outcome


@settings(bounded, max_examples=300)
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.none() | st.floats(0, 1),
    st.sampled_from([GROUP, 0x0009, 0x7FE1, 0xFFFD]),
)
def test_fuzz(name: str, changes: list[tuple[float, int]], cut: float | None, group: int) -> None:
    """Whatever bytes are changed or cut, stamping never raises, and comes to an end."""
    data = bytearray(shipped(name).read_bytes())
    head = min(len(data), 3000)
    for where, value in changes:
        data[int(where * head)] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    is_dicom(bytes(data[:4096]))
    outcome = check_outcome(BytesIO(bytes(data)), group)
    event(type(outcome).__name__)


@bounded
@given(st.data(), st.binary(min_size=1, max_size=4), st.integers(0, 1000))
def test_fuzz_made(data: st.DataObject, change: bytes, where: int) -> None:
    """Whatever bytes of a dataset full of sequences are changed, stamping never raises."""
    wire = data.draw(WIRES)
    dataset = bytearray(raw.joined(data.draw(raw_datasets(wire))))
    where %= len(dataset)
    dataset[where : where + len(change)] = change
    check_outcome(BytesIO(raw.part10(bytes(dataset), wire.uid)))


def cuts() -> Iterator[tuple[str, range]]:
    yield "MR_small.dcm", range(2400)
    yield "rtplan.dcm", range(2800)
    yield "reportsi.dcm", range(3000)
    yield "MR_small_bigendian.dcm", range(2400)


@pytest.mark.parametrize(("name", "lengths"), cuts())
def test_cut_anywhere(name: str, lengths: range) -> None:
    """A file that is cut anywhere is refused, or sent as it is with the element in its place."""
    file = shipped(name).read_bytes()
    whole = check_outcome(BytesIO(file))
    assert isinstance(whole, SOPInstance)
    data = content_of(whole.dataset)
    [added] = [piece for piece in whole.dataset.pieces if isinstance(piece, bytes) and piece][:1]
    place = data.index(added)
    added = data[place : data.index(TAG.value.encode(), place) + len(TAG.value)]
    start = len(file) - (len(data) - len(added))
    for length in lengths:
        outcome = check_outcome(BytesIO(file[:length]))
        if isinstance(outcome, Unreadable):
            assert length < start + place
            continue
        cut = content_of(outcome.dataset)
        assert cut.replace(added, b"", 1) == file[start:length]
        assert length < start + place or cut.index(added) == place


# The bytes of a dataset


@bounded
@given(
    st.binary(max_size=200),
    st.lists(st.binary(max_size=20) | st.tuples(st.integers(0, 200), st.integers(0, 200))),
    st.integers(1, 64),
)
def test_chunks(source: bytes, parts: list[bytes | tuple[int, int]], size: int) -> None:
    """Any pieces come in chunks of exactly the size asked for, but the last, time and again."""
    pieces = []
    expected = b""
    for part in parts:
        if isinstance(part, bytes):
            pieces.append(part)
            expected += part
        else:
            first, last = sorted(min(at, len(source)) for at in part)
            pieces.append(Span(first, last))
            expected += source[first:last]
    dataset = EncodedDataset(BytesIO(source), tuple(pieces))
    chunks = [expected[at : at + size] for at in range(0, len(expected), size)]
    assert list(dataset.chunks(size)) == chunks
    assert list(dataset.chunks(size)) == chunks
    assert dataset.size == len(expected)
