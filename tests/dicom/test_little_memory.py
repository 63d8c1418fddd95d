"""Only a small part of a file is in memory at a time."""

from io import BytesIO
from pathlib import Path

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import EncodedDataset, SOPInstance, Span
from tests.support import datasets as raw
from tests.support.datasets import IMPLICIT
from tests.support.stamping import TAG


class Metered(BytesIO):
    """File that records the largest single read."""

    largest = 0

    def read(self, size: int | None = -1) -> bytes:
        self.largest = max(self.largest, len(self.getbuffer()) if not size or size < 0 else size)
        return super().read(size)


def test_blocks_in_little_memory() -> None:
    """At most one block is read at a time."""
    source = Metered(bytes(100000))
    assert len(list(EncodedDataset(source, (b"x", Span(0, 100000))).blocks(1000))) == 101
    assert source.largest <= 1000


def test_long_values_in_little_memory(tmp_path: Path) -> None:
    """At most 64 KiB of a value are read, whatever length it claims."""
    name = raw.element(0x00100010, "PN", b"Doe " * 100000, IMPLICIT)
    creator = raw.element(0x00210010, "LO", b"x" * 400000, IMPLICIT)
    source = raw.joined([*raw.uids(IMPLICIT), name, creator])
    content = Metered(raw.part10(source, IMPLICIT.uid))
    instance = stamp(content, TAG, tmp_path)
    assert isinstance(instance, SOPInstance)
    assert instance.read_identity().is_quoted_in("doe")
    assert content.largest <= 1 << 16
