"""Images that one thread sends, one after the other."""

from collections.abc import Callable, Iterable

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import StoreResult

SCUFactory = Callable[..., StorageSCU]
"""Makes an SCU for a server, with its retry time and the AE titles of both sides."""


def send_all(scu: StorageSCU, images: Iterable[SOPInstance]) -> list[StoreResult]:
    """Send images, and close the SCU; return what became of each."""
    results = [scu.send(image) for image in images]
    scu.close()
    return results
