"""Stamping a file that is changed or cut anywhere raises nothing."""

from collections.abc import Iterator
from io import BytesIO

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.part10 import is_dicom
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from tests.support import datasets as raw
from tests.support.datasets import content_of
from tests.support.drawn_datasets import GROUP, WIRES, bounded, raw_datasets
from tests.support.sample_files import shipped
from tests.support.stamping import TAG, WORK

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
