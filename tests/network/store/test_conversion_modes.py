"""Effect of the option `conversion` on images."""

import struct

import pydicom
import pytest

from fw_gear_dicom_send.option_values import ConversionMode
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.instances import instance
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.sample_files import shipped
from tests.support.sending import SCUFactory, send_all

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def test_never_sends_only_images_accepted_unchanged(scu: SCUFactory) -> None:
    """DCMTK's storescp accepts no compression: such an image fails, and the others arrive."""
    names = ["CT_small.dcm", "JPEG2000.dcm", "MR_small.dcm"]
    with StoreSCP() as server:
        sender = scu(server, conversion=ConversionMode.NEVER)
        results = send_all(sender, [instance(shipped(name)) for name in names])
        assert len(server.received()) == 2
    message = (
        f"{wording.ACCEPTED} Secondary Capture Image Storage in JPEG 2000 Image Compression "
        "only as Explicit VR Little Endian, but conversion is set to never"
    )
    assert outcomes(results) == [SENT, Outcome(False, Kind.CONVERSION_OFF, message), SENT]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_never_does_not_change_uncompressed_images(scu: SCUFactory, syntax: str) -> None:
    """An image arrives in its own syntax or not at all."""
    names = ["MR_small.dcm", "MR_small_implicit.dcm"]
    with PythonSCP({MR: [syntax]}) as server:
        sender = scu(server, conversion=ConversionMode.NEVER)
        results = send_all(sender, [instance(shipped(name)) for name in names])
        assert [record.transfer_syntax for record in server.stored] == [syntax]
    assert [one.is_sent for one in outcomes(results)] == [syntax == EXPLICIT, syntax == IMPLICIT]


@pytest.mark.parametrize(("options", "syntax"), [(("+xa",), EXPLICIT), (("+xi",), IMPLICIT)])
def test_uncompressed_decodes_even_if_the_server_accepts_more(
    scu: SCUFactory, options: tuple[str, ...], syntax: str
) -> None:
    """Images arrive uncompressed with unchanged values, although storescp accepts compression."""
    names = ["MR_small_RLE.dcm", "MR_small_bigendian.dcm", "MR_small_jpeg_ls_lossless.dcm"]
    with StoreSCP("+uf", *options) as server:
        sender = scu(server, conversion=ConversionMode.UNCOMPRESSED)
        results = send_all(sender, [instance(shipped(name)) for name in names])
        arrived = [pydicom.dcmread(path) for path in server.received()]
    assert {one.kind for one in outcomes(results)} == {Kind.CONVERTED_AS_ASKED}
    message = "converted from RLE Lossless to " + pydicom.uid.UID(syntax).name
    assert outcome(results[0]) == Outcome(True, Kind.CONVERTED_AS_ASKED, message)
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in arrived} == {syntax}
    pixels = pydicom.dcmread(shipped("MR_small.dcm")).PixelData
    assert [dataset.PixelData for dataset in arrived] == [pixels] * 3


def test_uncompressed_proposes_nothing_else(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """Images that are already uncompressed arrive byte for byte, also in implicit VR."""
    names = ["MR_small_implicit.dcm", "MR_small_RLE.dcm", "MR_small.dcm"]
    sender = scu(python_scp, conversion=ConversionMode.UNCOMPRESSED)
    results = send_all(sender, [instance(shipped(name)) for name in names])
    assert [one.is_sent for one in outcomes(results)] == [True] * 3
    assert [one.transfer_syntax for one in python_scp.stored] == [IMPLICIT, EXPLICIT, EXPLICIT]
    (request,) = python_scp.associations
    proposed = {tuple(one.transfer_syntaxes) for one in request.contexts}
    assert proposed == {(EXPLICIT,), (IMPLICIT,)}
    assert [outcomes(results)[n] for n in (0, 2)] == [SENT] * 2


def test_uncompressed_fails_undecodable_images(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """A damaged image fails with its reason, and the next one is sent."""
    whole = shipped("MR_small_RLE.dcm").read_bytes()
    damaged = whole.replace(struct.pack("<II", 2, 64), struct.pack("<II", 3, 64))
    assert damaged != whole
    images = [instance(damaged), instance(whole)]
    results = send_all(scu(python_scp, conversion=ConversionMode.UNCOMPRESSED), images)
    kinds = [one.kind for one in outcomes(results)]
    assert kinds == [Kind.NOT_CONVERTIBLE, Kind.CONVERTED_AS_ASKED]
