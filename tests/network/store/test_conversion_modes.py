"""What becomes of images by the option `conversion`."""

import pytest

from fw_gear_dicom_send.network.types import ConversionMode
from fw_gear_dicom_send.reasons import Kind
from tests.support.instances import instance
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.results import SENT, Outcome, outcomes
from tests.support.sample_files import shipped
from tests.support.sending import SCUFactory, send_all

MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def test_never_sends_only_what_is_taken_as_it_is(scu: SCUFactory) -> None:
    """DCMTK's storescp takes no compression: such an image fails and the others arrive."""
    names = ["CT_small.dcm", "JPEG2000.dcm", "MR_small.dcm"]
    with StoreSCP() as server:
        sender = scu(server, conversion=ConversionMode.NEVER)
        results = send_all(sender, [instance(shipped(name)) for name in names])
        assert len(server.received()) == 2
    told = (
        "the server takes Secondary Capture Image Storage in JPEG 2000 Image Compression only as "
        "Explicit VR Little Endian, and conversion is never"
    )
    assert outcomes(results) == [SENT, Outcome(False, Kind.CONVERSION_OFF, told), SENT]


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_never_does_not_change_uncompressed_images_either(scu: SCUFactory, syntax: str) -> None:
    """An image arrives in its own syntax or not at all."""
    names = ["MR_small.dcm", "MR_small_implicit.dcm"]
    with PythonSCP({MR: [syntax]}) as server:
        sender = scu(server, conversion=ConversionMode.NEVER)
        results = send_all(sender, [instance(shipped(name)) for name in names])
        assert [record.transfer_syntax for record in server.stored] == [syntax]
    assert [one.is_sent for one in outcomes(results)] == [syntax == EXPLICIT, syntax == IMPLICIT]
