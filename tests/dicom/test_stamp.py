"""Splicing the private element into a dataset, and leaving all else alone."""

import gc
import os
import random
import warnings
import zlib
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from struct import pack

import pydicom
import pytest
from pydicom.uid import CTImageStorage, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from fw_gear_dicom_send.dicom.spool import spool
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import EncodedDataset, PrivateTag, SOPInstance, Span, Unreadable
from tests.support import datasets as raw
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, RawElement, Wire, content_of
from tests.support.sample_files import encoded, made, shipped

TAG = PrivateTag(0x0021, "Flywheel", "DICOM send")
WIRES = pytest.mark.parametrize("wire", [IMPLICIT, EXPLICIT, BIG], ids=["implicit", "le", "be"])
GROUPS = pytest.mark.parametrize(
    "group", [0x0009, 0x000F, 0x0011, 0x0021, 0x0029, 0x7FE1, 0xFFFD], ids=hex
)
LARGE = 3 << 20


def stamped(data: bytes, work: Path, tag: PrivateTag = TAG) -> SOPInstance:
    instance = stamp(BytesIO(data), tag, work)
    assert isinstance(instance, SOPInstance), instance
    return instance


def refused(data: bytes, work: Path, tag: PrivateTag = TAG) -> str:
    content = BytesIO(data)
    outcome = stamp(content, tag, work)
    assert isinstance(outcome, Unreadable)
    assert content.closed
    return outcome.reason


def added(
    elements: Sequence[RawElement], work: Path, tag: PrivateTag = TAG, wire: Wire = EXPLICIT
) -> list[RawElement]:
    """Return what stamping adds to a dataset, which is checked to stay as it was."""
    file = raw.part10(raw.joined(elements), wire.uid)
    return raw.insertions(elements, stamped(file, work, tag), wire)


def ours(block: int, wire: Wire = EXPLICIT, tag: PrivateTag = TAG) -> list[RawElement]:
    """Return the creator of a block, and our element in it."""
    return [
        raw.text(tag.group << 16 | block, tag.creator, wire),
        raw.text(tag.group << 16 | block << 8, tag.value, wire),
    ]


def inflated(stream: bytes) -> bytes:
    return zlib.decompress(stream, -zlib.MAX_WBITS)


def deflated(dataset: bytes) -> bytes:
    codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    stream = codec.compress(dataset) + codec.flush()
    return stream + bytes(len(stream) % 2)


# What is added, and where


@WIRES
@GROUPS
def test_adds_creator_and_element(wire: Wire, group: int, tmp_path: Path) -> None:
    """The creator and the element are added in every legal group, in ascending tag order."""
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    before = [
        *raw.uids(wire),
        raw.text(0x00100010, "Doe^John", wire, "PN"),
        raw.element(0x7FE00010, "OW", bytes(100000), wire),
        raw.element(0xFFFCFFFC, "OB", bytes(10), wire),
    ]
    first = [e for e in before if e.tag >> 16 < group]
    file = raw.part10(raw.joined(before), wire.uid)
    expected = [*first, *ours(0x10, wire, tag), *before[len(first) :]]
    assert content_of(stamped(file, tmp_path, tag).dataset) == raw.joined(expected)


@WIRES
def test_dataset_that_ends_before_the_group(wire: Wire, tmp_path: Path) -> None:
    """Where the last element lies before the group, the new ones become the last."""
    file = raw.part10(raw.joined(raw.uids(wire)), wire.uid)
    expected = [*raw.uids(wire), *ours(0x10, wire)]
    assert content_of(stamped(file, tmp_path).dataset) == raw.joined(expected)


@WIRES
@pytest.mark.parametrize(
    "rest", [b"\0", bytes(7), bytes(8), bytes(126), bytes(100000), b"\x20\0\x01\0"]
)
def test_bytes_behind_the_last_element(wire: Wire, rest: bytes, tmp_path: Path) -> None:
    """Padding, and what is too short to be an element, stays at the end."""
    file = raw.part10(raw.joined(raw.uids(wire)) + rest, wire.uid)
    expected = raw.joined([*raw.uids(wire), *ours(0x10, wire)]) + rest
    assert content_of(stamped(file, tmp_path).dataset) == expected


def test_encapsulated_pixel_data(tmp_path: Path) -> None:
    """Beyond encapsulated pixel data, a delimiter within a frame misleads nobody."""
    frame = b"\xff\xd8\xfe\xff\xdd\xe0" + bytes(10)
    items = [raw.item(b"", EXPLICIT, defined=True), raw.item(frame, EXPLICIT, defined=True)]
    pixels = raw.sequence(0x7FE00010, items, EXPLICIT, defined=False, vr="OB", inner=EXPLICIT)
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), pixels]), JPEGBaseline8Bit)
    tag = PrivateTag(0x7FE1, "Flywheel", "DICOM send")
    instance = stamped(file, tmp_path, tag)
    expected = [*raw.uids(EXPLICIT), pixels, *ours(0x10, tag=tag)]
    assert content_of(instance.dataset) == raw.joined(expected)
    assert instance.transfer_syntax_uid == JPEGBaseline8Bit


@pytest.mark.parametrize(
    "name",
    ["JPEG2000-embedded-sequence-delimiter.dcm", "SC_rgb_rle_2frame.dcm", "MR_small_padded.dcm"],
)
@pytest.mark.parametrize("group", [0x0021, 0x7FE1, 0xFFFD], ids=hex)
def test_shipped_pixel_data(name: str, group: int, tmp_path: Path) -> None:
    """Real images with encapsulated and padded pixel data keep it."""
    path = shipped(name)
    meta_end = pydicom.dcmread(path).file_meta.FileMetaInformationGroupLength + 144
    source = path.read_bytes()
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    data = content_of(stamped(source, tmp_path, tag).dataset)
    assert data.replace(raw.joined(ours(0x10, tag=tag)), b"", 1) == source[meta_end:]
    read = pydicom.dcmread(BytesIO(source[:meta_end] + data))
    assert read.private_block(group, "Flywheel")[0].value == "DICOM send"
    assert list(read.keys()) == sorted(read.keys())


def test_odd_texts_are_padded(tmp_path: Path) -> None:
    """A creator and a value of odd length are padded to even length with a space."""
    tag = PrivateTag(0x0021, "odd", "value")
    data = raw.joined(added(raw.uids(EXPLICIT), tmp_path, tag))
    assert data == (b"\x21\0\x10\0LO\x04\0odd " + b"\x21\0\0\x10LO\x06\0value ")


# Private blocks


@WIRES
def test_first_free_block(wire: Wire, tmp_path: Path) -> None:
    """The first block with neither creator nor elements is taken."""
    source = [
        *raw.uids(wire),
        raw.text(0x00210010, "OTHER", wire),
        raw.text(0x00210012, "ANOTHER", wire),
        raw.text(0x00211101, "of no creator", wire),
        raw.text(0x00211201, "x", wire),
        raw.text(0x00290010, "LATER", wire),
    ]
    assert added(source, tmp_path, wire=wire) == ours(0x13, wire)


def test_creator_and_element_apart(tmp_path: Path) -> None:
    """The creator goes before the elements of other blocks, the element between them."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00210012, "ANOTHER", EXPLICIT),
        raw.text(0x00211001, "x", EXPLICIT),
        raw.text(0x00211201, "x", EXPLICIT),
    ]
    creator, element = ours(0x11)
    file = raw.part10(raw.joined(source), EXPLICIT.uid)
    expected = [*source[:3], creator, *source[3:5], element, *source[5:]]
    assert content_of(stamped(file, tmp_path).dataset) == raw.joined(expected)


@pytest.mark.parametrize("creator", ["Flywheel", " Flywheel  ", "Flywheel\0\0"])
def test_own_block_is_reused(creator: str, tmp_path: Path) -> None:
    """A block of our creator is reused: its first free element is taken."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00210020, creator, EXPLICIT),
        raw.text(0x00212000, "a", EXPLICIT),
        raw.text(0x00212001, "b", EXPLICIT),
        raw.text(0x00212003, "c", EXPLICIT),
    ]
    assert added(source, tmp_path) == [raw.text(0x00212002, TAG.value, EXPLICIT)]


@pytest.mark.parametrize("creator", ["flywheel", "Flywheel2", "Fly", ""])
def test_other_creator(creator: str, tmp_path: Path) -> None:
    """Another creator's block is not ours, however alike the name."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00210010, creator, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x11)


def test_creator_in_another_group(tmp_path: Path) -> None:
    """A block of our creator in another group is not reused."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00190010, TAG.creator, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x10)


@WIRES
@pytest.mark.parametrize("number", [0x00, 0x07, 0xFF], ids=hex)
def test_tagged_dataset_is_left_alone(wire: Wire, number: int, tmp_path: Path) -> None:
    """A dataset that has the value in our block stays as it is, byte for byte."""
    source = [
        *raw.uids(wire),
        raw.group_length(0x0021, 12345, wire),
        raw.text(0x00210055, TAG.creator, wire),
        raw.text(0x00215500 | number, TAG.value, wire),
    ]
    assert added(source, tmp_path, wire=wire) == []


def test_tagged_in_a_second_block(tmp_path: Path) -> None:
    """A dataset is tagged as well if the value is in the second block of our creator."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, TAG.creator, EXPLICIT),
        raw.text(0x00210011, TAG.creator, EXPLICIT),
        raw.text(0x00211000, "other", EXPLICIT),
        raw.text(0x00211105, TAG.value, EXPLICIT),
    ]
    assert added(source, tmp_path) == []


def test_value_of_another_creator(tmp_path: Path) -> None:
    """The same value in another creator's block does not count."""
    source = [
        *raw.uids(EXPLICIT),
        raw.text(0x00210010, "OTHER", EXPLICIT),
        raw.text(0x00211000, TAG.value, EXPLICIT),
    ]
    assert added(source, tmp_path) == ours(0x11)


@WIRES
def test_stamping_twice(wire: Wire, tmp_path: Path) -> None:
    """What was stamped is left alone when it is stamped again."""
    once = stamped(raw.part10(raw.joined(raw.uids(wire)), wire.uid), tmp_path)
    data = content_of(once.dataset)
    assert content_of(stamped(raw.part10(data, wire.uid), tmp_path).dataset) == data


def full_block(block: int, creator: str) -> list[RawElement]:
    start = 0x00210000 | block << 8
    elements = [raw.text(start | number, "x", EXPLICIT) for number in range(0x100)]
    return [raw.text(0x00210000 | block, creator, EXPLICIT), *elements]


def test_own_block_full(tmp_path: Path) -> None:
    """If our creator's block is full, the next free one is taken."""
    source = [*raw.uids(EXPLICIT), *full_block(0x10, TAG.creator)]
    assert added(source, tmp_path) == ours(0x11)


def test_second_own_block_has_room(tmp_path: Path) -> None:
    """If our creator's block is full, a second one of it is used before a free one."""
    first, *rest = full_block(0x10, TAG.creator)
    second = raw.text(0x00210020, TAG.creator, EXPLICIT)
    source = [*raw.uids(EXPLICIT), first, second, *rest]
    assert added(source, tmp_path) == [raw.text(0x00212000, TAG.value, EXPLICIT)]


def test_first_of_two_own_blocks(tmp_path: Path) -> None:
    """If two blocks of our creator have room, the first is used."""
    creators = [raw.text(0x00210000 | block, TAG.creator, EXPLICIT) for block in (0x10, 0x20)]
    source = [*raw.uids(EXPLICIT), *creators]
    assert added(source, tmp_path) == [raw.text(0x00211000, TAG.value, EXPLICIT)]


def test_last_block(tmp_path: Path) -> None:
    """The last block that is free is taken."""
    creators = [raw.text(0x00210000 | block, "OTHER", EXPLICIT) for block in range(0x10, 0xFF)]
    assert added([*raw.uids(EXPLICIT), *creators], tmp_path) == ours(0xFF)


def test_full_group(tmp_path: Path) -> None:
    """A group without a free block is refused."""
    creators = [raw.text(0x00210000 | block, "OTHER", EXPLICIT) for block in range(0x10, 0x100)]
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), *creators]), EXPLICIT.uid)
    assert refused(file, tmp_path) == "group 0021 has no free private block"


# Group lengths


@WIRES
def test_group_length(wire: Wire, tmp_path: Path) -> None:
    """The group length of the group stays true; those of other groups are left alone."""
    group = [
        raw.text(0x00210010, "OTHER", wire),
        raw.text(0x00211001, "x" * 1000, wire),
        raw.sequence(0x00211002, [b""], wire, defined=False, inner=wire),
    ]
    size = len(raw.joined(group))
    others = [raw.group_length(0x0020, 4, wire), raw.group_length(0x0022, 5, wire)]
    source = [*raw.uids(wire), others[0], raw.group_length(0x0021, size, wire), *group, others[1]]
    grown = size + len(raw.joined(ours(0x11, wire)))
    expected = [raw.group_length(0x0021, grown, wire), *ours(0x11, wire)]
    assert added(source, tmp_path, wire=wire) == expected


@WIRES
def test_empty_group_with_length(wire: Wire, tmp_path: Path) -> None:
    """A group of nothing but its length grows too."""
    source = [*raw.uids(wire), raw.group_length(0x0021, 0, wire)]
    length = raw.group_length(0x0021, len(raw.joined(ours(0x10, wire))), wire)
    assert added(source, tmp_path, wire=wire) == [length, *ours(0x10, wire)]


@pytest.mark.parametrize("value", [b"", b"12", b"12345678"])
def test_malformed_group_length(value: bytes, tmp_path: Path) -> None:
    """A group length that is not of four bytes is left alone."""
    source = [*raw.uids(EXPLICIT), raw.element(0x00210000, "UL", value, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x10)


def test_group_over_4_gib(tmp_path: Path) -> None:
    """The length of a group that is too long for one is left alone."""
    head = raw.joined([*raw.uids(EXPLICIT), raw.group_length(0x0021, 7, EXPLICIT)])
    half = raw.element(0x00211001, "UN", b"", EXPLICIT, length=1 << 31).data
    path = tmp_path / "large"
    with path.open("wb") as file:
        file.write(raw.part10(head, EXPLICIT.uid) + half)
        file.seek(1 << 31, os.SEEK_CUR)
        file.write(half.replace(b"\x01\x10", b"\x02\x10"))
        file.truncate(file.tell() + (1 << 31))
    instance = stamp(path.open("rb"), TAG, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert next(instance.dataset.chunks(len(head))) == head
    instance.dataset.close()


# Transfer syntaxes


def test_deflated(tmp_path: Path) -> None:
    """A deflated dataset holds the elements as well, in one deflated stream of even length."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00280010, "x", EXPLICIT)]
    file = raw.part10(deflated(raw.joined(source)), DeflatedExplicitVRLittleEndian)
    instance = stamped(file, tmp_path)
    data = content_of(instance.dataset)
    assert inflated(data) == raw.joined([*source[:2], *ours(0x10), *source[2:]])
    assert (len(data) % 2, instance.transfer_syntax_uid) == (0, DEFLATED.uid)


@pytest.mark.parametrize("size", range(2, 12, 2))
def test_deflated_is_even(size: int, tmp_path: Path) -> None:
    """A deflated stream is padded to even length (PS3.5 A.5)."""
    source = [*raw.uids(EXPLICIT), raw.element(0x00280010, "OB", bytes(range(size)), EXPLICIT)]
    file = raw.part10(deflated(raw.joined(source)), DeflatedExplicitVRLittleEndian)
    assert stamped(file, tmp_path).dataset.size % 2 == 0


def test_deflated_and_tagged(tmp_path: Path) -> None:
    """A deflated dataset that is tagged stays as it is, byte for byte."""
    codec = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    stream = codec.compress(raw.joined([*raw.uids(EXPLICIT), *ours(0x10)])) + codec.flush()
    file = raw.part10(stream, DeflatedExplicitVRLittleEndian)
    assert content_of(stamped(file, tmp_path).dataset) == stream


def test_bytes_behind_a_deflated_stream(tmp_path: Path) -> None:
    """What lies behind the end of the deflated stream is not read into it."""
    stream = deflated(raw.joined(raw.uids(EXPLICIT))) + b"more" * 1000000
    instance = stamped(raw.part10(stream, DeflatedExplicitVRLittleEndian), tmp_path)
    expected = raw.joined([*raw.uids(EXPLICIT), *ours(0x10)])
    assert inflated(content_of(instance.dataset)) == expected


def large_deflated() -> bytes:
    noise = raw.element(0x7FE00010, "OB", random.Random(1).randbytes(LARGE), EXPLICIT)
    return raw.part10(deflated(raw.joined([*raw.uids(EXPLICIT), noise])), DEFLATED.uid)


def test_deflated_leaves_nothing(tmp_path: Path) -> None:
    """A large deflated dataset is unpacked in `work`, without a name, and without a trace."""
    instance = stamped(large_deflated(), tmp_path)
    assert len(inflated(content_of(instance.dataset))) > LARGE
    assert list(tmp_path.iterdir()) == []
    instance.dataset.close()
    assert instance.dataset.source.closed


@pytest.mark.parametrize("cut", [None, -LARGE // 2], ids=["whole", "cut"])
def test_deflated_closes_its_files(cut: int | None, tmp_path: Path) -> None:
    """Every file that was used on the way is closed, whatever the outcome."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        content = BytesIO(large_deflated()[:cut])
        outcome = stamp(content, TAG, tmp_path)
        assert content.closed
        if isinstance(outcome, SOPInstance):
            outcome.dataset.close()
        del outcome
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []


def test_deflated_malformed_inside(tmp_path: Path) -> None:
    """A malformed dataset is refused, and its files closed, if it comes deflated too."""
    broken = raw.element(0x00200000, "SQ", b"no items", EXPLICIT, length=raw.UNDEFINED)
    noise = raw.element(0x00190010, "OB", random.Random(1).randbytes(LARGE), EXPLICIT)
    stream = deflated(raw.joined([*raw.uids(EXPLICIT), noise, broken]))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        assert "malformed" in refused(raw.part10(stream, DEFLATED.uid), tmp_path)
        gc.collect()
    assert [warning for warning in caught if warning.category is ResourceWarning] == []


def test_no_room_to_unpack(tmp_path: Path) -> None:
    """Where `work` takes nothing, the image is refused, and the reason names no path."""
    reason = refused(large_deflated(), tmp_path / "missing")
    assert "No such file" in reason
    assert str(tmp_path) not in reason


@pytest.mark.parametrize("stream", [b"", b"\xff\xff\xff\xff", bytes(100), deflated(b"x" * 99)[:-3]])
def test_broken_deflated_stream(stream: bytes, tmp_path: Path) -> None:
    """What cannot be inflated is refused."""
    file = raw.part10(stream, DeflatedExplicitVRLittleEndian)
    assert "malformed" in refused(file, tmp_path)


@WIRES
@pytest.mark.parametrize("head", [b"", bytes(128) + b"DICM", b"DICM"], ids=["", "pre", "DICM"])
def test_headerless(wire: Wire, head: bytes, tmp_path: Path) -> None:
    """Without file meta group, the dataset is stamped in the encoding that it has."""
    instance = stamped(head + raw.joined(raw.uids(wire)), tmp_path)
    assert content_of(instance.dataset) == raw.joined([*raw.uids(wire), *ours(0x10, wire)])
    assert instance.transfer_syntax_uid == wire.uid


@pytest.mark.parametrize(
    ("declared", "wire"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)], ids=["explicit", "implicit"]
)
def test_wrong_vr_encoding(declared: Wire, wire: Wire, tmp_path: Path) -> None:
    """Where the file meta group lies, the element has the VR encoding of the others."""
    instance = stamped(raw.part10(raw.joined(raw.uids(wire)), declared.uid), tmp_path)
    assert content_of(instance.dataset) == raw.joined([*raw.uids(wire), *ours(0x10, wire)])
    assert instance.transfer_syntax_uid == wire.uid


# What it is sent as


def test_uids_come_from_the_dataset(tmp_path: Path) -> None:
    """The SOP UIDs are those of the dataset, whatever the file meta group says."""
    uids = [
        raw.text(raw.SOP_CLASS, "1.2.840.10008.5.1.4.1.1.4", EXPLICIT, "UI"),
        raw.text(raw.SOP_INSTANCE, "1.2.3.4.5", EXPLICIT, "UI"),
    ]
    instance = stamped(raw.part10(raw.joined(uids), EXPLICIT.uid), tmp_path)
    assert instance.sop_class_uid == "1.2.840.10008.5.1.4.1.1.4"
    assert instance.sop_instance_uid == "1.2.3.4.5"


BAD_UIDS = {
    "missing": None,
    "empty": "",
    "blank": "  ",
    "too long": "1." * 32 + "1",
    "far too long": "1." * 100000,
    "not ASCII": "1.2.3.é",
    "not printable": "1.2\n.3",
    "NUL within": "1.2\0.3",
}


@WIRES
@pytest.mark.parametrize("uid", BAD_UIDS.values(), ids=list(BAD_UIDS))
@pytest.mark.parametrize("name", ["SOP Class UID", "SOP Instance UID"])
def test_bad_uid(wire: Wire, name: str, uid: str | None, tmp_path: Path) -> None:
    """A missing or unusable SOP UID is refused, by a reason that does not quote it."""
    if uid and len(uid) > 0xFFFF and not wire.implicit:
        uid = uid[:60000]
    elements = dict(zip(["SOP Class UID", "SOP Instance UID"], raw.uids(wire), strict=True))
    if uid is None:
        del elements[name]
    else:
        elements[name] = raw.element(elements[name].tag, "UI", uid.encode(), wire)
    reason = refused(raw.part10(raw.joined([*elements.values()]), wire.uid), tmp_path)
    assert name in reason
    assert not uid or not uid.strip() or uid[:4] not in reason


def test_longest_uid(tmp_path: Path) -> None:
    """A UID of 64 characters is taken."""
    uid = "1." * 31 + "12"
    elements = [raw.uids(EXPLICIT)[0], raw.text(raw.SOP_INSTANCE, uid, EXPLICIT, "UI")]
    instance = stamped(raw.part10(raw.joined(elements), EXPLICIT.uid), tmp_path)
    assert instance.sop_instance_uid == uid


@pytest.mark.parametrize("uid", ["1." * 32 + "1", "1.2.é", "1.2\t3"])
def test_bad_transfer_syntax(uid: str, tmp_path: Path) -> None:
    """An unusable Transfer Syntax UID is refused."""
    reason = refused(raw.part10(raw.joined(raw.uids(EXPLICIT)), uid), tmp_path)
    assert "Transfer Syntax UID" in reason
    assert uid[:4] not in reason


@GROUPS
def test_identifying(group: int, tmp_path: Path) -> None:
    """The words of the patient's name, ids and birth date are known, and nothing else."""
    dataset = made(
        1,
        PatientName="Doe^Mary Ann=Yamada",
        PatientID="ID-77 A",
        PatientBirthDate="19700131",
        OtherPatientNames=["Roe^Jane", "Poe"],
        PatientBirthName="Smith, Mary",
        PatientSex="F",
        PatientAge="050Y",
        StudyDescription="Brain study",
        ReferringPhysicianName="House^Gregory",
    )
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    instance = stamped(encoded(dataset), tmp_path, tag)
    assert instance.identifying == frozenset(
        ["doe", "mary", "ann", "yamada", "id-77", "19700131", "roe", "jane", "poe", "smith"]
    )


@pytest.mark.parametrize("charset", ["ISO_IR 100", "ISO_IR 192"])
def test_identifying_beyond_ascii(charset: str, tmp_path: Path) -> None:
    """A name is known as it reads in Latin-1 and, where it is UTF-8, in that."""
    dataset = made(1, SpecificCharacterSet=charset, PatientName="MÜLLER^Zoë", PatientID="7")
    raw_name = dataset.PatientName.encode(["latin-1" if charset == "ISO_IR 100" else "utf-8"])
    identifying = stamped(encoded(dataset), tmp_path).identifying
    assert identifying >= set(raw_name.decode("latin-1").lower().split("^"))
    assert charset == "ISO_IR 100" or identifying >= {"müller", "zoë"}


def test_no_patient(tmp_path: Path) -> None:
    """Empty and missing names identify nobody."""
    instance = stamped(encoded(made(1, PatientName="", PatientID=" ")), tmp_path)
    assert instance.identifying == frozenset()


def test_repr_names_no_patient(tmp_path: Path) -> None:
    """What is printed of an instance names no patient."""
    dataset = made(1, PatientName="Doe^Mary", PatientID="ID77")
    shown = repr(stamped(encoded(dataset), tmp_path)).lower()
    assert not [word for word in ("doe", "mary", "id77") if word in shown]


# What does not hold together


@WIRES
def test_nested_30_levels(wire: Wire, tmp_path: Path) -> None:
    """A dataset with 30 levels of sequences is stamped."""
    data = b""
    for _ in range(30):
        items = [raw.item(data, wire, defined=False)]
        data = raw.sequence(0x00181234, items, wire, defined=False, inner=wire).data
    source = [*raw.uids(wire), RawElement(0x00181234, data)]
    assert added(source, tmp_path, wire=wire) == ours(0x10, wire)


def test_nested_5000_levels(tmp_path: Path) -> None:
    """A dataset with 5,000 levels of sequences is refused."""
    start = raw.element(0x00181234, "SQ", b"", EXPLICIT, length=raw.UNDEFINED).data
    start += raw.raw_tag(0xFFFEE000, EXPLICIT) + pack("<L", raw.UNDEFINED)
    file = raw.part10(raw.joined(raw.uids(EXPLICIT)) + start * 5000, EXPLICIT.uid)
    assert "nested too deep" in refused(file, tmp_path)


@pytest.mark.parametrize(
    ("name", "group"),
    [("MR_truncated.dcm", 0x0021), ("MR_truncated.dcm", 0x7FDF), ("rtplan_truncated.dcm", 0x0021)],
)
def test_truncated_behind_the_group(name: str, group: int, tmp_path: Path) -> None:
    """What is cut short behind the group is sent as it is."""
    tag = PrivateTag(group, "Flywheel", "DICOM send")
    source = shipped(name).read_bytes()
    instance = stamped(source, tmp_path, tag)
    wire = IMPLICIT if instance.transfer_syntax_uid == IMPLICIT.uid else EXPLICIT
    data = content_of(instance.dataset)
    assert source.endswith(data.replace(raw.joined(ours(0x10, wire, tag)), b"", 1))
    assert len(data) > 1000


@pytest.mark.parametrize("name", ["MR_truncated.dcm", "rtplan_truncated.dcm"])
def test_truncated_before_the_group(name: str, tmp_path: Path) -> None:
    """What is cut short before the group is refused."""
    source = shipped(name).read_bytes()
    assert "cut short" in refused(source, tmp_path, PrivateTag(0x7FE1, "Flywheel", "DICOM send"))


def test_encapsulated_pixel_data_cut_short(tmp_path: Path) -> None:
    """Encapsulated pixel data that is cut short directly behind the group is sent as it is."""
    cut = raw.element(0x7FE00010, "OB", b"\xfe\xff\0\xe0", EXPLICIT, length=raw.UNDEFINED)
    file = raw.part10(raw.joined([*raw.uids(EXPLICIT), cut]), JPEGBaseline8Bit)
    expected = raw.joined([*raw.uids(EXPLICIT), *ours(0x10), cut])
    assert content_of(stamped(file, tmp_path).dataset) == expected


def test_cut_within_the_group(tmp_path: Path) -> None:
    """A dataset that is cut short within the group or before is refused."""
    for tag in (0x00191001, 0x00211001):
        cut = raw.element(tag, "OB", b"abc", EXPLICIT, length=1000)
        file = raw.part10(raw.joined([*raw.uids(EXPLICIT), cut]), EXPLICIT.uid)
        assert refused(file, tmp_path) == "the dataset is malformed: it is cut short"


def test_file_meta_cut_short(tmp_path: Path) -> None:
    """A file that ends within its file meta group is refused, deflated or not."""
    cut = raw.element(0x00020102, "OB", b"", EXPLICIT, length=99).data
    assert "no SOP Class UID" in refused(raw.part10(b"", EXPLICIT.uid) + cut, tmp_path)
    assert "its deflated data ends early" in refused(raw.part10(b"", DEFLATED.uid) + cut, tmp_path)


class Unplugged(BytesIO):
    """A file whose disk is gone."""

    def read(self, *_: object) -> bytes:
        raise OSError(5, "Input/output error", "/secret/path")


def test_unreadable_file(tmp_path: Path) -> None:
    """A file that cannot be read is refused, by a reason without its path."""
    content = Unplugged()
    outcome = stamp(content, TAG, tmp_path)
    reason = "the dataset could not be read or unpacked: Input/output error"
    assert (outcome, content.closed) == (Unreadable(reason), True)


def test_content_belongs_to_the_result(tmp_path: Path) -> None:
    """The file stays open as long as the dataset that reads it, and is closed with it."""
    content = BytesIO(raw.part10(raw.joined(raw.uids(EXPLICIT)), EXPLICIT.uid))
    instance = stamp(content, TAG, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert not content.closed
    instance.dataset.close()
    assert content.closed


# The bytes of a dataset


PIECES = (Span(3, 3), b"", Span(10, 45), b"inserted", b"x", Span(0, 2), b"y" * 30, Span(45, 46))


@pytest.mark.parametrize("size", [1, 2, 7, 8, 16, 30, 31, 1000])
def test_chunks(size: int) -> None:
    """Each chunk has the size that is asked for, but the last, and they can be had again."""
    source = bytes(range(100))
    dataset = EncodedDataset(BytesIO(source), PIECES)
    expected = source[10:45] + b"insertedx" + source[:2] + b"y" * 30 + source[45:46]
    for _ in range(2):
        chunks = list(dataset.chunks(size))
        assert b"".join(chunks) == expected
        assert {len(chunk) for chunk in chunks[:-1]} <= {size}
        assert 0 < len(chunks[-1]) <= size
    assert dataset.size == len(expected)


class Metered(BytesIO):
    """A file that knows how much was read of it at once."""

    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        self.largest = max(self.largest, len(self.getbuffer()) if not size or size < 0 else size)
        return super().read(size)


def test_chunks_in_little_memory() -> None:
    """No more than a chunk is read at a time."""
    source = Metered(bytes(100000))
    assert len(list(EncodedDataset(source, (b"x", Span(0, 100000))).chunks(1000))) == 101
    assert source.largest <= 1000


def test_long_values_in_little_memory(tmp_path: Path) -> None:
    """No more than 64 KiB are read of a value, however long it claims to be."""
    name = raw.element(0x00100010, "PN", b"Doe " * 100000, IMPLICIT)
    creator = raw.element(0x00210010, "LO", b"x" * 400000, IMPLICIT)
    source = raw.joined([*raw.uids(IMPLICIT), name, creator])
    content = Metered(raw.part10(source, IMPLICIT.uid))
    instance = stamp(content, TAG, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert instance.identifying == {"doe"}
    assert content.largest <= 1 << 16


def test_no_chunks() -> None:
    """A dataset without bytes has no chunks."""
    assert list(EncodedDataset(BytesIO(b"abc"), (Span(1, 1), b"")).chunks(4)) == []


def test_source_became_shorter() -> None:
    """A source that ends too early raises OSError, and does not wait for ever."""
    with pytest.raises(OSError, match="shorter"):
        list(EncodedDataset(BytesIO(b"abc"), (Span(0, 4),)).chunks(2))


# Spools


@pytest.mark.parametrize("size", [0, 10, LARGE])
def test_spool(size: int, tmp_path: Path) -> None:
    """A spool gives back what was written, from the start, and leaves no file."""
    data = random.Random(2).randbytes(size)
    with spool([data[:5], b"", data[5:]], tmp_path) as file:
        assert file.read() == data
        assert list(tmp_path.iterdir()) == []
    assert file.closed


def test_spool_on_disk(tmp_path: Path) -> None:
    """A spool over 1 MiB goes to the folder that it is given."""
    with pytest.raises(FileNotFoundError):
        spool([bytes(LARGE)], tmp_path / "missing")


def test_shipped_uid(tmp_path: Path) -> None:
    """A real image keeps its identity."""
    instance = stamped(shipped("CT_small.dcm").read_bytes(), tmp_path)
    expected = pydicom.dcmread(shipped("CT_small.dcm")).SOPInstanceUID
    assert (instance.sop_class_uid, instance.sop_instance_uid) == (CTImageStorage, expected)
