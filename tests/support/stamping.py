"""Stamping a file, and checking what it adds."""

import tempfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Unreadable
from tests.support import datasets as raw
from tests.support.datasets import EXPLICIT, RawElement, Wire

WORK = Path(tempfile.gettempdir())
"""The work folder of properties: a folder of its own for each example takes long."""
TAG = PrivateTag(0x0021, "Flywheel", "DICOM send")
each_group = pytest.mark.parametrize(
    "group", [0x0009, 0x000F, 0x0011, 0x0021, 0x0029, 0x7FE1, 0xFFFD], ids=hex
)


def stamped(data: bytes, work: Path, tag: PrivateTag = TAG) -> SOPInstance:
    """Return the stamped image in a file."""
    instance = stamp(BytesIO(data), tag, work)
    assert isinstance(instance, SOPInstance), instance
    return instance


def refused(data: bytes, work: Path, tag: PrivateTag = TAG) -> str:
    """Return the reason for which a file is not stamped; it has to be closed then."""
    content = BytesIO(data)
    outcome = stamp(content, tag, work)
    assert isinstance(outcome, Unreadable)
    assert content.closed
    return outcome.reason.text


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
