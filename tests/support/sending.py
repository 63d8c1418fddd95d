"""Images that one thread sends one by one."""

from collections.abc import Callable, Iterable

from fw_gear_dicom_send.delivery.results import StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.reasons import Kind
from tests.support.fault_scp import FaultSCP
from tests.support.instances import made_instance
from tests.support.pacs import PythonSCP
from tests.support.results import final, outcomes, reason_with

SCUFactory = Callable[..., StorageSCU]
"""Factory of an SCU for a server, with options and the AE titles of both sides."""


def unconverted(_image: SOPInstance, _transfer_syntax_uid: str) -> Unreadable:
    """Convert no image."""
    return Unreadable(reason_with("not converted"))


def send_all(scu: StorageSCU, images: Iterable[SOPInstance]) -> list[StoreResult]:
    """Send images once and close the SCU; return the result of each."""
    results = [final(scu.send(image)) for image in images]
    scu.close()
    return results


def send_and_resend(scu: StorageSCU, images: Iterable[SOPInstance]) -> list[StoreResult]:
    """Send images, resend those that failed after the others, and close the SCU, as a run does."""
    results = [(image, scu.send(image)) for image in images]
    last = [
        scu.send(image, result) if isinstance(result, Suspect) else result
        for image, result in results
    ]
    scu.close()
    return list(map(final, last))


def fail_to_send(scu: StorageSCU, server: FaultSCP | PythonSCP) -> tuple[Kind | None, str]:
    """Send three images without success; return the kind and text of their common reason."""
    results = send_all(scu, [made_instance(n) for n in (1, 2, 3)])
    (failed,) = set(outcomes(results))
    assert not failed.is_sent
    assert "\n" not in failed.text
    assert f"127.0.0.1 port {server.port}" in failed.text
    return failed.kind, failed.text
