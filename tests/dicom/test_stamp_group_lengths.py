"""Group lengths are updated when the group grows."""

import os
from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, Wire, content_of, each_wire
from tests.support.stamping import TAG, added, ours, stamped


@each_wire
def test_group_length(wire: Wire, tmp_path: Path) -> None:
    """The group length of the private group is updated; other group lengths are unchanged."""
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
    assert stamped(raw.part10(raw.joined(source), wire.uid), tmp_path).remarks == ()


@each_wire
@pytest.mark.parametrize("error", [-1, 1, 1000])
def test_wrong_group_length(wire: Wire, error: int, tmp_path: Path) -> None:
    """A wrong group length is corrected, with a remark, only if the group grows."""
    group = [raw.text(0x00210010, "OTHER", wire)]
    length = raw.group_length(0x0021, len(group[0].data) + error, wire)
    file = raw.part10(raw.joined([*raw.uids(wire), length, *group]), wire.uid)
    instance = stamped(file, tmp_path)
    grown = raw.group_length(0x0021, len(raw.joined([*group, *ours(0x11, wire)])), wire)
    assert grown.data in content_of(instance.dataset)
    assert instance.remarks == (Reason(Kind.GROUP_LENGTH_CORRECTED, "0021"),)
    unchanged = stamp(BytesIO(file), None, tmp_path)
    assert isinstance(unchanged, SOPInstance)
    assert unchanged.remarks == ()


@each_wire
def test_empty_group_with_length(wire: Wire, tmp_path: Path) -> None:
    """A group that consists of its length only grows, too."""
    source = [*raw.uids(wire), raw.group_length(0x0021, 0, wire)]
    length = raw.group_length(0x0021, len(raw.joined(ours(0x10, wire))), wire)
    assert added(source, tmp_path, wire=wire) == [length, *ours(0x10, wire)]


@pytest.mark.parametrize("value", [b"", b"12", b"12345678"])
def test_malformed_group_length(value: bytes, tmp_path: Path) -> None:
    """A group length that does not have four bytes is not changed."""
    source = [*raw.uids(EXPLICIT), raw.element(0x00210000, "UL", value, EXPLICIT)]
    assert added(source, tmp_path) == ours(0x10)


def test_group_over_4_gib(tmp_path: Path) -> None:
    """A group length is not changed if its new value would not fit."""
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
    assert instance.remarks == ()
    assert next(instance.dataset.blocks(len(head))) == head
    instance.close()
