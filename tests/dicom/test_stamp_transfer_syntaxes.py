"""Stamping works in every transfer syntax, also in deflated and undeclared ones."""

import random
import zlib
from io import BytesIO
from pathlib import Path

import pytest
from pydicom.uid import DeflatedExplicitVRLittleEndian

from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import SOPInstance
from tests.support import datasets as raw
from tests.support.closing import nothing_left_open
from tests.support.datasets import (
    DEFLATED,
    EXPLICIT,
    IMPLICIT,
    Wire,
    content_of,
    deflated,
    each_wire,
)
from tests.support.stamping import TAG, ours, refused, stamped

LARGE = 3 << 20
JPIP_DEFLATED = ("1.2.840.10008.1.2.4.95", "1.2.840.10008.1.2.4.205")


def inflated(stream: bytes) -> bytes:
    return zlib.decompress(stream, -zlib.MAX_WBITS)


@pytest.mark.parametrize("uid", [DEFLATED.uid, *JPIP_DEFLATED])
def test_deflated(uid: str, tmp_path: Path) -> None:
    """A stamped deflated dataset is one deflated stream of even length, also with JPIP."""
    source = [*raw.uids(EXPLICIT), raw.text(0x00280010, "x", EXPLICIT)]
    file = raw.part10(deflated(raw.joined(source)), uid)
    instance = stamped(file, tmp_path)
    data = content_of(instance.dataset)
    assert inflated(data) == raw.joined([*source[:2], *ours(0x10), *source[2:]])
    assert (len(data) % 2, instance.transfer_syntax_uid) == (0, uid)


@pytest.mark.parametrize("size", range(2, 12, 2))
def test_deflated_is_even(size: int, tmp_path: Path) -> None:
    """A deflated stream is padded to even length (PS3.5 A.5)."""
    source = [*raw.uids(EXPLICIT), raw.element(0x00280010, "OB", bytes(range(size)), EXPLICIT)]
    file = raw.part10(deflated(raw.joined(source)), DeflatedExplicitVRLittleEndian)
    assert stamped(file, tmp_path).dataset.size % 2 == 0


def test_deflated_and_tagged(tmp_path: Path) -> None:
    """A deflated dataset that is already tagged is unchanged, except padding to even length."""
    codec = zlib.compressobj(level=0, wbits=-zlib.MAX_WBITS)
    stream = codec.compress(raw.joined([*raw.uids(EXPLICIT), *ours(0x10)])) + codec.flush()
    file = raw.part10(stream, DeflatedExplicitVRLittleEndian)
    assert content_of(stamped(file, tmp_path).dataset) == stream + b"\0" * (len(stream) % 2)


def test_bytes_after_a_deflated_stream(tmp_path: Path) -> None:
    """Bytes after the end of the deflated stream are not read as part of it."""
    stream = deflated(raw.joined(raw.uids(EXPLICIT))) + b"more" * 1000000
    instance = stamped(raw.part10(stream, DeflatedExplicitVRLittleEndian), tmp_path)
    expected = raw.joined([*raw.uids(EXPLICIT), *ours(0x10)])
    assert inflated(content_of(instance.dataset)) == expected


def large_deflated() -> bytes:
    noise = raw.element(0x7FE00010, "OB", random.Random(1).randbytes(LARGE), EXPLICIT)
    return raw.part10(deflated(raw.joined([*raw.uids(EXPLICIT), noise])), DEFLATED.uid)


def test_deflated_leaves_nothing(tmp_path: Path) -> None:
    """A large deflated dataset is unpacked in `work` to a nameless file and leaves nothing."""
    instance = stamped(large_deflated(), tmp_path)
    assert len(inflated(content_of(instance.dataset))) > LARGE
    assert list(tmp_path.iterdir()) == []
    instance.close()
    assert instance.dataset.source.closed


@pytest.mark.parametrize("cut", [None, -LARGE // 2], ids=["whole", "cut"])
def test_deflated_closes_its_files(cut: int | None, tmp_path: Path) -> None:
    """Every intermediate file is closed, whatever the outcome."""
    with nothing_left_open():
        content = BytesIO(large_deflated()[:cut])
        outcome = stamp(content, TAG, tmp_path)
        assert content.closed
        if isinstance(outcome, SOPInstance):
            outcome.close()
        del outcome


def test_deflated_malformed_inside(tmp_path: Path) -> None:
    """A malformed deflated dataset is rejected, and its files are closed."""
    broken = raw.element(0x00200000, "SQ", b"no items", EXPLICIT, length=raw.UNDEFINED)
    noise = raw.element(0x00190010, "OB", random.Random(1).randbytes(LARGE), EXPLICIT)
    stream = deflated(raw.joined([*raw.uids(EXPLICIT), noise, broken]))
    with nothing_left_open():
        assert "malformed" in refused(raw.part10(stream, DEFLATED.uid), tmp_path)


def test_no_space_to_unpack(tmp_path: Path) -> None:
    """If `work` is full, the image is rejected with a reason that does not contain a path."""
    reason = refused(large_deflated(), tmp_path / "missing")
    assert "No such file" in reason
    assert str(tmp_path) not in reason


@pytest.mark.parametrize("stream", [b"", b"\xff\xff\xff\xff", bytes(100), deflated(b"x" * 99)[:-3]])
def test_broken_deflated_stream(stream: bytes, tmp_path: Path) -> None:
    """Data that cannot be inflated is rejected."""
    file = raw.part10(stream, DeflatedExplicitVRLittleEndian)
    assert "malformed" in refused(file, tmp_path)


@each_wire
@pytest.mark.parametrize("head", [b"", bytes(128) + b"DICM", b"DICM"], ids=["", "pre", "DICM"])
def test_headerless(wire: Wire, head: bytes, tmp_path: Path) -> None:
    """Without a file meta group, the dataset is stamped in its own encoding."""
    instance = stamped(head + raw.joined(raw.uids(wire)), tmp_path)
    assert content_of(instance.dataset) == raw.joined([*raw.uids(wire), *ours(0x10, wire)])
    assert instance.transfer_syntax_uid == wire.uid


@pytest.mark.parametrize(
    ("declared", "wire"), [(IMPLICIT, EXPLICIT), (EXPLICIT, IMPLICIT)], ids=["explicit", "implicit"]
)
def test_wrong_vr_encoding(declared: Wire, wire: Wire, tmp_path: Path) -> None:
    """If the file meta group is wrong, the element uses the VR encoding of the other elements."""
    instance = stamped(raw.part10(raw.joined(raw.uids(wire)), declared.uid), tmp_path)
    assert content_of(instance.dataset) == raw.joined([*raw.uids(wire), *ours(0x10, wire)])
    assert instance.transfer_syntax_uid == wire.uid
