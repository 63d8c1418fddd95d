"""Tars of all formats are read like GNU tar reads them."""

import gzip
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.archive.tar_headers import Extensions, parse_header
from tests.support.archive_reading import Image, images, items, items_of
from tests.support.archives import (
    END_OF_TAR,
    A,
    B,
    C,
    dicom,
    old_sparse_entry,
    pax_header,
    pax_record,
    sparse_entry,
    tar_entry,
    tarred,
    with_checksum,
)
from tests.support.fuzzing import Fuzz, in_rounds, no_hang
from tests.support.programs import path_of

HOLE = 20_480
PARTS = {0: A, HOLE: B}
SIZE = 50_000
CONTENT = A + bytes(HOLE - len(A)) + B + bytes(SIZE - HOLE - len(B))
SPARSE_SIZE = pax_record("GNU.sparse.size", str(SIZE))
SPARSE_DATA = tar_entry("b", A + B)
PLACES = [0, len(A), HOLE, len(B)]


@pytest.mark.parametrize(
    "member",
    [
        old_sparse_entry("b", PARTS, SIZE),
        old_sparse_entry("b", {**PARTS, SIZE: b""}, SIZE, blocks=3),
        pax_header(
            SPARSE_SIZE
            + b"".join(
                pax_record(f"GNU.sparse.{key}", str(place))
                for key, place in zip(["offset", "numbytes"] * 2, PLACES, strict=True)
            )
        )
        + SPARSE_DATA,
        pax_header(SPARSE_SIZE + pax_record("GNU.sparse.map", ",".join(map(str, PLACES))))
        + SPARSE_DATA,
        sparse_entry("b", PARTS, SIZE),
    ],
    ids=["old", "old in blocks", "0.0", "0.1", "1.0"],
)
def test_sparse_formats(work: Path, member: bytes) -> None:
    """A sparse file of each format is read with its holes, and the next member behind it."""
    assert items_of(member + tar_entry("c", C) + END_OF_TAR, work) == images(CONTENT, C)


@pytest.mark.parametrize("header", [SPARSE_SIZE, SPARSE_SIZE + pax_record("GNU.sparse.map", "")])
def test_sparse_file_of_holes(work: Path, header: bytes) -> None:
    """A sparse file may have no data at all."""
    tar = pax_header(header) + tar_entry("b") + tar_entry("c", C) + END_OF_TAR
    found = items_of(tar, work, is_dicom=bool)
    assert found == images(bytes(SIZE), C)


@pytest.mark.parametrize(
    ("in_record", "in_header", "size", "is_damaged"),
    [
        (None, 9000, 9000, False),
        (9000, 9000, 9000, False),
        (9000, 0, 9000, False),
        (700, 9000, 9000, True),
        (8**11, 0, 8**11, False),
        (8**11, 8**11 - 1, 8**11, False),
    ],
)
def test_size_in_a_pax_record(
    in_record: int | None, in_header: int, size: int, is_damaged: bool
) -> None:
    """A record replaces the size of a header that has no room for it, whatever is there instead."""
    header = parse_header(tar_entry("b", size=in_header)[:512])
    assert header
    extensions = Extensions(size=in_record)
    assert extensions.data_size(header) == size
    assert extensions.is_damaged == is_damaged


@pytest.mark.parametrize("kind", [tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.SYMTYPE])
def test_members_without_data(work: Path, kind: bytes) -> None:
    """Folders and links have no data, even if they declare a size (POSIX.1 pax, "size")."""
    tar = tarred(A) + tar_entry("x", type=kind, size=9000) + tar_entry("c", C) + END_OF_TAR
    assert items_of(tar, work) == images(A, C)


@pytest.mark.parametrize(
    "options",
    [
        ["--format=v7"],
        ["--format=oldgnu", "--sparse"],
        ["--format=gnu", "--sparse"],
        ["--format=ustar"],
        ["--format=posix"],
        ["--format=posix", "--sparse", "--sparse-version=0.0"],
        ["--format=posix", "--sparse", "--sparse-version=0.1"],
        ["--format=posix", "--sparse", "--sparse-version=1.0"],
    ],
    ids=" ".join,
)
def test_archives_of_gnu_tar(tmp_path: Path, work: Path, options: list[str]) -> None:
    """Each format of GNU tar is read, with sparse files of many holes and long names."""
    source = tmp_path / "source"
    source.mkdir()
    contents = [A, b"".join(dicom(seed, 4096) + bytes(1 << 16) for seed in range(30)), C]
    name_size = 90 if options[0] in ("--format=v7", "--format=ustar") else 200
    for number, content in enumerate(contents):
        with (source / f"{number}{'x' * name_size}").open("wb") as file:
            for start in range(0, len(content), 4096):
                block = content[start : start + 4096]
                file.seek(start)
                if block.strip(b"\0"):
                    file.write(block)
            file.truncate(len(content))
    command = [path_of("tar"), "--create", "--sort=name", "-C", source, *options]
    subprocess.run([*command, "-f", tmp_path / "tar", "."], check=True)
    assert items(tmp_path / "tar", work) == images(*contents)


EXTENSIONS = {
    "pax": (pax_header(pax_record("path", "n" * 300)), tar_entry("b", B)),
    "long name": (tar_entry("x", b"n" * 300 + b"\0", type=b"L"), tar_entry("b", B)),
    "long link": (tar_entry("x", b"n" * 300 + b"\0", type=b"K"), tar_entry("b", B)),
    "global": (pax_header(pax_record("comment", "n" * 300), type=b"g"), tar_entry("b", B)),
    "pax size": (pax_header(pax_record("size", str(len(B)))), tar_entry("b", B)),
    "old sparse": (old_sparse_entry("b", PARTS, SIZE), b""),
    "sparse 0.1": (
        pax_header(SPARSE_SIZE + pax_record("GNU.sparse.map", ",".join(map(str, PLACES)))),
        SPARSE_DATA,
    ),
    "sparse 1.0": (sparse_entry("b", PARTS, SIZE), b""),
}
MAX_HEADERS = 2560
changes = st.lists(
    st.tuples(st.integers(0, MAX_HEADERS), st.binary(min_size=1, max_size=12)), max_size=3
)


def test_damaged_extensions(fuzz: Fuzz, work: Path) -> None:
    """Whatever is written over the extension header of a member, the other members arrive.

    A header that is changed has either an invalid checksum, or a valid one of a damaged record.
    """

    @in_rounds
    @given(
        st.sampled_from(sorted(EXTENSIONS)),
        changes,
        st.booleans(),
        st.sampled_from([bytes, gzip.compress]),
    )
    @example("pax", [(124, b"77777777777")], True, bytes)
    @example("long name", [(124, b"00000050000")], True, gzip.compress)
    @example("sparse 1.0", [(1024, b"x")], False, bytes)
    @example("sparse 1.0", [(600, b"\0"), (1433, b"v")], False, bytes)
    @example("old sparse", [(124, b"00000050000")], True, gzip.compress)
    def check(
        kind: str,
        changed: list[tuple[int, bytes]],
        has_checksum: bool,
        compress: Callable[[bytes], bytes],
    ) -> None:
        extension, member = EXTENSIONS[kind]
        data = bytearray(extension)
        for place, noise in changed:
            at = place % min(len(data), MAX_HEADERS)
            data[at : at + len(noise)] = noise
        del data[len(extension) :]
        if has_checksum:
            data[:512] = with_checksum(data[:512])
        with no_hang():
            tar = tarred(A) + data + member + tar_entry("c", C) + tar_entry("d", B) + END_OF_TAR
            found = items_of(compress(tar), work)
        contents = [item.content for item in found if isinstance(item, Image)]
        assert contents[0] == A
        assert contents[-2:] == [C, B]

    fuzz(check)
