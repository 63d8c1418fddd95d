"""The private element is never inserted inside a value, whatever the headers claim."""

from io import BytesIO
from struct import pack

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, IMPLICIT, content_of
from tests.support.drawn_datasets import bounded
from tests.support.element_places import element_starts
from tests.support.examples import examples
from tests.support.sample_files import encoded, made, shipped
from tests.support.stamping import TAG, WORK, ours

NO_VRS = [b"  ", b"??", b"\0\0", b"ox", b"??", b"0\0"]
REAL = [
    "MR_small.dcm",
    "MR_small_implicit.dcm",
    "MR_small_bigendian.dcm",
    "CT_small.dcm",
    "rtplan.dcm",
    "JPEG2000.dcm",
    "test-SR.dcm",
]
GROUPS = st.sampled_from([0x0009, 0x0019, 0x0021, 0x0029, 0x7FE1])
PIXELS = st.sampled_from(
    [bytes(2), b"\x01\0", b"\0\x80", b"LO", b"\x21\0\x10\0LO\x02\0ab", b"\x28\0\x10\0\x02\0\0\0ab"]
)


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a real file, or an image whose pixels may resemble elements."""
    name = draw(st.sampled_from(REAL) | st.just(""))
    if name:
        return shipped(name).read_bytes()
    pixels = draw(PIXELS)
    return encoded(made(1, pixels=64, PixelData=(pixels * 8192)[:8192], SliceThickness="1.5"))


def check(file: bytes, starts: list[int], tag: PrivateTag) -> None:
    """Check that a file is rejected or has the element between two of its elements."""
    outcome = stamp(BytesIO(file), tag, WORK)
    event(type(outcome).__name__)
    if isinstance(outcome, Unreadable):
        return
    pieces = outcome.dataset.pieces
    spans = [piece for piece in pieces if isinstance(piece, Span)]
    assert [span.end for span in spans[:-1]] == [span.start for span in spans[1:]]
    assert (spans[0].start, spans[-1].end) == (starts[0], len(file))
    assert {span.end for span in spans} <= {*starts, len(file)}


@settings(bounded, max_examples=examples(500))
@given(st.data(), files(), GROUPS)
def test_damaged_length(data: st.DataObject, file: bytes, group: int) -> None:
    """Whatever length one element claims, ours is between two others or not inserted."""
    starts = element_starts(file)
    place = data.draw(st.sampled_from(starts[:-1]))
    size = data.draw(st.sampled_from([2, 4]))
    length = data.draw(
        st.binary(min_size=size, max_size=size)
        | st.integers(0, 600).map(lambda value: pack("<L", value)[:size])
    )
    at = place + data.draw(st.sampled_from([4, 6, 8]))
    check(file[:at] + length + file[at + size :], starts, PrivateTag(group, "a", "b"))


@settings(bounded, max_examples=examples(500))
@given(st.data(), files(), GROUPS)
def test_damaged_vr(data: st.DataObject, file: bytes, group: int) -> None:
    """Whatever VR one element has, ours is between two others or not inserted."""
    starts = element_starts(file)
    at = data.draw(st.sampled_from(starts)) + 4
    vr = data.draw(st.sampled_from(NO_VRS) | st.binary(min_size=2, max_size=2))
    check(file[:at] + vr + file[at + 2 :], starts, PrivateTag(group, "a", "b"))


@pytest.mark.parametrize("vr", NO_VRS)
@pytest.mark.parametrize("is_long", [False, True])
def test_element_without_vr(vr: bytes, is_long: bool) -> None:
    """An image that has an element without VR is stamped like others."""
    odd = raw.element(0x00191001, "ZZ", b"value ", EXPLICIT, long=is_long).data.replace(b"ZZ", vr)
    pixels = raw.element(0x7FE00010, "OW", b"\x30\0\x40\0" * 50000, EXPLICIT).data
    head = raw.joined(raw.uids(EXPLICIT)) + odd
    outcome = stamp(BytesIO(raw.part10(head + pixels, EXPLICIT.uid)), TAG, WORK)
    assert isinstance(outcome, SOPInstance)
    assert content_of(outcome.dataset) == head + raw.joined(ours(0x10)) + pixels


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
@pytest.mark.parametrize("pixel", [bytes(2), b"\x01\0", b"\x30\x01", b"\xff\xff"])
def test_length_that_leads_into_the_pixels(wire: raw.Wire, pixel: bytes) -> None:
    """A length that ends within the pixels has its own reason."""
    thickness = raw.text(0x00180050, "1.5 ", wire, "DS").data
    pixels = raw.element(0x7FE00010, "OW", pixel * 50000, wire).data
    dataset = raw.joined(raw.uids(wire)) + thickness.replace(b"\x04\0", b"\x40\x80") + pixels
    outcome = stamp(BytesIO(raw.part10(dataset, wire.uid)), TAG, WORK)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind in (Kind.DAMAGED, Kind.TRUNCATED, Kind.MALFORMED)


def test_the_position_of_the_damage_is_reported() -> None:
    """The reason has the position of the first invalid element, not of our element."""
    before = raw.joined([*raw.uids(EXPLICIT), raw.text(0x00280004, "RGB", EXPLICIT, "CS")])
    stray = b"\xfe\xff\x00\xe0\0\0\0\0"
    file = raw.part10(before + stray + raw.text(0x00400310, "x", EXPLICIT).data, EXPLICIT.uid)
    outcome = stamp(BytesIO(file), TAG, WORK)
    assert outcome == Unreadable(Reason(Kind.DAMAGED, str(file.index(stray))))


def test_unordered_elements() -> None:
    """A dataset with unordered elements is stamped if its elements fill the file."""
    elements = [
        raw.text(0x00100010, "Doe", EXPLICIT, "PN"),
        *raw.uids(EXPLICIT),
        raw.text(0x00280004, "MONOCHROME2", EXPLICIT, "CS"),
    ]
    outcome = stamp(BytesIO(raw.part10(raw.joined(elements), EXPLICIT.uid)), TAG, WORK)
    assert isinstance(outcome, SOPInstance)
    assert content_of(outcome.dataset) == raw.joined([*elements[:3], *ours(0x10), elements[3]])


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT, raw.BIG], ids=["explicit", "implicit", "big"])
def test_length_of_a_text_that_leads_into_an_item(wire: raw.Wire) -> None:
    """A text that contains other elements is damaged, even if ordered elements follow its end."""
    series = raw.text(0x0020000E, "1.2.3", wire, "UI")
    inner = [raw.text(0x0040A027, "OFFIS", wire), raw.text(0x0040A030, "2001", wire, "DT")]
    items = raw.item(bytes(96) + raw.joined(inner), wire, defined=True)
    sequence = raw.element(0x0040A073, "SQ", items, wire)
    before = raw.joined([*raw.uids(wire), series])
    whole = before + sequence.data + raw.text(0x0040A491, "x", wire, "CS").data
    place = whole.index(inner[0].data)
    header = 8
    start = len(before) - len(series.data)
    length = pack(wire.order + ("L" if wire.implicit else "H"), place - start - header)
    at = start + header - len(length)
    outcome = stamp(
        BytesIO(raw.part10(whole[:at] + length + whole[start + header :], wire.uid)),
        PrivateTag(0x0021, "a", "b"),
        WORK,
    )
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind is Kind.DAMAGED


@pytest.mark.parametrize("text", [b"x" * 80 + b"\0\0rest of a buffer ", b"LO\0\0 " * 30])
def test_a_long_text_with_a_nul_is_not_damage(text: bytes) -> None:
    """Old writers leave buffer contents after a text."""
    comment = raw.element(0x00104000, "LT", text, EXPLICIT)
    before = raw.joined([*raw.uids(EXPLICIT), comment])
    outcome = stamp(BytesIO(raw.part10(before, EXPLICIT.uid)), TAG, WORK)
    assert isinstance(outcome, SOPInstance)


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT], ids=["explicit", "implicit"])
@pytest.mark.parametrize("rest", [0, 1, 1000])
def test_length_that_leads_into_black_pixels(wire: raw.Wire, rest: int) -> None:
    """Black pixels up to the end of the file are not taken for padding."""
    thickness = raw.text(0x00180050, "1.5 ", wire, "DS").data.replace(b"\x04\0", b"\x40\x80")
    pixels = raw.element(0x7FE00010, "OW", bytes(100000), wire)
    dataset = raw.joined(raw.uids(wire)) + thickness + pixels.data + bytes(rest)
    outcome = stamp(BytesIO(raw.part10(dataset, wire.uid)), TAG, WORK)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind is Kind.DAMAGED


@pytest.mark.parametrize("wire", [EXPLICIT, IMPLICIT, raw.BIG], ids=["explicit", "implicit", "big"])
@pytest.mark.parametrize("number", [0, 1])
def test_length_of_a_sequence_that_leads_into_an_item(wire: raw.Wire, number: int) -> None:
    """Elements of an item that is cut by a sequence are not taken for the neighbours of ours."""
    code = [raw.text(0x00080100, "a", wire, "SH"), raw.text(0x0040A030, "2001", wire, "DT")]
    items = [raw.item(raw.joined(code), wire, defined=True) for _ in range(2)]
    kept = number * len(items[0]) + 8 + len(code[0].data)
    value = b"".join(items[: number + 1])
    sequence = raw.element(0x00081140, "SQ", value, wire, length=kept)
    patient = raw.text(0x00100010, "Doe", wire, "PN")
    pixels = raw.element(0x7FE00010, "OW", b"\1\2" * 100, wire)
    dataset = raw.joined([*raw.uids(wire), sequence, patient, pixels])
    outcome = stamp(BytesIO(raw.part10(dataset, wire.uid)), TAG, WORK)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind is Kind.DAMAGED


def test_a_sequence_in_place_of_a_text_is_not_damage() -> None:
    """Without VR, an element may differ from the dictionary."""
    items = raw.item(raw.text(0x00190010, "x" * 90, IMPLICIT).data, IMPLICIT, defined=True)
    dates = raw.element(0x00080020, "SQ", items + raw.text(0x00280010, "", IMPLICIT).data, IMPLICIT)
    elements = [*raw.uids(IMPLICIT), dates, raw.text(0x00280004, "RGB", IMPLICIT, "CS")]
    file = raw.part10(raw.joined(elements), IMPLICIT.uid)
    assert isinstance(stamp(BytesIO(file), TAG, WORK), SOPInstance)


@pytest.mark.parametrize("tag", [b"\xff\xfe\xe0\0", b"\xfe\xff\0\xe0"], ids=["big", "little"])
def test_a_value_of_four_bytes_has_no_items(tag: bytes) -> None:
    """A value that is only as long as the tag of an item is not a damaged sequence."""
    elements = [*raw.uids(IMPLICIT), raw.element(0x00080020, "DA", tag, IMPLICIT)]
    file = raw.part10(raw.joined(elements) + bytes(4), IMPLICIT.uid)
    assert isinstance(stamp(BytesIO(file), TAG, WORK), SOPInstance)
