"""Storage commitment tells which instances a server keeps."""

import time

import pytest

from fw_gear_dicom_send.network import query as query_scu
from fw_gear_dicom_send.network.query import CommitmentSCU, QueryError
from tests.support.archive_scp import ArchiveSCP
from tests.support.pacs import Orthanc
from tests.support.peers import peer_of
from tests.support.series import image, reference, store, uids


def test_what_is_committed_is_not_missing() -> None:
    """Of many images those are missing that the report calls failed, in several requests."""
    bad = next(iter(uids(5)))
    with ArchiveSCP(lambda uid: uid == bad) as server:
        store(server, *(image(n) for n in range(8)))
        with pytest.MonkeyPatch.context() as patch:
            scu = CommitmentSCU(peer_of(server, server.ae_title))
            patch.setattr(query_scu, "MOST_REFERENCES", 3)
            assert scu.missing([reference(n) for n in range(10)]) == uids(5, 8, 9)
        assert [len(one.ReferencedSOPSequence) for one in server.commitments] == [3, 3, 3, 1]
        assert len({one.TransactionUID for one in server.commitments}) == 4


def test_a_report_that_does_not_come_here_is_not_waited_for_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A gear cannot be connected to: what is reported elsewhere is not known."""
    monkeypatch.setattr(query_scu, "COMMITMENT_TIMEOUT", 0.5)
    with ArchiveSCP(reports=False) as server:
        scu = CommitmentSCU(peer_of(server, server.ae_title))
        begun = time.monotonic()
        with pytest.raises(QueryError, match="did not report a storage commitment on the same"):
            scu.missing([reference(1)])
        assert time.monotonic() - begun < 5


def test_orthanc_reports_elsewhere(monkeypatch: pytest.MonkeyPatch, orthanc: Orthanc) -> None:
    """Orthanc takes the request, and would open an association of its own for the report."""
    monkeypatch.setattr(query_scu, "COMMITMENT_TIMEOUT", 1)
    store(orthanc, image(1))
    scu = CommitmentSCU(peer_of(orthanc, orthanc.ae_title))
    with pytest.raises(QueryError):
        scu.missing([reference(1)])


def test_a_commitment_that_is_refused_says_its_status() -> None:
    """The error has the status of the server."""
    with ArchiveSCP(action_status=0x0110) as server, pytest.raises(QueryError) as caught:
        CommitmentSCU(peer_of(server, server.ae_title)).missing([reference(1)])
    assert str(caught.value) == "the server refuses storage commitment with status 0x0110"
