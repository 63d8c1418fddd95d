"""Checks of servers that fail."""

import time

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.preflight import check
from fw_gear_dicom_send.network.types import PeerAE

SOON = 5.0


def check_failure(peer: PeerAE, seconds: float = SOON, patience: float = 10) -> str:
    """Return the one line in which a check fails, soon."""
    begun = time.monotonic()
    with pytest.raises(ServerError) as caught:
        check(peer, patience=patience)
    assert time.monotonic() - begun < seconds
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"127.0.0.1 port {peer.port} ")
