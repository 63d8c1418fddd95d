"""Storage commitment shows which instances a server keeps."""

from collections.abc import Sequence

import pytest
from pydicom.dataset import Dataset

from fw_gear_dicom_send.delivery.results import ImageReference, Verification
from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.dimse import (
    COMMAND_FIELD,
    MESSAGE_ID_BEING_RESPONDED_TO,
    STATUS,
    decode_command,
    number,
)
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.values import replace
from tests.support.archive_scp import ArchiveSCP
from tests.support.associations import associate
from tests.support.fault_scp import A_RELEASE_RQ, FaultSCP, Peer
from tests.support.pacs import Orthanc
from tests.support.pdus import event_report
from tests.support.peers import peer_of
from tests.support.querying import commitment_scu, query_pool, read_commitment_request
from tests.support.series import CT, SERIES, STUDY, image, reference, store, uids
from tests.support.waiting import LONG_TIMEOUTS, wait_for, without_timeout

N_EVENT_REPORT_RSP = 0x8100


def test_committed_images_are_not_missing() -> None:
    """Images that the report lists as failed are missing."""
    bad = next(iter(uids(5)))
    with ArchiveSCP(lambda uid: uid == bad) as server:
        store(server, *(image(n) for n in range(8)))
        scu = commitment_scu(server, timeouts=LONG_TIMEOUTS)
        answer = scu.verify([reference(n) for n in range(10)])
        assert answer == Verification(uids(0, 1, 2, 3, 4, 6, 7), uids(5, 8, 9))
        (request,) = server.commitments
    assert [
        (item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID)
        for item in request.ReferencedSOPSequence
    ] == [(reference(n).sop_class_uid, reference(n).sop_instance_uid) for n in range(10)]


@pytest.mark.slow
def test_a_thousand_images_are_requested_at_a_time() -> None:
    """Each image is in exactly one request, and each request has its own transaction UID."""
    asked = [ImageReference(CT, f"1.2.{n}", STUDY, SERIES) for n in range(1001)]
    with ArchiveSCP() as server:
        scu = commitment_scu(server, timeouts=LONG_TIMEOUTS)
        assert scu.verify(asked).absent == {image.sop_instance_uid for image in asked}
        requests = [one.ReferencedSOPSequence for one in server.commitments]
        assert len({one.TransactionUID for one in server.commitments}) == 2
        assert len(server.associations) == 1
    assert list(map(len, requests)) == [1000, 1]
    named = [item.ReferencedSOPInstanceUID for items in requests for item in items]
    assert named == [image.sop_instance_uid for image in asked]


(ONE,) = uids(1)
NOT_KNOWN = Verification(
    unknown={ONE: Reason(Kind.NO_COMMITMENT_REPORT, "on the same association in 1 s")}
)
ONE_SECOND = replace(LONG_TIMEOUTS, commitment=1)


def test_the_wait_for_an_absent_report_is_short() -> None:
    """A gear accepts no connections, so a report on another association is unknown."""
    with ArchiveSCP(reports=False) as server:
        scu = commitment_scu(server, timeouts=ONE_SECOND)
        with without_timeout():
            assert scu.verify([reference(1)]) == NOT_KNOWN


def test_orthanc_reports_on_another_association(orthanc: Orthanc) -> None:
    """Orthanc accepts the request but would report on a new association."""
    store(orthanc, image(1))
    scu = commitment_scu(orthanc, timeouts=ONE_SECOND)
    with without_timeout():
        assert scu.verify([reference(1)]).unknown.keys() == uids(1)


def test_a_rejected_commitment_shows_its_status() -> None:
    """The reason has the server's status."""
    with ArchiveSCP(action_status=0x0110) as server:
        scu = commitment_scu(server)
        reason = scu.verify([reference(1)]).unknown[ONE]
    assert reason.text == "the server rejected the storage commitment request with status 0x0110"


def test_an_image_in_both_sequences_is_not_committed() -> None:
    """A report that contradicts itself is not proof."""

    class Contradicting(ArchiveSCP):
        """SCP that reports failed images as committed, too."""

        @staticmethod
        def committed(named: Sequence[Dataset], _: Sequence[Dataset]) -> Sequence[Dataset]:
            """Return all images."""
            return named

    bad = uids(1)
    with Contradicting(lambda uid: uid in bad) as server:
        store(server, *(image(n) for n in range(2)))
        scu = commitment_scu(server, timeouts=LONG_TIMEOUTS)
        assert scu.verify([reference(0), reference(1)]) == Verification(uids(0), bad)


def test_an_image_in_no_sequence_of_the_report_is_unknown() -> None:
    """It is neither committed nor failed, because the server does not mention it."""
    unnamed = uids(1, 2)
    with ArchiveSCP(unnamed=unnamed) as server:
        store(server, *(image(n) for n in range(3)))
        scu = commitment_scu(server, timeouts=LONG_TIMEOUTS)
        answer = scu.verify([reference(n) for n in range(4)])
    unknown = dict.fromkeys(unnamed, Reason(Kind.NOT_COMMITTED))
    assert answer == Verification(uids(0), uids(3), unknown)


def test_a_report_is_answered_before_the_release() -> None:
    """A report is answered at any time (PS3.7 10.3.1), and the release follows."""
    received: list[bytes] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.socket.sendall(event_report(peer.context_id))
        received.append(peer.read_any().body)
        received.append(bytes([peer.read_any().type]))

    with FaultSCP(script) as server:
        assoc = associate(server)
        assert wait_for(lambda: assoc.is_usable and bool(received))
        assoc.release()
        assert wait_for(lambda: len(received) == 2)
    answer = decode_command(received[0][6:])
    assert number(answer, COMMAND_FIELD) == N_EVENT_REPORT_RSP
    assert number(answer, MESSAGE_ID_BEING_RESPONDED_TO) == 9
    assert number(answer, STATUS) == 0
    assert received[1] == bytes([A_RELEASE_RQ])


@pytest.mark.parametrize("vr", [b"UI", b"US", b"DS", b"ZZ"])
def test_a_report_with_another_vr_is_not_decoded(vr: bytes) -> None:
    """A sequence with the VR of a value fails the request, and nothing else."""

    def script(peer: Peer) -> None:
        peer.accept()
        dataset = read_commitment_request(peer)
        transaction = dataset[: dataset.index(b"\x08\0\x99\x11")]
        value = b"\x08\0\x99\x11" + vr + b"\x04\x001.23"
        peer.socket.sendall(event_report(peer.context_id, transaction + value))
        peer.read_to_end()

    with FaultSCP(script) as server:
        scu = CommitmentSCU(query_pool(peer_of(server), LONG_TIMEOUTS), timeouts=LONG_TIMEOUTS)
        (reason,) = scu.verify([reference(1)]).unknown.values()
    assert reason.kind is Kind.QUERY_FAILED
