"""A query waits for a server that is at its limit of associations."""

from threading import Timer

import backoff
import pytest

from fw_gear_dicom_send.dicom.types import Unreadable
from fw_gear_dicom_send.network.query import FindSCU, QueryError
from fw_gear_dicom_send.network.store import StorageSCU
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP
from tests.support.peers import peer_of
from tests.support.scripted import AT_LIMIT, rejecting
from tests.support.series import SERIES, STUDY, image, uids


def test_a_server_that_is_slow_to_forget_is_asked_again() -> None:
    """The association that made room may still count when the query asks for its own."""
    with ArchiveSCP() as server:
        server.ae.maximum_associations = 1
        scu = StorageSCU(peer_of(server, server.ae_title), lambda *_: Unreadable(""))
        assert scu.send(image(0)).sent
        Timer(0.5, scu.close).start()
        find = FindSCU(peer_of(server, server.ae_title))
        assert find.present(STUDY, SERIES) == uids(0)


def test_a_server_that_stays_at_its_limit_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """After a few tries nothing is known of what it has."""
    monkeypatch.setattr(backoff, "full_jitter", lambda _: 0.0)
    with FaultSCP(rejecting(AT_LIMIT)) as server:
        find = FindSCU(peer_of(server))
        with pytest.raises(QueryError, match="limit of assoc"):
            find.present(STUDY, SERIES)
        assert server.connections == 5
