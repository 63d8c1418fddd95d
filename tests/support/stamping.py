"""Stamping of a file, and checks of the added bytes."""

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
"""Shared work folder of properties; a separate folder for each example is slow."""
TAG = PrivateTag(0x0021, "Flywheel", "DICOM send")
each_group = pytest.mark.parametrize(
    "group", [0x0009, 0x000F, 0x0011, 0x0021, 0x0029, 0x7FE1, 0xFFFD], ids=hex
)


def stamped(data: bytes, work: Path, tag: PrivateTag = TAG) -> SOPInstance:
    """Return the stamped image of a file."""
    instance = stamp(BytesIO(data), tag, work)
    assert isinstance(instance, SOPInstance), instance
    return instance


def refused(data: bytes, work: Path, tag: PrivateTag = TAG) -> str:
    """Return the reason why a file cannot be stamped, and check that the file is closed."""
    content = BytesIO(data)
    outcome = stamp(content, tag, work)
    assert isinstance(outcome, Unreadable)
    assert content.closed
    return outcome.reason.text


def added(
    elements: Sequence[RawElement], work: Path, tag: PrivateTag = TAG, wire: Wire = EXPLICIT
) -> list[RawElement]:
    """Return the bytes that stamping adds to a dataset, and check that the rest is unchanged."""
    file = raw.part10(raw.joined(elements), wire.uid)
    return raw.insertions(elements, stamped(file, work, tag), wire)


def ours(block: int, wire: Wire = EXPLICIT, tag: PrivateTag = TAG) -> list[RawElement]:
    """Return the creator of a block and our element in it."""
    return [
        raw.text(tag.group << 16 | block, tag.creator, wire),
        raw.text(tag.group << 16 | block << 8, tag.value, wire),
    ]
