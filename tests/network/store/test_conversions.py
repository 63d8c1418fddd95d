"""Images are converted for a server that does not accept them unchanged."""

import io
from array import array
from pathlib import Path

import pydicom
import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import datasets as raw
from tests.support import transcoding, wording
from tests.support.instances import dataset_of, instance, made_instance
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.peers import peer_of
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.sample_files import encoded, shipped
from tests.support.sending import SCUFactory, send_all

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
GE_BIG_ENDIAN_PIXELS = "1.2.840.113619.5.2"


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_images_are_decompressed_if_necessary(scu: SCUFactory, syntax: str) -> None:
    """If only one uncompressed syntax is accepted, images arrive in it with unchanged pixels."""
    with PythonSCP({MR: [syntax]}) as server:
        (result,) = send_all(scu(server), [instance(shipped("MR_small_RLE.dcm"))])
        (record,) = server.stored
    name = pydicom.uid.UID(syntax).name
    message = f"{wording.ACCEPTED} MR Image Storage in RLE Lossless only as {name}"
    assert outcome(result) == Outcome(True, Kind.CONVERTED, message)
    assert record.transfer_syntax == syntax
    arrived = pydicom.dcmread(io.BytesIO(record.file()))
    assert arrived.PixelData == pydicom.dcmread(shipped("MR_small.dcm")).PixelData


@pytest.mark.parametrize(("options", "syntax"), [((), EXPLICIT), (("+xi",), IMPLICIT)])
def test_storescp_receives_accepted_syntaxes(
    scu: SCUFactory, options: tuple[str, ...], syntax: str
) -> None:
    """DCMTK's storescp, which by default accepts no compression, receives all images readable."""
    names = ["MR_small_RLE.dcm", "JPEG2000.dcm", "CT_small.dcm"]
    with StoreSCP(*options) as server:
        results = send_all(scu(server), [instance(shipped(name)) for name in names])
        arrived = [pydicom.dcmread(path) for path in server.received()]
    converted, as_it_is = (True, Kind.CONVERTED), SENT[:2]
    assert [one[:2] for one in outcomes(results)] == [
        converted,
        converted,
        converted if syntax == IMPLICIT else as_it_is,
    ]
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in arrived} == {syntax}
    assert pydicom.dcmread(shipped("MR_small.dcm")).PixelData in [d.PixelData for d in arrived]


def test_lossy_images_arrive_with_their_statement(scu: SCUFactory) -> None:
    """DCMTK and Orthanc, which accept no compression, receive what the file did not state."""
    source = pydicom.dcmread(shipped("SC_rgb_small_odd_jpeg.dcm"))
    del source.LossyImageCompression
    data = encoded(source)
    with StoreSCP() as storescp, Orthanc(AcceptedTransferSyntaxes=[EXPLICIT]) as orthanc:
        results = [*send_all(scu(storescp), [instance(data)])]
        results += send_all(scu(orthanc), [instance(data)])
        files = [*(path.read_bytes() for path in storescp.received()), *orthanc.files()]
    kinds = [[remark.kind for remark in result.remarks] for result in results]
    assert kinds == [[Kind.CONVERTED, Kind.LOSSY_COMPRESSION]] * 2
    for file in files:
        arrived = pydicom.dcmread(io.BytesIO(file))
        assert arrived.file_meta.TransferSyntaxUID == EXPLICIT
        assert arrived.LossyImageCompression == "01"
        assert arrived.pixel_array.shape == (3, 3, 3)
    assert len(files) == 2


def big_endian_pixels() -> tuple[bytes, bytes]:
    """Return an image in GE's private transfer syntax, and its little-endian pixels."""
    data = dataset_of(shipped("MR_small_implicit.dcm"))
    pixels = pydicom.dcmread(shipped("MR_small_implicit.dcm")).PixelData
    words = array("H", pixels)
    words.byteswap()
    return raw.part10(data.replace(pixels, words.tobytes()), GE_BIG_ENDIAN_PIXELS), pixels


def test_pixels_of_ge_arrive_unchanged_where_accepted(scu: SCUFactory) -> None:
    """A server that accepts GE's private transfer syntax receives the dataset as it is."""
    data, _ = big_endian_pixels()
    with PythonSCP({MR: [GE_BIG_ENDIAN_PIXELS, EXPLICIT]}) as server:
        results = send_all(scu(server), [instance(data)])
        (record,) = server.stored
    assert outcomes(results) == [SENT]
    assert record.transfer_syntax == GE_BIG_ENDIAN_PIXELS
    assert dataset_of(record.file()) == dataset_of(data)


def test_pixels_of_ge_arrive_swapped_elsewhere(scu: SCUFactory) -> None:
    """DCMTK and Orthanc, which do not know the transfer syntax, receive little-endian pixels."""
    data, pixels = big_endian_pixels()
    with StoreSCP() as storescp, Orthanc() as orthanc:
        results = [*send_all(scu(storescp), [instance(data)])]
        results += send_all(scu(orthanc), [instance(data)])
        files = [*(path.read_bytes() for path in storescp.received()), *orthanc.files()]
    assert [one[:2] for one in outcomes(results)] == [(True, Kind.CONVERTED)] * 2
    arrived = [pydicom.dcmread(io.BytesIO(file)) for file in files]
    assert [dataset.PixelData for dataset in arrived] == [pixels] * 2


def test_a_failed_conversion_has_its_reason() -> None:
    """An image that cannot be converted is not sent, and the next one is."""

    def refuse(_image: SOPInstance, _syntax: str) -> Unreadable:
        return Unreadable(Reason(Kind.NOT_CONVERTIBLE, "RLE Lossless"))

    with PythonSCP({MR: [EXPLICIT], CT: [EXPLICIT]}) as server:
        sender = StorageSCU(peer_of(server), refuse)
        results = send_all(sender, [instance(shipped("MR_small_RLE.dcm")), made_instance()])
    message = f"{wording.CANNOT_CONVERT} RLE Lossless"
    assert outcomes(results) == [Outcome(False, Kind.NOT_CONVERTIBLE, message), SENT]


def test_converted_datasets_are_closed(tmp_path: Path) -> None:
    """A converted dataset is closed after it is sent or rejected."""
    converted: list[SOPInstance] = []

    def convert(image: SOPInstance, syntax: str) -> SOPInstance | Unreadable:
        result = transcoding.convert(image, syntax, tmp_path)
        assert isinstance(result, SOPInstance)
        converted.append(result)
        return result

    with PythonSCP({MR: [EXPLICIT]}, [0xC000]) as server:
        sender = StorageSCU(peer_of(server), convert)
        results = send_all(sender, [instance(shipped("MR_small_RLE.dcm")) for _ in range(2)])
    assert [one.is_sent for one in outcomes(results)] == [False, True]
    assert len(converted) == 2
    assert all(image.dataset.source.closed for image in converted)
