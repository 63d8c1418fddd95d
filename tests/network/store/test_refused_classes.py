"""A SOP class that the server does not accept costs only the images of that class."""

from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.fault_scp import FaultSCP
from tests.support.instances import instance, made_instance
from tests.support.pacs import PythonSCP
from tests.support.results import SENT, Outcome, outcome, outcomes
from tests.support.sample_files import shipped
from tests.support.sending import SCUFactory, send_all

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"


def test_an_unaccepted_class_costs_only_its_images(scu: SCUFactory) -> None:
    """Rejected images have their class in the reason, and no association is opened for each."""
    rle = "MR_small_RLE.dcm"
    with PythonSCP({CT: [EXPLICIT]}) as server:
        images = [made_instance(1), *(instance(shipped(rle)) for _ in range(5)), made_instance(2)]
        results = send_all(scu(server), images)
        assert len(server.associations) == 2
        assert len(server.stored) == 2
    message = f"{wording.NOT_ACCEPTED} MR Image Storage in RLE Lossless"
    refused = Outcome(False, Kind.NOT_ACCEPTED, message)
    assert outcomes(results) == [SENT, *[refused] * 5, SENT]


def test_a_server_that_accepts_no_context_gets_one_request(scu: SCUFactory) -> None:
    """If no class is accepted at first, a later class can still be sent."""
    with PythonSCP({CT: [EXPLICIT]}) as server:
        images = [*(instance(shipped("MR_small_RLE.dcm")) for _ in range(3)), made_instance()]
        results = send_all(scu(server), images)
        assert len(server.associations) == 2
    assert [one.is_sent for one in outcomes(results)] == [False, False, False, True]


def test_an_accepted_context_without_transfer_syntax_is_ignored(scu: SCUFactory) -> None:
    """Without a transfer syntax in the response, the context cannot be used."""
    with FaultSCP(lambda peer: peer.accept(syntaxes=False)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    message = f"{wording.NOT_ACCEPTED} CT Image Storage in Explicit VR Little Endian"
    assert outcome(result) == Outcome(False, Kind.NOT_ACCEPTED, message)
