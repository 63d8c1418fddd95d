"""Malformed, truncated and unreadable datasets are rejected or sent unchanged."""

import errno
import os
from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.elements import MAX_NESTING
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support import wording
from tests.support.datasets import (
    DEFLATED,
    EXPLICIT,
    RawElement,
    Wire,
    each_wire,
)
from tests.support.stamping import TAG, added, ours, refused


@each_wire
@pytest.mark.parametrize("levels", [30, 65, 1000])
def test_nested_levels(wire: Wire, levels: int, tmp_path: Path) -> None:
    """A dataset with many levels of sequences is stamped."""
    source = [*raw.uids(wire), RawElement(0x00181234, raw.nested(levels, wire))]
    assert added(source, tmp_path, wire=wire) == ours(0x10, wire)


def test_too_many_nested_levels(tmp_path: Path) -> None:
    """A dataset with more levels than fit the memory is rejected, with the number."""
    dataset = raw.joined(raw.uids(EXPLICIT)) + raw.nested(MAX_NESTING + 1, EXPLICIT)
    assert "more than 10,000 levels" in refused(raw.part10(dataset, EXPLICIT.uid), tmp_path)


def test_truncated_nested_levels(tmp_path: Path) -> None:
    """Sequences that do not end are truncated, however deep they are."""
    dataset = raw.joined(raw.uids(EXPLICIT)) + raw.nested(1000, EXPLICIT)[:-16]
    outcome = stamp(BytesIO(raw.part10(dataset, EXPLICIT.uid)), TAG, tmp_path)
    assert isinstance(outcome, Unreadable)
    assert outcome.reason.kind is Kind.TRUNCATED


def test_file_meta_cut_short(tmp_path: Path) -> None:
    """A file that is truncated within its file meta group is rejected, deflated or not."""
    cut = raw.element(0x00020102, "OB", b"", EXPLICIT, length=99).data
    assert "no SOP Class UID" in refused(raw.part10(b"", EXPLICIT.uid) + cut, tmp_path)
    assert wording.DEFLATED_ENDS_EARLY in refused(raw.part10(b"", DEFLATED.uid) + cut, tmp_path)


@pytest.mark.parametrize(("group", "is_sent"), [(0x0010, False), (0x0020, True)])
def test_damage_after_the_patient_is_ignored_without_a_tag(
    group: int, is_sent: bool, tmp_path: Path
) -> None:
    """Nothing is inserted in that case, but the patient's names and ids must be readable."""
    broken = raw.element(group << 16 | 0x1234, "SQ", b"no items", EXPLICIT, length=raw.UNDEFINED)
    first = raw.text(group << 16 | 0x0010, "x", EXPLICIT)
    pixels = raw.element(0x7FE00010, "OW", b"12", EXPLICIT)
    data = raw.joined([*raw.uids(EXPLICIT), first, broken, pixels])
    outcome = stamp(BytesIO(raw.part10(data, EXPLICIT.uid)), None, tmp_path)
    assert isinstance(outcome, SOPInstance) == is_sent


class Unplugged(BytesIO):
    """File on a disk with an error."""

    def __init__(self, error: int) -> None:
        super().__init__()
        self._error = error

    def read(self, *_: object) -> bytes:
        raise OSError(self._error, os.strerror(self._error), "/secret/path")


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (errno.EIO, Reason(Kind.DATASET_UNREADABLE, "Input/output error")),
        (errno.ENOSPC, Reason(Kind.NO_SPACE)),
        (errno.EDQUOT, Reason(Kind.NO_SPACE)),
    ],
)
def test_a_disk_with_an_error(tmp_path: Path, error: int, reason: Reason) -> None:
    """A full disk has a reason of its own, and no reason contains a path."""
    content = Unplugged(error)
    outcome = stamp(content, TAG, tmp_path)
    assert (outcome, content.closed) == (Unreadable(reason), True)


def test_content_belongs_to_the_result(tmp_path: Path) -> None:
    """The file is open as long as its dataset is in use, and is closed with it."""
    content = BytesIO(raw.part10(raw.joined(raw.uids(EXPLICIT)), EXPLICIT.uid))
    instance = stamp(content, TAG, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert not content.closed
    instance.close()
    assert content.closed
