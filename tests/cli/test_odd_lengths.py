"""Images of odd length arrive at servers that abort the association for them."""

import csv
import zlib
from collections import Counter
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import JPEGBaseline8Bit

from tests.support import datasets as raw
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, RawElement, Wire
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.padded_datasets import Frames, Group, Sequence, Tree, Value
from tests.support.sample_files import encoded, made, uid_of
from tests.support.send_command import rows_of, send, to

EVEN, ODD = 100, 14
# The stream that contains the tag is a new one of even size.
each_choice = pytest.mark.parametrize(
    ("more", "repaired"), [(["--stamp"], ODD - 1), ([], ODD)], ids=["tag", "no tag"]
)


def head(number: int, wire: Wire) -> list[RawElement]:
    """Return the elements that a server requires of an image."""
    return [
        raw.uids(wire)[0],
        raw.text(raw.SOP_INSTANCE, uid_of(number), wire, "UI"),
        raw.text(0x00100020, "made", wire),
        raw.text(0x0020000D, "1.2.3", wire, "UI"),
        raw.text(0x0020000E, "1.2.3.4", wire, "UI"),
    ]


def odd_files() -> list[bytes]:
    """Return images of odd size, each odd in a different way."""
    item = Tree((Value(0x00080104, "LO", b"abc"),))
    fragments = (b"\xff\xd8a", b"\xff\xd8bc")
    trees: list[tuple[Wire, Tree]] = [
        *((wire, Tree((Value(0x00204000, "LT", b"abc"),))) for wire in (EXPLICIT, IMPLICIT, BIG)),
        (EXPLICIT, Tree((Value(0x00200052, "UI", b"1.2"),))),
        (EXPLICIT, Tree((Value(0x7FE00010, "OW", b"abc"),))),
        (EXPLICIT, Tree((Value(0x00291001, "UN", b"abc"),))),
        (EXPLICIT, Tree((Value(0x00211001, "LO", b"abc"),))),
        (EXPLICIT, Tree((Group(0x0028, (Value(0x00280004, "CS", b"abc"),)),))),
        *(
            (wire, Tree((Sequence(0x00400275, (item,), is_defined, not is_defined),)))
            for is_defined in (True, False)
            for wire in (EXPLICIT, IMPLICIT)
        ),
        (Wire(JPEGBaseline8Bit, False, "<"), Tree((Frames(fragments, True, True),))),
    ]
    files = [
        raw.part10(raw.joined(head(EVEN + place, wire)) + tree.encoded(wire, even=False), wire.uid)
        for place, (wire, tree) in enumerate(trees)
    ]
    return [*files, odd_stream(EVEN + len(files))]


def odd_stream(number: int) -> bytes:
    stream, size = b"", 0
    while len(stream) % 2 == 0:
        size += 2
        elements = [*head(number, EXPLICIT), raw.text(0x00204000, "x" * size, EXPLICIT)]
        codec = zlib.compressobj(wbits=-zlib.MAX_WBITS)
        stream = codec.compress(raw.joined(elements)) + codec.flush()
    return raw.part10(stream, DEFLATED.uid)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folder of a hundred images, fourteen of them odd."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in range(EVEN):
        (folder / f"{number:03}.dcm").write_bytes(encoded(made(number)))
    odd = odd_files()
    assert len(odd) == ODD
    for number, data in enumerate(odd):
        assert len(data) % 2
        (folder / f"{number * 6:03} odd.dcm").write_bytes(data)
    return folder


def check(folder: Path, repaired: int) -> None:
    """Check that the report counts all images as sent, and the repaired ones as repaired."""
    (row,) = rows_of(folder)
    assert (row["Images Sent"], row["Status"]) == (str(EVEN + ODD), "Complete")
    (path,) = folder.glob("*_instances.csv")
    rows = list(csv.DictReader(path.read_text().splitlines()))
    assert Counter(row["Code"] for row in rows) == {
        "": EVEN + ODD - repaired,
        "repaired": repaired,
    }


@each_choice
def test_all_arrive_at_orthanc(
    images: Path, more: list[str], repaired: int, tmp_path: Path
) -> None:
    """Orthanc has all images of the folder, and the report lists the repaired ones."""
    with Orthanc() as orthanc:
        result = send(images, *more, *to(orthanc), cwd=tmp_path)
        assert result.exit_code == 0, result.stderr
        check(tmp_path, repaired)
        assert f"images: {repaired} images sent (with odd lengths padded)" in result.stderr
        assert orthanc.ids().keys() == {uid_of(number) for number in range(EVEN + ODD)}


@each_choice
def test_all_arrive_at_storescp(
    images: Path, more: list[str], repaired: int, tmp_path: Path
) -> None:
    """The datasets that storescp received have the values of their sources."""
    with StoreSCP("+B", "--fork", "+xa") as storescp:
        result = send(images, *more, *to(storescp), cwd=tmp_path)
        assert result.exit_code == 0, result.stderr
        check(tmp_path, repaired)
        received = {pydicom.dcmread(path).SOPInstanceUID: path for path in storescp.received()}
        assert received.keys() == {uid_of(number) for number in range(EVEN + ODD)}
        for data in odd_files()[: ODD - 1]:
            source = pydicom.dcmread(BytesIO(data))
            arrived = pydicom.dcmread(received[source.SOPInstanceUID])
            for element in source:
                if element.VR not in ("OB", "OW", "OV", "SQ", "UN") and element.tag.element:
                    assert arrived[element.tag].value == element.value
