"""Study with two series, whose images tests store and query."""

from fw_gear_dicom_send.delivery.results import ImageReference, Sent
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from tests.support.instances import made_instance
from tests.support.pacs import DcmQRSCP, Orthanc, PythonSCP
from tests.support.peers import peer_of
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS

CT = "1.2.840.10008.5.1.4.1.1.2"
STUDY, SERIES, OTHER = "1.2.3.10", "1.2.3.11", "1.2.3.12"


def image(number: int, series: str = SERIES) -> SOPInstance:
    """Return the image with this number in a series."""
    return made_instance(number, StudyInstanceUID=STUDY, SeriesInstanceUID=series)


def reference(number: int, series: str = SERIES) -> ImageReference:
    """Return the reference to the image with this number."""
    return ImageReference(CT, image(number).sop_instance_uid, STUDY, series)


def uids(*numbers: int) -> frozenset[str]:
    """Return the SOP Instance UIDs of the images with these numbers."""
    return frozenset(image(number).sop_instance_uid for number in numbers)


def store(server: Orthanc | DcmQRSCP | PythonSCP, *images: SOPInstance) -> None:
    """Send images to a server, and check that it accepts all."""
    peer = peer_of(server, server.ae_title)
    transport = Transport(timeouts=LONG_TIMEOUTS)
    scu = StorageSCU(peer, unconverted, retry_time=0, transport=transport)
    assert all(isinstance(scu.send(one), Sent) for one in images)
    scu.close()
