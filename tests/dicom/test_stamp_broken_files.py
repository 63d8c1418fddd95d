"""Stamping a file that is changed or truncated anywhere raises nothing."""

from io import BytesIO

from hypothesis import event, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.part10 import skips
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from tests.support import datasets as raw
from tests.support.datasets import content_of
from tests.support.drawn_datasets import GROUP, WIRES, bounded, raw_datasets
from tests.support.examples import examples
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
    """Stamp, and check that the outcome is a usable value."""
    outcome = stamp(content, PrivateTag(group, TAG.creator, TAG.value), WORK)
    if isinstance(outcome, Unreadable):
        assert content.closed
    else:
        assert outcome.dataset.size == len(content_of(outcome.dataset))
    return outcome


@settings(bounded, max_examples=examples(300))
@given(
    st.sampled_from(SMALL),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.none() | st.floats(0, 1),
    st.sampled_from([GROUP, 0x0009, 0x7FE1, 0xFFFD]),
)
def test_fuzz(name: str, changes: list[tuple[float, int]], cut: float | None, group: int) -> None:
    """Whatever bytes are changed or cut, stamping ends without an exception."""
    data = bytearray(shipped(name).read_bytes())
    head = min(len(data), 3000)
    for where, value in changes:
        data[int(where * head)] = value
    if cut is not None:
        del data[int(cut * len(data)) :]
    skips(bytes(data[:4096]))
    outcome = check_outcome(BytesIO(bytes(data)), group)
    event(type(outcome).__name__)


@bounded
@given(st.data(), st.binary(min_size=1, max_size=4), st.integers(0, 1000))
def test_fuzz_made(data: st.DataObject, change: bytes, where: int) -> None:
    """Whatever bytes of a dataset with many sequences are changed, stamping never raises."""
    wire = data.draw(WIRES)
    dataset = bytearray(raw.joined(data.draw(raw_datasets(wire))))
    where %= len(dataset)
    dataset[where : where + len(change)] = change
    check_outcome(BytesIO(raw.part10(bytes(dataset), wire.uid)))
