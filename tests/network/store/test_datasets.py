"""Datasets arrive completely, in fragments within the server's limit, or not at all."""

import io
import logging
import warnings

import pytest

from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.associations import CONTEXTS, opened
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import dataset_of, instance, made_instance, of_source, relabelled
from tests.support.pacs import StoreSCP
from tests.support.peers import peer_of
from tests.support.results import SENT, Outcome, outcomes
from tests.support.sample_files import encoded, made
from tests.support.sending import SCUFactory, send_all
from tests.support.waiting import wait_for, without_timeout

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def test_a_dataset_that_cannot_be_read_completely(scu: SCUFactory, storescp: StoreSCP) -> None:
    """If a source is truncated while it is read, its image fails, and the server stores no part."""
    file = encoded(made(1, pixels=512))
    whole, cut = instance(file), instance(file)
    cut.dataset.source.truncate(len(file) - 1000)
    results = send_all(scu(storescp), [cut, whole])
    message = f"{wording.NOT_READ}: the file was truncated during sending"
    assert outcomes(results) == [Outcome(False, Kind.NOT_READ, message), SENT]
    assert [dataset_of(path) for path in storescp.received()] == [dataset_of(file)]


def test_an_image_that_cannot_be_read_aborts_its_association(scu: SCUFactory) -> None:
    """The next image uses a new association, as the server waits for the rest on the old one."""
    with FaultSCP() as server:
        cut = of_source(io.BytesIO(bytes(1_000_000)), 2_000_000)
        results = send_all(scu(server), [cut, made_instance()])
        assert wait_for(lambda: sorted(server.ends) == ["aborted", "released"])
        assert [image.connection for image in server.images] == [2]
    assert [one.is_sent for one in outcomes(results)] == [False, True]


@pytest.mark.parametrize("maximum", [None, 0, 1, 16, 128, 129, 4096, 16384, 1 << 20, 0xFFFFFFFF])
def test_fragments_fit_the_server(scu: SCUFactory, maximum: int | None) -> None:
    """PDUs respect the server's limit, and all fragments have even length (PS3.8 D, E)."""

    def script(peer: Peer) -> None:
        peer.accept(maximum)
        peer.answer(peer.read_image())
        peer.read_to_end()

    file = encoded(made(1, pixels=32 if 0 < (maximum or 0) < 1000 else 512))
    with FaultSCP(script) as server:
        assert outcomes(send_all(scu(server), [instance(file)])) == [SENT]
        (image,) = server.images
    assert image.dataset == dataset_of(file)
    assert all(length % 2 == 0 for length in image.fragments)
    assert max(image.fragments) <= max(maximum or 1 << 30, 16) - 6


def test_invalid_uids_are_sent_and_not_logged(
    scu: SCUFactory, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """A UID with a leading zero or letters is sent unchanged, and never quoted in the log."""
    caplog.set_level(logging.DEBUG)
    uid = "1.2.003.doe"
    file = encoded(made(1, SOPInstanceUID=uid, SOPClassUID="1.2.3.smith"))
    recwarn.clear()
    caplog.clear()
    image = instance(file)
    with FaultSCP() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert outcomes(send_all(scu(server), [image])) == [SENT]
        assert [image.sop_instance_uid for image in server.images] == [uid]
    assert not [record for record in caplog.records if "doe" in record.getMessage()]
    assert not [record for record in caplog.records if "smith" in record.getMessage()]


def test_each_association_numbers_its_messages() -> None:
    """The first message ID is 1 in each association (PS3.7 E.1)."""
    with FaultSCP() as server:
        for _ in range(2):
            assoc = opened(peer_of(server))
            for number in range(3):
                assoc.send_c_store(made_instance(number), CONTEXTS[0])
            assoc.release()
        assert [image.message_id for image in server.images] == [1, 2, 3] * 2


def test_many_small_images_share_one_association(scu: SCUFactory) -> None:
    """None of 3,000 images is lost, sent twice, or delayed by a lost response."""
    images = (relabelled(n, sop_class=CT, transfer_syntax=EXPLICIT) for n in range(3000))
    with FaultSCP() as server:
        with without_timeout():
            results = send_all(scu(server), images)
        assert [image.sop_instance_uid for image in server.images] == [
            f"1.2.3.4.{n}" for n in range(3000)
        ]
        assert server.connections == 1
    assert outcomes(results) == [SENT] * 3000
