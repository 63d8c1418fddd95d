"""An archive in an archive or in a folder is read one level deep."""

import bz2
import gzip
import io
import lzma
import struct
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import pytest
from inflate64 import Deflater

from fw_gear_dicom_send.archive.limits import Limits
from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.reasons import Kind, Reason, Skipped
from tests.support.archive_reading import (
    BROKEN,
    CORRUPT,
    SKIPS,
    Image,
    items_and_skipped,
    items_of,
    read,
)
from tests.support.archives import END_OF_TAR, A, B, C, dicom, tar_entry, tarred

COMPRESSORS = [gzip.compress, bz2.compress, lzma.compress]


def zip_of(*members: tuple[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    """Return a zip of these members."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", method) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return packed.getvalue()


def zip_packed(method: int, packed: bytes, content: bytes) -> bytes:
    """Return a zip with one member that is already compressed."""
    crc, sizes = zlib.crc32(content), (len(packed), len(content), 1, 0)
    fields = struct.pack("<HHHHHLLLHH", 20, 0, method, 0, 0, crc, *sizes)
    local = b"PK\x03\x04" + fields + b"a" + packed
    attributes = struct.pack("<HHHLL", 0, 0, 0, 0, 0)
    directory = b"PK\x01\x02" + struct.pack("<H", 20) + fields + attributes + b"a"
    end = struct.pack("<HHHHLLH", 0, 0, 1, 1, len(directory), len(local), 0)
    return local + directory + b"PK\x05\x06" + end


def names_in(path: Path, work: Path) -> list[str]:
    """Return the names of the images in an archive."""
    members = [item for item in read(path, work, SKIPS) if isinstance(item, Member)]
    for member in members:
        member.content.close()
    return [member.name for member in members]


def tar_of(*contents: bytes) -> bytes:
    """Return a complete tar."""
    return tarred(*contents) + END_OF_TAR


@pytest.mark.parametrize(
    "inner",
    [
        zip_of(("b", B), ("c", C)),
        tar_of(B, C),
        gzip.compress(tar_of(B, C)),
        gzip.compress(zip_of(("b", B), ("c", C))),
    ],
    ids=["zip", "tar", "tgz", "gzipped zip"],
)
def test_its_members_are_numbered_below_its_own_number(work: Path, inner: bytes) -> None:
    """Images before and after it are read as well, from a zip and from a tar."""
    nested = [Image("2.1", B), Image("2.2", C)]
    if inner[:2] == b"\x1f\x8b" and zipfile.is_zipfile(io.BytesIO(gzip.decompress(inner))):
        nested = []  # A zip in a compressed file in an archive is two levels deep.
    outer = zip_of(("a", A), ("inner", inner), ("a2", A))
    assert items_of(outer, work) == [Image(1, A), *nested, Image(3, A)]
    assert items_of(tar_of(A, inner, A), work) == [Image(1, A), *nested, Image(3, A)]


def test_its_members_are_named_below_its_own_name(tmp_path: Path, work: Path) -> None:
    """The report shows the path of the image through both archives."""
    path = tmp_path / "a"
    path.write_bytes(zip_of(("p/inner.zip", zip_of(("b.dcm", B))), ("c.dcm.gz", gzip.compress(C))))
    assert names_in(path, work) == ["p/inner.zip/b.dcm", "c.dcm.gz"]


def test_a_compressed_file_around_a_zip_has_no_name(tmp_path: Path, work: Path) -> None:
    """Its members are named as in an uncompressed zip."""
    path = tmp_path / "a.zip.gz"
    path.write_bytes(gzip.compress(zip_of(("b.dcm", B))))
    assert names_in(path, work) == ["b.dcm"]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_a_compressed_image_is_read(work: Path, compress: Callable[[bytes], bytes]) -> None:
    """A compressed image is read as a single file and as a member."""
    assert items_of(compress(A), work) == [Image(1, A)]
    assert items_of(zip_of(("a.gz", compress(A))), work) == [Image("1.1", A)]


@pytest.mark.parametrize("compress", COMPRESSORS)
def test_other_data_after_a_compressed_file_is_ignored(
    work: Path, compress: Callable[[bytes], bytes]
) -> None:
    """As with gzip, the image is complete as a single file, as a member and in a small tar."""
    assert items_of(compress(A) + b"garbage", work) == [Image(1, A)]
    assert items_of(zip_of(("a.gz", compress(A) + b"garbage")), work) == [Image("1.1", A)]
    small = dicom(3, 500)
    assert items_of(compress(tar_of(small)) + b"garbage", work) == [Image(1, small)]


def test_a_zip_in_a_compressed_file_is_read(work: Path) -> None:
    """Some tools compress files that are already compressed."""
    assert items_of(gzip.compress(zip_of(("b", B))), work) == [Image("1.1", B)]


def test_a_damaged_compressed_image_fails(work: Path) -> None:
    """A wrong checksum at its end makes it corrupt."""
    data = bytearray(gzip.compress(A))
    data[-8] ^= 0xFF
    assert items_of(bytes(data), work) == [BROKEN]


def test_archives_in_a_folder_need_no_suffix(tmp_path: Path, work: Path) -> None:
    """Archives are detected by content; a file with an archive suffix has its own entry."""
    folder = tmp_path / "folder"
    folder.mkdir()
    for name, content in {
        "1.dcm.gz": gzip.compress(A),
        "2": zip_of(("b", B)),
        "3.zip": zip_of(("c", C)),
    }.items():
        (folder / name).write_bytes(content)
    assert items_and_skipped(folder, work) == [Image("1.1", A), Image("2.1", B)]


def test_office_documents_are_one_file_that_is_not_dicom(tmp_path: Path, work: Path) -> None:
    """Office documents are zips, but their members are not of interest."""
    path = tmp_path / "a"
    document = zip_of(("word/document.xml", b"<w/>"), ("empty", b""))
    path.write_bytes(zip_of(("a.docx", document), ("b.dcm", B)))
    assert items_and_skipped(path, work) == [Skipped.NOT_DICOM, Image(2, B)]


def test_deeper_nested_archives_are_counted(tmp_path: Path, work: Path) -> None:
    """They are not read, because nesting has no limit."""
    path = tmp_path / "a"
    deeper = zip_of(("b", B), ("deeper.zip", zip_of(("c", C))))
    path.write_bytes(zip_of(("inner.zip", deeper)))
    assert items_and_skipped(path, work) == [Image("1.1", B), Skipped.NESTED]
    path.write_bytes(zip_of(("inner.zip", zip_of(("deeper.zip", zip_of(("c", C)))))))
    assert items_and_skipped(path, work) == [Skipped.NESTED]


def test_a_damaged_nested_archive_costs_only_itself(work: Path) -> None:
    """Its readable members and the following members are read; it counts as one more image."""
    inner = tar_of(B, C)[:-4000]
    corrupt = Unreadable(Reason(Kind.CORRUPT_ARCHIVE), 1)
    assert items_of(zip_of(("i.tar", inner), ("a", A)), work) == [
        Image("1.1", B),
        corrupt,
        Image(2, A),
    ]
    damaged = zip_of(("i.zip", zip_of(("c", C))[:40]), ("a", A))
    assert items_of(damaged, work) == [corrupt, Image(2, A)]


def test_nested_bombs_count_towards_the_limits(work: Path, tmp_path: Path) -> None:
    """Data that is unpacked twice counts twice."""
    bomb = gzip.compress(gzip.compress(bytes(3_000_000)))
    path = tmp_path / "a"
    path.write_bytes(zip_of(("a", A), ("bomb.tar", tar_of(A, bytes(3_000_000))), ("bomb.gz", bomb)))
    found = items_and_skipped(path, work, limits=Limits(archive=100_000, ratio=1))
    assert found == [Image(1, A), BrokenArchive(Reason(Kind.ARCHIVE_TOO_LARGE, "1"))]


@pytest.mark.parametrize(
    ("magic", "name"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!\x1a\x07\x00", "a RAR archive"),
        (b"\x28\xb5\x2f\xfd", "a Zstandard file"),
    ],
)
def test_unsupported_formats_are_named(tmp_path: Path, work: Path, magic: bytes, name: str) -> None:
    """This is true for single files, in an archive and in a folder."""
    data = magic + bytes(9000)
    reason = Reason(Kind.UNSUPPORTED_FORMAT, name)
    assert items_of(data, work) == [BrokenArchive(reason)]
    assert items_of(zip_of(("x", data), ("a", A)), work) == [Unreadable(reason, 1), Image(2, A)]
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "x.7z").write_bytes(data)
    assert items_and_skipped(folder, work) == [Unreadable(reason, 1)]


@pytest.mark.parametrize("size", [9000, 3_000_000])
def test_deflate64_is_read(work: Path, size: int) -> None:
    """Windows Explorer uses deflate64 for large files."""
    image = dicom(7, size)
    deflater = Deflater()
    packed = deflater.deflate(image) + deflater.flush()
    assert items_of(zip_packed(9, packed, image), work) == [Image(1, image)]
    assert items_of(zip_packed(9, packed[:-9], image), work) == [CORRUPT]


def test_xz_is_read_in_a_zip(work: Path) -> None:
    """Method 95 (APPNOTE.TXT 4.4.5)."""
    assert items_of(zip_packed(95, lzma.compress(A), A), work) == [Image(1, A)]


@pytest.mark.parametrize(("method", "name"), [(93, "Zstandard"), (98, "PPMd"), (77, "method 77")])
def test_unsupported_methods_are_named(work: Path, method: int, name: str) -> None:
    """The member is not reported as corrupt."""
    item = Unreadable(Reason(Kind.UNSUPPORTED_METHOD, name), 1)
    assert items_of(zip_packed(method, b"packed", A), work) == [item]


@pytest.mark.parametrize("blocks", [0, 20, 200, 8192])
def test_a_second_tar_in_the_file_is_read(work: Path, blocks: int) -> None:
    """It may be plain or compressed, together with the first or separately, padded or not."""
    first, second = tar_of(A) + bytes(blocks * 512), tar_of(B, C)
    expected = [Image(1, A), Image(2, B), Image(3, C)]
    assert items_of(first + second, work) == expected
    assert items_of(gzip.compress(first + second), work) == expected
    assert items_of(gzip.compress(first) + gzip.compress(second), work) == expected


def test_a_second_tar_is_read_wherever_its_padding_is_divided(work: Path) -> None:
    """Streams of compressed data need not end at a block boundary."""
    parts = [tar_of(A), bytes(300), bytes(212) + tar_of(B)]
    assert items_of(b"".join(map(gzip.compress, parts)), work) == [Image(1, A), Image(2, B)]


def test_a_damaged_archive_with_images_fails_under_any_name(work: Path) -> None:
    """More of its images may be missing."""
    cut = tarred(A) + tar_entry("b", B)[:1000]
    failure = Unreadable(Reason(Kind.CORRUPT_ARCHIVE), 1)
    assert items_of(zip_of(("a.txt", cut)), work) == [Image("1.1", A), failure]


@pytest.mark.parametrize("tail", [b"garbage", b"x" * 5000, bytes(5000) + b"garbage"])
def test_other_data_after_a_tar_is_ignored(work: Path, tail: bytes) -> None:
    """Tape padding can be any bytes."""
    assert items_of(tar_of(A) + tail, work) == [Image(1, A)]


def test_a_tar_that_is_truncated_in_its_second_part_is_broken(work: Path) -> None:
    """It counts as an archive that is not read completely."""
    found = items_of(tar_of(A) + tar_entry("b", B)[:1000], work)
    assert found == [Image(1, A), BROKEN]
