"""Stamping of generated and damaged DICOM files returns values and never raises."""

import io
import zlib
from itertools import pairwise
from pathlib import Path
from struct import pack

from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.dicom.part10 import skips
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance, Span, Unreadable
from fw_gear_dicom_send.reasons import Kind
from tests.support import datasets as raw
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, Wire, content_of
from tests.support.fuzzing import (
    Damage,
    Fuzz,
    damaged,
    in_rounds,
    many_damages,
    no_hang,
    open_files,
)
from tests.support.sample_files import shipped
from tests.support.stamping import TAG

WIRES = [IMPLICIT, EXPLICIT, BIG]
SYNTAXES = ["", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
DEFLATED_SYNTAX = DEFLATED.uid
OTHER_SYNTAXES = ["1.2.840.10008.1.2.4.50", "1.2.3.4", "no UID", "x" * 70]
SHIPPED = ["MR_small_bigendian.dcm", "UN_sequence.dcm", "nested_priv_SQ.dcm", "rtplan.dcm"]
LENGTHS = [0, 1, 7, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
TAGS = [0x00080005, 0x00081140, 0x00100010, 0x00210000, 0x00210010, 0x00211001, 0x0021FFFF]
ODD_TAGS = [0x00290010, 0x7FE00010, 0xFFFCFFFC, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00000000]
tags = st.sampled_from([*TAGS, *ODD_TAGS])


@st.composite
def odd_elements(draw: st.DrawFn, wire: Wire) -> bytes:
    """Draw elements in any order, possibly with wrong lengths."""
    elements = []
    for tag in draw(st.lists(tags, max_size=6)):
        value = draw(st.binary(max_size=30) | st.just(b"Flywheel") | st.just(b"DICOM send"))
        vr = draw(st.sampled_from(["LO", "SQ", "UN", "OB", "US", "PN", "ZZ", "\0\0", "OW"]))
        length = draw(st.none() | st.sampled_from(LENGTHS))
        is_long = draw(st.none() | st.booleans())
        if not (is_long or vr not in raw.SHORT) or is_long is False:
            length = None if length is None else length & 0xFFFF
        elements.append(raw.element(tag, vr, value, wire, long=is_long, length=length).data)
    return b"".join(elements)


@st.composite
def nested(draw: st.DrawFn, wire: Wire) -> bytes:
    """Draw sequences nested deeper than any stack; their ends may be missing."""
    depth = draw(st.sampled_from([1, 3, 70, 3000]))
    ends = draw(st.sampled_from([depth, depth - 1, 0]))
    start = raw.element(0x00081140, "SQ", b"", wire, length=raw.UNDEFINED).data
    start += raw.raw_tag(0xFFFEE000, wire) + pack(wire.order + "L", raw.UNDEFINED)
    end = raw.raw_tag(0xFFFEE00D, wire) + bytes(4) + raw.raw_tag(0xFFFEE0DD, wire) + bytes(4)
    return start * depth + draw(odd_elements(wire)) + end * ends


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a DICOM file, possibly invalid."""
    if draw(st.integers(0, 3)) == 0:
        return shipped(draw(st.sampled_from(SHIPPED))).read_bytes()[:20_000]
    wire = draw(st.sampled_from(WIRES))
    parts = draw(st.lists(odd_elements(wire) | nested(wire), max_size=3))
    parts.insert(draw(st.sampled_from([0, 0, 0, 1])), raw.joined(raw.uids(wire)))
    dataset = b"".join(parts)
    syntax = draw(st.just(wire.uid) | st.sampled_from([*SYNTAXES, *OTHER_SYNTAXES]))
    if draw(st.integers(0, 3)) == 0:
        dataset, syntax = deflated(damaged(dataset, draw(many_damages))), DEFLATED_SYNTAX
    return draw(st.sampled_from([dataset, raw.part10(dataset, syntax)]))


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def inserted(instance: SOPInstance, size: int) -> list[bytes]:
    """Return the inserted bytes; check that the rest is unchanged except for a length."""
    pieces = [piece for piece in instance.dataset.pieces if piece != b""]
    spans = [piece for piece in pieces if isinstance(piece, Span)]
    is_cut = any(remark.kind is Kind.TRAILING_BYTES for remark in instance.remarks)
    assert spans[-1].end < size if is_cut else spans[-1].end == size
    assert all(0 <= span.start <= span.end for span in spans)
    gaps = [after.start - before.end for before, after in pairwise(spans)]
    assert set(gaps) <= {0, 4}
    assert gaps.count(4) <= 1
    return [piece for piece in pieces if isinstance(piece, bytes)]


def test_datasets(fuzz: Fuzz, tmp_path: Path) -> None:
    """Stamping a damaged file returns a value, and stamping the result again changes nothing.

    Only the length of the group changes, and all inserted bytes are ours, unless odd lengths are
    repaired.
    """

    @in_rounds
    @given(files(), many_damages)
    def check(whole: bytes, changes: list[Damage]) -> None:
        data = damaged(whole, changes)
        content = io.BytesIO(data)
        before = open_files(sockets=False)
        with no_hang():
            skips(data[:4096])
            outcome = stamp(content, TAG, tmp_path)
        assert open_files(sockets=False) == before
        assert not list(tmp_path.iterdir())
        assert isinstance(outcome, SOPInstance | Unreadable)
        if isinstance(outcome, Unreadable):
            assert content.closed
            return
        check_stamped(outcome, data, tmp_path)
        outcome.close()
        assert content.closed

    fuzz(check)


def check_stamped(instance: SOPInstance, data: bytes, work: Path) -> None:
    """Check the stamped dataset, and that stamping recognizes it."""
    stamped = content_of(instance.dataset)
    assert instance.dataset.size == len(stamped)
    syntax = instance.transfer_syntax_uid
    is_repaired = any(remark.kind is Kind.REPAIRED for remark in instance.remarks)
    if syntax != DEFLATED_SYNTAX and not is_repaired:
        new = b"".join(inserted(instance, len(data)))
        if new:
            assert TAG.value.encode() in new
            assert len(new) <= 4 + 2 * 8 + 2 * 8 + len(TAG.creator) + len(TAG.value)
    again = stamp(io.BytesIO(raw.part10(stamped, syntax)), TAG, work)
    assert isinstance(again, SOPInstance)
    assert (again.sop_class_uid, again.sop_instance_uid) == (
        instance.sop_class_uid,
        instance.sop_instance_uid,
    )
    assert content_of(again.dataset) == stamped
