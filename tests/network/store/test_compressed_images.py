"""Uncompressed images are compressed for a slow link if the server accepts that."""

import io
from collections.abc import Iterator
from pathlib import Path

import imagecodecs
import numpy as np
import pydicom
import pytest

from fw_gear_dicom_send.dicom.conversion import Conversion
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.option_values import ConversionMode
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support.compressing import JPEG_2000, JPEG_LS, Shape, decoded
from tests.support.instances import instance
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.peers import Server, peer_of
from tests.support.results import SENT, Outcome, outcomes
from tests.support.sample_files import encoded, shipped
from tests.support.sending import send_all
from tests.support.waiting import LONG_TIMEOUTS

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT, RLE = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
ASKED = (True, Kind.CONVERTED_AS_ASKED)


@pytest.fixture
def conversion(tmp_path: Path) -> Iterator[Conversion]:
    """Converter for the images of a run."""
    with Conversion(tmp_path) as made:
        yield made


def sender(server: Server, conversion: Conversion) -> StorageSCU:
    """Return an SCU that compresses."""
    mode = ConversionMode.LOSSLESS
    transport = Transport(timeouts=LONG_TIMEOUTS)
    return StorageSCU(peer_of(server), conversion, conversion=mode, transport=transport)


def images(*names: str) -> list[SOPInstance]:
    """Return images shipped with pydicom."""
    return [instance(shipped(name)) for name in names]


@pytest.mark.parametrize(("option", "syntax"), [("+xa", JPEG_LS), ("+xv", JPEG_2000)])
def test_storescp_receives_an_accepted_compression(
    conversion: Conversion, option: str, syntax: str
) -> None:
    """It is JPEG-LS if accepted, otherwise JPEG 2000; the pixels are the original ones."""
    names = ["CT_small.dcm", "MR_small.dcm", "MR_small_implicit.dcm"]
    with StoreSCP("+uf", option) as server:
        results = send_all(sender(server, conversion), images(*names))
        arrived = [pydicom.dcmread(path) for path in server.received()]
    assert [one[:2] for one in outcomes(results)] == [ASKED] * 3
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in arrived} == {syntax}
    originals = [pydicom.dcmread(shipped(name)) for name in names]
    assert sorted(decoded(dataset).tobytes() for dataset in arrived) == sorted(
        dataset.PixelData for dataset in originals
    )


def test_storescp_without_compression_receives_none(conversion: Conversion) -> None:
    """Images arrive unchanged without a remark."""
    with StoreSCP() as server:
        results = send_all(sender(server, conversion), images("CT_small.dcm", "MR_small.dcm"))
        arrived = [pydicom.dcmread(path) for path in server.received()]
    assert outcomes(results) == [SENT] * 2
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in arrived} == {EXPLICIT}


def test_orthanc_decodes_the_original_pixels(orthanc: Orthanc, conversion: Conversion) -> None:
    """It decodes each frame of a multi-frame image to the original."""
    shape = Shape(64, 50, 3, stored=12)
    pixels = shape.pixels()
    image = instance(encoded(shape.dataset(pixels)))
    results = send_all(sender(orthanc, conversion), [image])
    message = f"converted from Explicit VR Little Endian to {JPEG_LS.name}"
    assert outcomes(results) == [Outcome(*ASKED, message)]
    found = f"/instances/{orthanc.ids()[image.sop_instance_uid]}"
    file = pydicom.dcmread(io.BytesIO(orthanc.get(f"{found}/file").content))
    assert file.file_meta.TransferSyntaxUID == JPEG_LS
    frames = [
        imagecodecs.png_decode(orthanc.get(f"{found}/frames/{number}/image-uint16").content)
        for number in range(3)
    ]
    assert (np.stack(frames) == pixels[..., 0]).all()


def test_only_uncompressed_images_are_compressed(
    conversion: Conversion, python_scp: PythonSCP
) -> None:
    """Compressed images and reports arrive unchanged."""
    names = ["MR_small_RLE.dcm", "MR_small.dcm", "test-SR.dcm", "MR_small_bigendian.dcm"]
    results = send_all(sender(python_scp, conversion), images(*names))
    assert [one.is_sent for one in outcomes(results)] == [True] * 4
    syntaxes = [one.transfer_syntax for one in python_scp.stored]
    assert syntaxes == [RLE, JPEG_LS, EXPLICIT, "1.2.840.10008.1.2.2"]


def test_unsupported_images_are_sent_uncompressed(conversion: Conversion) -> None:
    """If the server accepts only implicit VR, they are converted to it."""
    names = ["rtdose.dcm", "MR_small.dcm"]
    dose = "1.2.840.10008.5.1.4.1.1.481.2"
    for syntax, expected in ((IMPLICIT, SENT[:2]), (EXPLICIT, (True, Kind.CONVERTED))):
        with PythonSCP({dose: [JPEG_LS, syntax], MR: [JPEG_LS]}) as server:
            results = send_all(sender(server, conversion), images(*names))
            stored = [one.transfer_syntax for one in server.stored]
        assert [one[:2] for one in outcomes(results)] == [expected, ASKED]
        assert stored == [syntax, JPEG_LS]


def test_a_failed_compression_is_a_remark() -> None:
    """The image arrives uncompressed."""

    def fail(_image: SOPInstance, _syntax: str) -> Unreadable:
        return Unreadable(Reason(Kind.NOT_COMPRESSED, "a frame differs"))

    with PythonSCP({CT: [JPEG_LS, EXPLICIT]}) as server:
        scu = StorageSCU(peer_of(server), fail, conversion=ConversionMode.LOSSLESS)
        results = send_all(scu, images("CT_small.dcm"))
        (record,) = server.stored
    message = "sent uncompressed: a frame differs"
    assert outcomes(results) == [Outcome(True, Kind.NOT_COMPRESSED, message)]
    assert record.transfer_syntax == EXPLICIT


def test_an_image_without_space_is_sent_uncompressed_in_its_second_try() -> None:
    """The first one fails, so that the run can put the image off until it is alone."""

    def fail(_image: SOPInstance, _syntax: str) -> Unreadable:
        return Unreadable(Reason(Kind.NO_SPACE))

    with PythonSCP({CT: [JPEG_LS, EXPLICIT]}) as server:
        scu = StorageSCU(peer_of(server), fail, conversion=ConversionMode.LOSSLESS)
        results = send_all(scu, images("CT_small.dcm", "CT_small.dcm"))
        (record,) = server.stored
    assert [one[:2] for one in outcomes(results)] == [
        (False, Kind.NO_SPACE),
        (True, Kind.NOT_COMPRESSED),
    ]
    assert record.transfer_syntax == EXPLICIT


def test_compressed_datasets_are_closed(conversion: Conversion) -> None:
    """A compressed dataset is closed after it is sent or rejected."""
    made: list[SOPInstance] = []

    def convert(image: SOPInstance, syntax: str) -> SOPInstance | Unreadable | None:
        result = conversion(image, syntax)
        assert isinstance(result, SOPInstance)
        made.append(result)
        return result

    with PythonSCP({MR: [JPEG_LS]}, [0xC000]) as server:
        scu = StorageSCU(peer_of(server), convert, conversion=ConversionMode.LOSSLESS)
        results = send_all(scu, images("MR_small.dcm", "MR_small.dcm"))
    assert [one.is_sent for one in outcomes(results)] == [False, True]
    assert [image.dataset.source.closed for image in made] == [True] * 2
