"""Checks of servers that fail."""

import pytest

from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network.preflight import REJECTION_POLICY, check
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.waiting import LONG_TIMEOUTS, without_timeout


def check_failure(
    peer: PeerAE, *, policy: RetryPolicy = REJECTION_POLICY, timeouts: Timeouts = LONG_TIMEOUTS
) -> str:
    """Return the one-line failure of a check, and verify that no long timeout has passed."""
    with without_timeout(), pytest.raises(ServerError) as caught:
        check(peer, policy=policy, timeouts=timeouts)
    assert "\n" not in str(caught.value)
    return str(caught.value).removeprefix(f"127.0.0.1 port {peer.port} ")
