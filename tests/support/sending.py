"""Images that one thread sends, one after the other."""

from collections.abc import Callable, Iterable

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import StoreResult
from tests.support.fault_scp import FaultSCP
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP

SCUFactory = Callable[..., StorageSCU]
"""Makes an SCU for a server, with its retry time and the AE titles of both sides."""


def send_all(scu: StorageSCU, images: Iterable[SOPInstance]) -> list[StoreResult]:
    """Send images, and close the SCU; return what became of each."""
    results = [scu.send(image) for image in images]
    scu.close()
    return results


def fail_to_send(scu: StorageSCU, server: FaultSCP | PythonSCP) -> str:
    """Send three images in vain, and return the one reason they have in common."""
    results = send_all(scu, [made_instance(n) for n in (1, 2, 3)])
    assert {result.sent for result in results} == {False}
    (reason,) = {result.remark for result in results}
    assert "\n" not in reason
    assert f"127.0.0.1 port {server.port}" in reason
    return reason
