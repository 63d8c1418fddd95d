"""Archives are read alike by isal, and by zlib where isal is missing."""

import gzip
import json
import random
import subprocess
import sys
import zipfile
import zlib
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.archive.decompress import DecompressedStream, ZlibDecompressor
from fw_gear_dicom_send.archive.limits import READ_ERRORS
from tests.support.archive_reading import BROKEN, Image, items_of
from tests.support.archives import END_OF_TAR, A, B, dicom, tarred, zipped
from tests.support.examples import examples
from tests.support.preloaded import REPOSITORY

GZIP = zlib.MAX_WBITS + 16
RESERVED_BLOCK = b"\x07"
"""Start of a block of the type that RFC 1951 3.2.3 reserves."""
RANDOM = random.Random(1)
CONTENTS = [RANDOM.randbytes(70_000), bytes(300_000), tarred(*map(dicom, range(9)))]
PROGRAM = """
import json, sys
from hashlib import sha256
from pathlib import Path
if sys.argv.pop(1) == "zlib":
    sys.modules["isal"] = None
from fw_gear_dicom_send.archive import Archive, InnerItems, Member
from fw_gear_dicom_send.inflation import crc32, decompressobj
from tests.support.archives import has_prefix
found = []
for path in map(Path, sys.argv[1:]):
    archive = Archive(path, path.parent, lambda head: None if has_prefix(head) else "other")
    for task in archive.tasks():
        item = task() if callable(task) else task
        for one in item.items if isinstance(item, InnerItems) else [item]:
            if isinstance(one, Member):
                found.append(sha256(one.content.read()).hexdigest())
            else:
                found.append(repr(one))
print(json.dumps([decompressobj.__module__, crc32.__module__, found]))
"""


def before_damage(content: bytes) -> bytes:
    """Return a gzip stream that is damaged right behind `content`."""
    codec = zlib.compressobj(wbits=GZIP)
    return codec.compress(content) + codec.flush(zlib.Z_FULL_FLUSH) + RESERVED_BLOCK * 100


def outcome(data: bytes, codec: Callable[[], ZlibDecompressor], size: int) -> tuple[bytes, bool]:
    """Return what reads of `size` bytes return in all, and whether the stream is whole."""
    stream = DecompressedStream(BytesIO(data), codec, b"\x1f\x8b\x08")
    found = bytearray()
    try:
        while block := stream.read(size):
            found += block
    except READ_ERRORS:
        return bytes(found), False
    return bytes(found), True


def test_members_before_damage_are_read(work: Path) -> None:
    """Damage right behind a member of a compressed tar costs no member before it."""
    assert items_of(before_damage(tarred(A, B)), work) == [Image(1, A), Image(2, B), BROKEN]


def test_a_second_stream_is_read_up_to_its_damage(work: Path) -> None:
    """After damage, all streams of the file are decompressed again."""
    first, second = tarred(A), tarred(B)
    data = gzip.compress(first) + bytes(700) + before_damage(second)
    assert items_of(data, work) == [Image(1, A), Image(2, B), BROKEN]


@settings(max_examples=examples(300), deadline=None, derandomize=True)
@given(
    number=st.integers(0, len(CONTENTS) - 1),
    flips=st.lists(st.tuples(st.integers(0, 2**20), st.integers(1, 255)), max_size=2),
    cut=st.one_of(st.just(0), st.integers(1, 300)),
    more=st.sampled_from([b"", bytes(600), b"garbage", gzip.compress(b"second")]),
    size=st.sampled_from([512, 4096, 65536, 1 << 20]),
)
def test_damaged_streams_give_the_same_bytes(
    number: int, flips: list[tuple[int, int]], cut: int, more: bytes, size: int
) -> None:
    """A damaged stream has the bytes that zlib finds in it, or more."""
    data = bytearray(gzip.compress(CONTENTS[number])[: -cut or None] + more)
    # isal ignores the reserved flags in the fourth byte.
    for position, mask in flips:
        data[4 + position % (len(data) - 4)] ^= mask
    found, is_whole = outcome(data, partial(ZlibDecompressor, GZIP), size)
    strict = outcome(data, partial(ZlibDecompressor, GZIP, zlib.decompressobj), size)
    assert (found[: len(strict[0])], is_whole) == strict


@pytest.mark.slow
def test_archives_are_read_without_isal(tmp_path: Path) -> None:
    """Without isal, zlib yields the same members and the same reasons."""
    large = dicom(3, 3_000_000)
    whole = gzip.compress(tarred(A, B, large) + END_OF_TAR)
    contents = {
        "whole.tgz": whole,
        "two.tgz": whole + bytes(50) + whole,
        "cut.tgz": whole[:-5000],
        "damaged.tgz": before_damage(tarred(A, B)),
        "one.gz": gzip.compress(large),
        "wrong.gz": gzip.compress(A)[:-8] + bytes(8),
    }
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    archive = zipped(tmp_path / "whole.zip", A, large, whole, method=zipfile.ZIP_DEFLATED)
    broken = bytearray(archive.read_bytes())
    broken[2000] ^= 255
    (tmp_path / "damaged.zip").write_bytes(broken)
    paths = sorted(tmp_path.iterdir())
    results = {}
    for library, module in (("isal", "isal.isal_zlib"), ("zlib", "zlib")):
        done = subprocess.run(
            [sys.executable, "-c", PROGRAM, library, *paths],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
            check=True,
        )
        *used, results[library] = json.loads(done.stdout)
        assert used == [module, module]
    assert results["isal"] == results["zlib"]
    assert len(set(results["zlib"])) > len([A, B, large])
