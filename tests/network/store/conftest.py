"""Fixtures of the tests of sending."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from fw_gear_dicom_send.network.store import RESEND_POLICY, StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.option_values import ConversionMode
from fw_gear_dicom_send.retry import RetryPolicy
from tests.support.peers import Server, peer_of
from tests.support.sending import SCUFactory
from tests.support.transcoding import convert
from tests.support.waiting import LONG_TIMEOUTS


@pytest.fixture
def scu(tmp_path: Path) -> Iterator[SCUFactory]:
    """Factory of an SCU for a server, which is closed at the end."""
    made: list[StorageSCU] = []

    def make(
        server: Server,
        *,
        retry_time: float = 300,
        timeouts: Timeouts = LONG_TIMEOUTS,
        policy: RetryPolicy = RESEND_POLICY,
        is_dry: bool = False,
        conversion: ConversionMode = ConversionMode.WHEN_NEEDED,
        **titles: str,
    ) -> StorageSCU:
        made.append(
            StorageSCU(
                peer_of(server, **titles),
                partial(convert, work=tmp_path),
                retry_time=retry_time,
                transport=Transport(timeouts=timeouts),
                policy=policy,
                is_dry=is_dry,
                conversion=conversion,
            )
        )
        return made[-1]

    yield make
    for one in made:
        one.abort()
