"""Strategies for datasets, byte by byte, around the group of the stamp."""

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support import datasets as raw
from tests.support.datasets import BIG, EXPLICIT, IMPLICIT, RawElement, Wire
from tests.support.examples import examples
from tests.support.stamping import TAG

bounded = settings(
    deadline=None,
    derandomize=True,
    max_examples=examples(100),
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
GROUP = TAG.group
LENGTH = GROUP << 16
WIRES = st.sampled_from([IMPLICIT, EXPLICIT, BIG])
CREATORS = st.sampled_from(["Flywheel", "OTHER", "DICOM send"])
VALUES = st.sampled_from(["DICOM send", "x"])


@st.composite
def private_groups(draw: st.DrawFn, wire: Wire) -> list[RawElement]:
    """Draw the elements of the group: our blocks, other blocks, orphans and a group length."""
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
