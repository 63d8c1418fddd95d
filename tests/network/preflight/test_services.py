"""Support for queries and storage commitment is detected without using them."""

from fw_gear_dicom_send.dicom.uids import PATIENT_ROOT_FIND, STORAGE_COMMITMENT, STUDY_ROOT_FIND
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.preflight import services
from fw_gear_dicom_send.network.types import ServiceAnswer
from tests.support import wording
from tests.support.archive_scp import ArchiveSCP
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.pacs import DcmQRSCP, Orthanc
from tests.support.peers import peer_of

IMAGES = [Context("1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.1.2.1")]
NOT_SUPPORTED = f"{wording.NO_ABSTRACT_SYNTAX} (3)"


def test_real_servers_show_their_services(orthanc: Orthanc) -> None:
    """Orthanc offers all; dcmqrscp has no storage commitment."""
    uids = (STUDY_ROOT_FIND, PATIENT_ROOT_FIND, STORAGE_COMMITMENT)
    assert services(peer_of(orthanc), IMAGES) == tuple(
        ServiceAnswer(uid, is_accepted=True) for uid in uids
    )
    with DcmQRSCP() as server:
        found = services(peer_of(server, server.ae_title), IMAGES)
    assert found == (
        ServiceAnswer(STUDY_ROOT_FIND, is_accepted=True),
        ServiceAnswer(PATIENT_ROOT_FIND, is_accepted=True),
        ServiceAnswer(STORAGE_COMMITMENT, is_accepted=False, refusal=NOT_SUPPORTED),
    )


def test_no_query_is_sent() -> None:
    """Contexts are proposed, and the associations are released."""
    with ArchiveSCP() as server:
        found = services(peer_of(server), IMAGES)
        assert [answer.is_accepted for answer in found] == [True, False, True]
        assert server.queries == server.commitments == []
        assert (server.released, server.aborted) == (2, 0)


def test_a_service_may_be_offered_without_images_only() -> None:
    """Contexts that are rejected together with images are proposed alone."""

    def script(peer: Peer) -> None:
        peer.accept(refused=[STUDY_ROOT_FIND] if peer.number == 1 else [])
        peer.read_to_end()

    with FaultSCP(script) as server:
        first, *others = services(peer_of(server), IMAGES)
        assert server.connections == 2
    assert first == ServiceAnswer(STUDY_ROOT_FIND, is_accepted=True, is_alone=True)
    assert all(answer.is_accepted and not answer.is_alone for answer in others)


def test_a_server_that_rejects_the_association_offers_nothing() -> None:
    """Some servers reject an association because of its contexts; their reason is shown."""
    with FaultSCP(lambda peer: peer.reject(1, 1, 1)) as server:
        found = services(peer_of(server), IMAGES)
    assert not any(answer.is_accepted for answer in found)
    assert all(f"{wording.REJECTED}: {wording.NO_REASON}" in one.refusal for one in found)
