"""Presentation contexts that an association proposes for its images."""

from fw_gear_dicom_send.network.contexts import ECHO, Context
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.instances import instance, made_instance, relabelled
from tests.support.pacs import PythonSCP
from tests.support.results import SENT, outcomes
from tests.support.sample_files import shipped
from tests.support.sending import SCUFactory, send_all

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
PRIVATE_CLASS = "1.2.826.0.1.3680043.8.498.77"


def test_context_ids_are_odd_and_within_limits(scu: SCUFactory) -> None:
    """Context IDs are odd and below 256, at most 128 per association."""
    ids: list[list[int]] = []

    def script(peer: Peer) -> None:
        peer.accept()
        ids.append(list(peer.requested))
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        sender = scu(server)
        images = (relabelled(n, sop_class=f"1.2.3.{n}", transfer_syntax=RLE) for n in range(45))
        results = send_all(sender, images)
    assert all(one.is_sent for one in outcomes(results))
    assert len(ids) == 45
    assert max(len(numbers) for numbers in ids) == 127
    assert {n for numbers in ids for n in numbers} <= set(range(1, 256, 2))
    assert all(len(set(numbers)) == len(numbers) for numbers in ids)


def test_excess_contexts_need_more_associations(scu: SCUFactory) -> None:
    """All images arrive unchanged although their classes and syntaxes need 180 contexts."""
    pairs = {f"{PRIVATE_CLASS}.{n}": f"1.2.826.0.1.3680043.8.498.88.{n}" for n in range(60)}
    accept = {sop_class: [syntax, EXPLICIT, IMPLICIT] for sop_class, syntax in pairs.items()}
    images = [
        relabelled(n, sop_class=sop_class, transfer_syntax=syntax)
        for n, (sop_class, syntax) in enumerate(pairs.items())
    ]
    with PythonSCP(accept) as server:
        results = send_all(scu(server), images)
        assert outcomes(results) == [SENT] * 60
        assert {r.sop_class_uid: r.transfer_syntax for r in server.stored} == pairs
        assert len(server.stored) == 60
        assert max(len(request.contexts) for request in server.associations) <= 128


def test_a_new_pair_reopens_the_association_once(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """Pairs seen so far are proposed together and need no other association."""
    ct = [made_instance(n) for n in (1, 2, 3)]
    rle = [instance(shipped("MR_small_RLE.dcm")) for _ in range(2)]
    results = send_all(scu(python_scp), [ct[0], rle[0], ct[1], rle[1], ct[2]])
    assert outcomes(results) == [SENT] * 5
    assert [record.association for record in python_scp.stored] == [1, 2, 2, 2, 2]
    proposed = [
        sorted((c.abstract_syntax, *c.transfer_syntaxes) for c in request.contexts)
        for request in python_scp.associations
    ]
    first = [(ECHO.abstract_syntax, IMPLICIT), (CT, IMPLICIT), (CT, EXPLICIT)]
    assert proposed == [first, [*first, (MR, IMPLICIT), (MR, EXPLICIT), (MR, RLE)]]
    assert python_scp.released == 2
    assert python_scp.aborted == 0


def test_ae_titles_are_the_configured_ones(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """The request has the server's AE title and ours."""
    send_all(scu(python_scp, called_ae="PACS", calling_ae="flywheel"), [made_instance()])
    (request,) = python_scp.associations
    assert (request.called_ae, request.calling_ae) == ("PACS", "flywheel")


def test_contexts_are_listed_with_their_result(scu: SCUFactory) -> None:
    """The report shows each proposed context, and whether the server accepted it."""
    with PythonSCP({CT: [EXPLICIT]}) as server:
        sender = scu(server)
        assert sender.contexts == {}
        assert outcomes(send_all(sender, [made_instance()])) == [SENT]
        assert sender.contexts == {Context(CT, EXPLICIT): True, Context(CT, IMPLICIT): False}
