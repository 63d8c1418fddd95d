"""Images whose file meta group is wrong arrive, or cost only themselves."""

import csv
from io import BytesIO
from pathlib import Path

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import (
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEGBaseline8Bit,
    RLELossless,
)

from tests.support import datasets as raw
from tests.support.instances import dataset_of
from tests.support.pacs import Orthanc, StoreSCP
from tests.support.sample_files import encoded, made, shipped, uid_of
from tests.support.send_command import send, to
from tests.support.transcoding import RLE_FRAME, compressed

NATIVE_JPEG, FINE = 2, (1, 3)
each_tag = pytest.mark.parametrize("more", [["--stamp"], []], ids=["tag", "no tag"])


def relabelled(dataset: Dataset, uid: str) -> bytes:
    """Return a file that declares another transfer syntax than its dataset has."""
    return raw.part10(dataset_of(encoded(dataset)), uid)


@pytest.fixture
def images(tmp_path: Path) -> Path:
    """Folder of two correct images, and an uncompressed one that is called JPEG."""
    folder = tmp_path / "images"
    folder.mkdir()
    for number in FINE:
        (folder / f"{number}.dcm").write_bytes(encoded(made(number)))
    native = relabelled(made(NATIVE_JPEG), JPEGBaseline8Bit)
    (folder / f"{NATIVE_JPEG}.dcm").write_bytes(native)
    return folder


def codes(folder: Path) -> dict[str, tuple[str, str]]:
    """Return code and number of tries of each image, by UID."""
    (path,) = folder.glob("*_instances.csv")
    rows = csv.DictReader(path.read_text().splitlines())
    return {row["SOP Instance UID"]: (row["Code"], row["Tries"]) for row in rows}


@each_tag
@pytest.mark.parametrize("conversion", ["when needed", "never", "uncompressed"])
def test_native_pixels_in_a_compressed_syntax_are_not_offered(
    images: Path, more: list[str], conversion: str, tmp_path: Path
) -> None:
    """Orthanc, which would drop the association, never sees the image and stores the others."""
    with Orthanc() as orthanc:
        result = send(images, *more, "--conversion", conversion, *to(orthanc), cwd=tmp_path)
        assert orthanc.ids().keys() == {uid_of(number) for number in FINE}
    assert result.exit_code == 1
    assert "association was lost" not in result.stderr
    assert codes(tmp_path) == {
        uid_of(FINE[0]): ("", "1"),
        uid_of(FINE[1]): ("", "1"),
        "": ("pixel-data-encoding", ""),
    }


def test_fragments_in_an_uncompressed_syntax_are_explained(tmp_path: Path) -> None:
    """A server that stores any bytes gets the image, and the report has the remark."""
    dataset = compressed(RLELossless, [RLE_FRAME])
    path = tmp_path / "image.dcm"
    path.write_bytes(relabelled(dataset, ExplicitVRLittleEndian))
    with StoreSCP("+B", "+xa") as storescp:
        result = send(path, *to(storescp), cwd=tmp_path)
        (received,) = storescp.received()
        assert dataset_of(received) == dataset_of(path)
    assert result.exit_code == 0
    assert codes(tmp_path) == {uid_of(1): ("pixel-data-encoding", "1")}


@each_tag
def test_a_wrong_byte_order_is_not_truncation(more: list[str], tmp_path: Path) -> None:
    """Big-endian images that are called little endian arrive, converted if necessary."""
    path = tmp_path / "image.dcm"
    big = shipped("MR_small_bigendian.dcm")
    path.write_bytes(raw.part10(dataset_of(big), ExplicitVRLittleEndian))
    pixels = dcmread(shipped("MR_small.dcm")).PixelData
    with Orthanc() as orthanc, StoreSCP("+xi") as storescp:
        for server in (orthanc, storescp):
            result = send(path, *more, *to(server), cwd=tmp_path)
            assert result.exit_code == 0, result.stderr
        (stored,) = (dcmread(BytesIO(file)) for file in orthanc.files())
        (received,) = (dcmread(file) for file in storescp.received())
    assert stored.file_meta.TransferSyntaxUID == ExplicitVRBigEndian
    assert stored.PixelData == dcmread(big).PixelData
    assert received.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert received.PixelData == pixels
