"""Senders by STOW-RS for tests, with short waits and timeouts."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from fw_gear_dicom_send.delivery.results import StoreResult, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.dicomweb.stow import WebSender
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.server_url import ServerURL
from fw_gear_dicom_send.values import replace

QUICK = RetryPolicy(min_wait=0.01, max_wait=0.02)
TIMEOUTS = Timeouts(connect=10, associate=10, response=30, find=30, tick=0.05)


def no_conversion(instance: SOPInstance, syntax: str) -> None:
    """Fail for any image: nothing is converted."""
    raise AssertionError(f"{instance.sop_instance_uid} needs {syntax}")


@contextmanager
def web_sender(
    url: str, *, timeouts: Timeouts = TIMEOUTS, transport: Transport | None = None, **options: Any
) -> Iterator[WebSender]:
    """Yield a sender for the server at a URL, and close it."""
    address = ServerURL.of(url)
    assert address
    sender = WebSender(
        address,
        options.pop("convert", no_conversion),
        transport=replace(transport or Transport(), timeouts=timeouts),
        policy=options.pop("policy", QUICK),
        **options,
    )
    try:
        yield sender
        sender.close()
    finally:
        sender.abort()


def send_once(url: str, *images: SOPInstance, **options: Any) -> list[StoreResult | Suspect]:
    """Send images one after another, without the second tries at the end of a run."""
    with web_sender(url, **options) as sender:
        return [sender.send(image) for image in images]
