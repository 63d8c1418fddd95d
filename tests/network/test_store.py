"""What becomes of images that are sent to all sorts of servers."""

import io
import logging
import signal
import socket
import threading
import time
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from types import FrameType

import pydicom
import pytest
from pydicom.dataset import Dataset

from fw_gear_dicom_send.dicom.transcode import converter as transcoder
from fw_gear_dicom_send.dicom.types import SOPInstance, Unreadable
from fw_gear_dicom_send.errors import CancelledError, ConfigError
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import patience
from fw_gear_dicom_send.network import store as storage_scu
from fw_gear_dicom_send.network.association import StorageAssociation, resolve
from fw_gear_dicom_send.network.connection import UpperLayer
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.store import FEWEST_TRIES, StorageSCU
from fw_gear_dicom_send.network.types import PeerAE, StoreResult
from tests.support.fault_scp import (
    A_ASSOCIATE_AC,
    A_ASSOCIATE_RQ,
    A_RELEASE_RP,
    C_ECHO_RSP,
    P_DATA_TF,
    FaultSCP,
    Image,
    Peer,
    Script,
    serve,
)
from tests.support.instances import (
    dataset_of,
    instance,
    made_instance,
    of_source,
    relabelled,
)
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.sample_files import encoded, made, shipped

CT, MR = "1.2.840.10008.5.1.4.1.1.2", "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT, IMPLICIT = "1.2.840.10008.1.2.1", "1.2.840.10008.1.2"
RLE, JPEG_2000 = "1.2.840.10008.1.2.5", "1.2.840.10008.1.2.4.90"
PRIVATE_CLASS = "1.2.826.0.1.3680043.8.498.77"
MIXED = [
    "CT_small.dcm",
    "MR_small_RLE.dcm",
    "JPEG2000.dcm",
    "SC_rgb_jpeg_gdcm.dcm",
    "rtplan.dcm",
    "test-SR.dcm",
]
CONTEXTS = (Context(CT, EXPLICIT), Context(CT, IMPLICIT))
BIG = 4_000_000
SOON = 5.0
REFUSED_TRIES, LOST_TRIES = 10, 11
"""How often an image is sent that meets trouble for 100 s, by the longest waits."""

Server = FaultSCP | PythonSCP | StoreSCP | Orthanc
SCUFactory = Callable[..., StorageSCU]


@pytest.fixture(autouse=True)
def _nothing_left() -> Iterator[None]:
    """Whatever happens to associations, no thread of theirs outlives them."""
    yield
    left = [thread for thread in threading.enumerate() if isinstance(thread, UpperLayer)]
    for thread in left:
        thread.join(SOON)
    assert not any(thread.is_alive() for thread in left)


@pytest.fixture
def scu(tmp_path: Path) -> Iterator[SCUFactory]:
    """Make an SCU for a server, which is closed at the end."""
    made: list[StorageSCU] = []

    def make(server: Server, retry_time: float = 300, **titles: str) -> StorageSCU:
        convert = partial(transcoder.convert, work=tmp_path)
        made.append(StorageSCU(peer_of(server, **titles), convert, retry_time=retry_time))
        return made[-1]

    yield make
    for one in made:
        one.abort()


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The longest waits between tries of an image, in seconds, by which alone patience ends."""
    longest: list[float] = []
    begun = time.monotonic()

    def no_wait(seconds: float) -> float:
        longest.append(seconds)
        return 0

    for module in (storage_scu, patience):
        monkeypatch.setattr(module, "monotonic", lambda: begun + sum(longest))
    monkeypatch.setattr(storage_scu.backoff, "full_jitter", no_wait)
    monkeypatch.setattr(upper_layer, "monotonic", lambda: time.monotonic() + sum(longest))
    return longest


def peer_of(server: Server, called_ae: str = "CALLED", calling_ae: str = "CALLING") -> PeerAE:
    return PeerAE(getattr(server, "host", "127.0.0.1"), server.port, called_ae, calling_ae)


def opened(peer: PeerAE) -> StorageAssociation:
    assoc = StorageAssociation(peer, CONTEXTS)
    assoc.open()
    return assoc


def send_all(scu: StorageSCU, images: Iterable[SOPInstance]) -> list[StoreResult]:
    results = [scu.send(image) for image in images]
    scu.close()
    return results


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


def big_instance(size: int = BIG) -> SOPInstance:
    return of_source(io.BytesIO(bytes(size)), size)


def mixed() -> list[Path]:
    return [shipped(name) for name in MIXED]


def private_file(number: int) -> bytes:
    return encoded(made(number, SOPClassUID=f"{PRIVATE_CLASS}.{number}"))


# What is proposed


def test_context_ids_are_odd_and_within_limits(scu: SCUFactory) -> None:
    """Context IDs are odd and below 256, and an association has 128 of them at most."""
    ids: list[list[int]] = []

    def script(peer: Peer) -> None:
        peer.accept()
        ids.append(list(peer.requested))
        while True:
            peer.answer(peer.read_image())

    with FaultSCP(script) as server:
        sender = scu(server)
        images = (relabelled(n, sop_class=f"1.2.3.{n}", transfer_syntax=RLE) for n in range(45))
        assert all(result.sent for result in send_all(sender, images))
    assert len(ids) == 45
    assert max(len(numbers) for numbers in ids) == 126
    assert {n for numbers in ids for n in numbers} <= set(range(1, 256, 2))
    assert all(len(set(numbers)) == len(numbers) for numbers in ids)


def test_more_contexts_than_fit_make_more_associations(scu: SCUFactory) -> None:
    """All images arrive as they are though their classes and syntaxes need 180 contexts."""
    pairs = {f"{PRIVATE_CLASS}.{n}": f"1.2.826.0.1.3680043.8.498.88.{n}" for n in range(60)}
    accept = {sop_class: [syntax, EXPLICIT, IMPLICIT] for sop_class, syntax in pairs.items()}
    images = [
        relabelled(n, sop_class=sop_class, transfer_syntax=syntax)
        for n, (sop_class, syntax) in enumerate(pairs.items())
    ]
    with PythonSCP(accept) as server:
        results = send_all(scu(server), images)
        assert results == [StoreResult(True)] * 60
        assert {r.sop_class_uid: r.transfer_syntax for r in server.stored} == pairs
        assert len(server.stored) == 60
        assert max(len(request.contexts) for request in server.associations) <= 128


def test_a_new_pair_reopens_the_association_once(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """Pairs seen so far are proposed together, and need no further association."""
    ct = [made_instance(n) for n in (1, 2, 3)]
    rle = [instance(shipped("MR_small_RLE.dcm")) for _ in range(2)]
    results = send_all(scu(python_scp), [ct[0], rle[0], ct[1], rle[1], ct[2]])
    assert [result.sent for result in results] == [True] * 5
    assert [record.association for record in python_scp.stored] == [1, 2, 2, 2, 2]
    proposed = [
        sorted((c.abstract_syntax, *c.transfer_syntaxes) for c in request.contexts)
        for request in python_scp.associations
    ]
    first = [(CT, IMPLICIT), (CT, EXPLICIT)]
    assert proposed == [first, [*first, (MR, IMPLICIT), (MR, EXPLICIT), (MR, RLE)]]
    assert python_scp.released == 2
    assert python_scp.aborted == 0


def test_ae_titles_are_those_configured(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """The server is called by its title, and told ours."""
    send_all(scu(python_scp, called_ae="PACS", calling_ae="flywheel"), [made_instance()])
    (request,) = python_scp.associations
    assert (request.called_ae, request.calling_ae) == ("PACS", "flywheel")


# Images as they are


def test_a_mix_reaches_storescp_as_it_is(scu: SCUFactory, storescp: StoreSCP) -> None:
    """Plain, compressed and private images arrive byte for byte at a bit-preserving server."""
    files = [path.read_bytes() for path in mixed()] + [private_file(1), private_file(2)]
    results = send_all(scu(storescp), map(instance, files))
    assert results == [StoreResult(True)] * len(files)
    received = {dataset_of(path) for path in storescp.received()}
    assert received == {dataset_of(content) for content in files}


def test_a_mix_reaches_orthanc_as_it_is(scu: SCUFactory, orthanc: Orthanc) -> None:
    """Orthanc stores plain, compressed and private images as they were."""
    files = [path.read_bytes() for path in mixed()] + [private_file(1), private_file(2)]
    results = send_all(scu(orthanc), map(instance, files))
    assert results == [StoreResult(True)] * len(files)
    stored = orthanc.instances()
    for content in files:
        uid = str(pydicom.dcmread(io.BytesIO(content), stop_before_pixels=True).SOPInstanceUID)
        before, after = (pydicom.dcmread(io.BytesIO(data)) for data in (content, stored[uid]))
        assert after.file_meta.TransferSyntaxUID == before.file_meta.TransferSyntaxUID
        assert after == before


def test_datasets_are_closed(scu: SCUFactory, python_scp: PythonSCP) -> None:
    """What held an image is let go of as soon as it is sent, or is not."""
    images = [made_instance(), relabelled(1, sop_class="1.2.3", transfer_syntax=RLE)]
    results = send_all(scu(python_scp), images)
    assert [result.sent for result in results] == [True, False]
    assert all(image.dataset.source.closed for image in images)


# Conversions


@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_images_are_decompressed_for_a_server_that_takes_no_other(
    scu: SCUFactory, syntax: str
) -> None:
    """Where only one uncompressed syntax is accepted the image arrives in it, pixels unchanged."""
    with PythonSCP({MR: [syntax]}) as server:
        (result,) = send_all(scu(server), [instance(shipped("MR_small_RLE.dcm"))])
        (record,) = server.stored
    name = pydicom.uid.UID(syntax).name
    assert result.sent
    assert result.remark == f"the server takes MR Image Storage in RLE Lossless only as {name}"
    assert record.transfer_syntax == syntax
    arrived = pydicom.dcmread(io.BytesIO(record.file()))
    assert arrived.PixelData == pydicom.dcmread(shipped("MR_small.dcm")).PixelData


@pytest.mark.parametrize(("options", "syntax"), [((), EXPLICIT), (("+xi",), IMPLICIT)])
def test_storescp_gets_what_it_takes(
    scu: SCUFactory, options: tuple[str, ...], syntax: str
) -> None:
    """DCMTK's storescp, which by default takes no compression, gets all images readable."""
    names = ["MR_small_RLE.dcm", "JPEG2000.dcm", "CT_small.dcm"]
    with StoreSCP(*options) as server:
        results = send_all(scu(server), [instance(shipped(name)) for name in names])
        arrived = [pydicom.dcmread(path) for path in server.received()]
    assert [result.sent for result in results] == [True] * 3
    assert [bool(result.remark) for result in results] == [True, True, syntax == IMPLICIT]
    assert {str(dataset.file_meta.TransferSyntaxUID) for dataset in arrived} == {syntax}
    assert pydicom.dcmread(shipped("MR_small.dcm")).PixelData in [d.PixelData for d in arrived]


def test_a_conversion_that_fails_names_its_reason() -> None:
    """An image that cannot be converted is not sent, and the next one is."""

    def refuse(_image: SOPInstance, _syntax: str) -> Unreadable:
        return Unreadable("cannot be converted")

    with PythonSCP({MR: [EXPLICIT], CT: [EXPLICIT]}) as server:
        sender = StorageSCU(peer_of(server), refuse)
        results = send_all(sender, [instance(shipped("MR_small_RLE.dcm")), made_instance()])
    assert results == [StoreResult(False, "cannot be converted"), StoreResult(True)]


def test_converted_datasets_are_closed(tmp_path: Path) -> None:
    """What a conversion made is let go of when it is sent, and when it is refused."""
    converted: list[SOPInstance] = []

    def convert(image: SOPInstance, syntax: str) -> SOPInstance | Unreadable:
        result = transcoder.convert(image, syntax, tmp_path)
        assert isinstance(result, SOPInstance)
        converted.append(result)
        return result

    with PythonSCP({MR: [EXPLICIT]}, [0xC000]) as server:
        sender = StorageSCU(peer_of(server), convert)
        results = send_all(sender, [instance(shipped("MR_small_RLE.dcm")) for _ in range(2)])
    assert [result.sent for result in results] == [False, True]
    assert len(converted) == 2
    assert all(image.dataset.source.closed for image in converted)


def test_a_class_that_is_not_accepted_costs_only_its_images(scu: SCUFactory) -> None:
    """Refused images name their class, others go on, and no association is opened for each."""
    rle = "MR_small_RLE.dcm"
    with PythonSCP({CT: [EXPLICIT]}) as server:
        images = [made_instance(1), *(instance(shipped(rle)) for _ in range(5)), made_instance(2)]
        results = send_all(scu(server), images)
        assert len(server.associations) == 2
        assert len(server.stored) == 2
    refused = StoreResult(False, "the server does not accept MR Image Storage in RLE Lossless")
    assert results == [StoreResult(True), *[refused] * 5, StoreResult(True)]


def test_a_server_that_accepts_no_context_is_asked_once(scu: SCUFactory) -> None:
    """Where no class is accepted at first, a later one still is sent."""
    with PythonSCP({CT: [EXPLICIT]}) as server:
        images = [*(instance(shipped("MR_small_RLE.dcm")) for _ in range(3)), made_instance()]
        results = send_all(scu(server), images)
        assert len(server.associations) == 2
    assert [result.sent for result in results] == [False, False, False, True]


def test_an_accepted_context_without_transfer_syntax_is_as_none(scu: SCUFactory) -> None:
    """An answer that lacks its transfer syntaxes leaves nothing to send in."""
    with FaultSCP(lambda peer: peer.accept(syntaxes=False)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert result.remark == (
        "the server does not accept CT Image Storage in Explicit VR Little Endian"
    )


# Statuses


def answering(*statuses: int) -> Script:
    """Return a script that answers with these in turn, and goes on with the last one."""
    left = list(statuses)

    def script(peer: Peer) -> None:
        peer.accept()
        while True:
            peer.answer(peer.read_image(), left.pop(0) if len(left) > 1 else left[0])

    return script


@pytest.mark.parametrize(
    ("status", "sent", "remark"),
    [
        (0x0000, True, ""),
        (0xB000, True, "status 0xB000 Coercion of Data Elements"),
        (0xB006, True, "status 0xB006 Element Discarded"),
        (0xB007, True, "status 0xB007 Data Set Does Not Match SOP Class"),
        (0xB123, True, "status 0xB123 of unknown meaning"),
        (0x0107, True, "status 0x0107 Attribute List Error"),
        (0x0116, True, "status 0x0116 Attribute Value Out of Range"),
        (0x0001, True, "status 0x0001 of unknown meaning"),
        (0xA700, False, "status 0xA700 Refused: Out of Resources"),
        (0xA900, False, "status 0xA900 Data Set Does Not Match SOP Class"),
        (0xC000, False, "status 0xC000 Cannot Understand"),
        (0x0111, False, "status 0x0111 Duplication SOP Instance"),
        (0x0117, False, "status 0x0117 Invalid Object Instance"),
        (0x0122, False, "status 0x0122 Refused: SOP Class Not Supported"),
        (0x0124, False, "status 0x0124 Refused: Not Authorised"),
        (0x0213, False, "status 0x0213 Resource Limitation"),
        (0xFE00, False, "status 0xFE00 "),
        (0xFF00, False, "status 0xFF00 of unknown meaning"),
        (0x1234, False, "status 0x1234 of unknown meaning"),
    ],
)
@pytest.mark.usefixtures("waits")
def test_the_status_tells_whether_an_image_was_stored(
    scu: SCUFactory, status: int, sent: bool, remark: str
) -> None:
    """Success and warnings are sent, all else is not; what may pass is tried again."""
    with FaultSCP(answering(status)) as server:
        results = send_all(scu(server), [made_instance()])
        assert len(server.images) == (REFUSED_TRIES if status in (0xA700, 0x0213) else 1)
        assert server.connections == 1
    assert results == [StoreResult(sent, remark)]


def status_with(code: int, comment: str, *tags: int) -> Dataset:
    status = Dataset()
    status.Status = code
    status.ErrorComment = comment
    if tags:
        status.OffendingElement = list(tags)
    return status


def test_what_the_server_adds_to_a_status_is_told(scu: SCUFactory) -> None:
    """Offending elements and the error comment are part of the remark, on one line."""
    with PythonSCP(status=status_with(0xA900, "No  such study", 0x00100020, 0x0020000D)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert result == StoreResult(
        False,
        "status 0xA900 Data Set Does Not Match SOP Class, "
        "offending elements (0010, 0020) (0020, 000d), error comment No such study",
    )


def test_a_single_offending_element_is_told(scu: SCUFactory) -> None:
    """One offending element is told like several."""
    with PythonSCP(status=status_with(0xB007, "odd", 0x00080016)) as server:
        (result,) = send_all(scu(server), [made_instance()])
    assert result.sent
    assert "offending elements (0008, 0016), error comment odd" in result.remark


@pytest.mark.parametrize("comment", ["unknown patient MÜLLER^Eva", "id 4711-x", "eva is not here"])
@pytest.mark.parametrize("code", [0xC000, 0xB000])
def test_an_error_comment_that_names_the_patient_is_withheld(
    scu: SCUFactory, comment: str, code: int
) -> None:
    """A comment with a part of the patient's name or id, in any case, is not shown."""
    identifying = frozenset({"müller", "eva", "4711-x"})
    status = status_with(code, comment)
    status.SpecificCharacterSet = "ISO_IR 192"
    with PythonSCP(status=status) as server:
        (result,) = send_all(scu(server), [instance(encoded(made(1)), identifying)])
    assert "error comment withheld" in result.remark
    assert not any(word in result.remark.lower() for word in identifying)


# Associations that are lost


def lose_before_image(peer: Peer) -> None:
    peer.accept()


def lose_after_response(peer: Peer) -> None:
    peer.accept()
    peer.answer(peer.read_image())


def abort_in_image(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()
    peer.abort()


def close_in_image(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()


def reset_in_image(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()
    peer.reset()


def release_in_image(peer: Peer) -> None:
    peer.accept()
    peer.read_pdu()
    peer.request_release()
    peer.read_to_end()


def lose_before_response(peer: Peer) -> None:
    peer.accept()
    peer.read_image()


def abort_before_response(peer: Peer) -> None:
    peer.accept()
    peer.read_image()
    peer.abort()


@pytest.mark.parametrize(
    "script",
    [lose_before_image, abort_in_image, close_in_image, reset_in_image, release_in_image],
)
def test_an_image_in_flight_is_sent_once_more(scu: SCUFactory, script: Script) -> None:
    """An association that is lost before or in an image costs a new one, and no image."""
    with FaultSCP(script, serve) as server:
        results = send_all(scu(server), [big_instance(), made_instance()])
        assert server.connections == 2
        assert [image.connection for image in server.images] == [2, 2]
        assert server.images[0].dataset == bytes(BIG)
    assert results == [StoreResult(True)] * 2


@pytest.mark.parametrize("script", [lose_before_response, abort_before_response])
def test_an_image_without_response_is_sent_once_more(scu: SCUFactory, script: Script) -> None:
    """An image whose response was lost is sent again, as nobody knows what became of it."""
    with FaultSCP(script, serve) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
        assert [image.connection for image in server.images] == [1, 2, 2]
    assert results == [StoreResult(True)] * 2


@pytest.mark.parametrize("losses", [LOST_TRIES - 1, LOST_TRIES])
def test_an_image_that_is_lost_again_and_again_has_its_share_of_the_time(
    scu: SCUFactory, waits: list[float], losses: int
) -> None:
    """With no success meanwhile it is a third of the retry time; the next one has its own."""
    with FaultSCP(
        *[abort_in_image, close_in_image, reset_in_image] * 3,
        *[close_in_image] * (losses - 9),
        serve,
    ) as server:
        results = send_all(scu(server), [big_instance(), made_instance()])
        assert server.connections == losses + 1
        assert {image.connection for image in server.images} == {losses + 1}
    assert [result.sent for result in results] == [losses < LOST_TRIES, True]
    assert losses < LOST_TRIES or "connection was lost" in results[0].remark
    assert waits == [0, 2, 6, 14, 15, 15, 15, 15, 15, 15][: LOST_TRIES - 1]


@pytest.mark.parametrize("refusals", [FEWEST_TRIES - 1, FEWEST_TRIES])
def test_an_image_that_is_refused_while_others_are_accepted_is_sent_six_times(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch, refusals: int
) -> None:
    """That trouble is its own, and does not last for longer than it has to."""

    def send_another(_: float) -> float:
        assert sender.send(made_instance(2)).sent
        return 0

    monkeypatch.setattr(storage_scu.backoff, "full_jitter", send_another)
    with FaultSCP(answering(*[0xA700, 0x0000] * refusals, 0x0000)) as server:
        sender = scu(server)
        (result,) = send_all(sender, [made_instance(1)])
    uids = [image.sop_instance_uid for image in server.images]
    assert uids.count(made_instance(1).sop_instance_uid) == FEWEST_TRIES
    assert result.sent == (refusals < FEWEST_TRIES)


@pytest.mark.parametrize("status", [0xA700, 0xA7FF, 0x0213])
def test_a_server_out_of_resources_gets_the_image_later(
    scu: SCUFactory, waits: list[float], status: int
) -> None:
    """Back-off grows; the association stays; and the next image is not held against it."""
    with FaultSCP(answering(*[status] * 5, 0x0000)) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
        assert server.connections == 1
        assert len(server.images) == 7
    assert results == [StoreResult(True)] * 2
    assert waits == [2, 4, 8, 15, 15]


@pytest.mark.parametrize("status", [0xA700, 0x0213])
def test_a_server_out_of_resources_is_given_up_after_the_retry_time(
    scu: SCUFactory, waits: list[float], status: int
) -> None:
    """With no time to retry the first such answer ends it, and no other image is begun."""
    with FaultSCP(answering(status)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 1
    assert not waits
    assert [result.sent for result in results] == [False] * 4
    assert {result.remark[:13] for result in results} == {f"status 0x{status:04X}"}


@pytest.mark.usefixtures("waits")
def test_a_final_refusal_is_sent_once(scu: SCUFactory) -> None:
    """The server is there: its refusals end neither patience nor the run."""
    with FaultSCP(answering(0xC000)) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(4)])
        assert len(server.images) == 4
    assert results == [StoreResult(False, "status 0xC000 Cannot Understand")] * 4


def test_each_success_renews_the_retry_time(scu: SCUFactory, waits: list[float]) -> None:
    """A server that is in trouble again and again for a while in all, but never long, is used."""
    statuses = [0xA700, 0xA700, 0xA700, 0x0000] * 12
    with FaultSCP(answering(*statuses)) as server:
        results = send_all(scu(server, retry_time=20), [made_instance(n) for n in range(12)])
    assert results == [StoreResult(True)] * 12
    assert waits == [2, 4, 8] * 12


def test_without_success_the_server_is_given_up_after_the_retry_time(
    scu: SCUFactory, waits: list[float]
) -> None:
    """The clock goes on over several images; what is left fails without a try."""
    with FaultSCP(lose_before_response) as server:
        results = send_all(scu(server, retry_time=300), [made_instance(n) for n in range(50)])
        assert len({image.sop_instance_uid for image in server.images}) == 3
    assert 300 <= sum(waits) < 315
    lost = "the connection was lost before the answer to a request"
    given_up = f"the server was given up after 300 s of trouble: {lost}"
    assert results == [StoreResult(False, lost)] * 3 + [StoreResult(False, given_up)] * 47


def test_a_duplicate_on_the_resend_was_stored_before(scu: SCUFactory) -> None:
    """Status 0111 to an image that is sent once more means that it is there."""

    def duplicate(peer: Peer) -> None:
        peer.accept()
        while True:
            peer.answer(peer.read_image(), 0x0111)

    with FaultSCP(lose_before_response, duplicate) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
    assert results == [
        StoreResult(True),
        StoreResult(False, "status 0x0111 Duplication SOP Instance"),
    ]


@pytest.mark.parametrize("ending", [Peer.close, Peer.abort, Peer.reset])
def test_a_server_that_leaves_between_images_costs_nothing(
    scu: SCUFactory, ending: Callable[[Peer], None]
) -> None:
    """A connection that ends while idle is opened anew; each image arrives once."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        ending(peer)

    with FaultSCP(script, script, serve) as server:
        results = send_all(scu(server), [made_instance(n) for n in range(1, 5)])
        assert [image.connection for image in server.images] == [1, 2, 3, 3]
        assert server.connections == 3
    assert results == [StoreResult(True)] * 4


def test_a_release_by_the_server_is_answered() -> None:
    """A server that releases while idle gets its answer, and the next image a new association."""
    answers: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image())
        peer.request_release()
        answers.append(peer.read_pdu().type)

    with FaultSCP(script, serve) as server:
        assoc = opened(peer_of(server))
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        assert wait_for(lambda: not assoc.is_usable)
        assoc.release()
        assert wait_for(lambda: bool(answers))
    assert answers == [A_RELEASE_RP]


def test_a_release_by_both_sides_is_a_release(monkeypatch: pytest.MonkeyPatch) -> None:
    """Release requests that cross each other are both answered (PS3.8 7.2.2.7)."""
    monkeypatch.setattr(upper_layer, "RELEASE_TIMEOUT", SOON)
    answers: list[int] = []

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_any()
        peer.request_release()
        answers.append(peer.read_any().type)
        peer.send_pdu(A_RELEASE_RP, bytes(4))
        peer.read_to_end()

    with FaultSCP(script) as server:
        begun = time.monotonic()
        opened(peer_of(server)).release()
        assert time.monotonic() - begun < SOON
        assert answers == [A_RELEASE_RP]
        assert "aborted" not in server.ends


# Answers that are none


def answer_wrong_id(peer: Peer, image: Image) -> None:
    peer.answer(image, message_id=image.message_id + 1)


def ask_for_echo(peer: Peer, _image: Image) -> None:
    peer.socket.sendall(peer.echo_request())


def answer_as_to_echo(peer: Peer, image: Image) -> None:
    peer.socket.sendall(peer.response(image, command=C_ECHO_RSP))


def send_garbage(peer: Peer, _image: Image) -> None:
    peer.socket.sendall(bytes(range(200, 256)) * 10)


def send_undecodable_pdu(peer: Peer, _image: Image) -> None:
    peer.send_pdu(P_DATA_TF, b"\xff" * 20)


def send_undecodable_message(peer: Peer, _image: Image) -> None:
    peer.send_pdu(P_DATA_TF, b"\0\0\0\x06\x01\x03\xff\xff\xff\xff")


def send_association_request(peer: Peer, _image: Image) -> None:
    peer.send_pdu(A_ASSOCIATE_RQ, bytes(80))


def send_half_a_pdu(peer: Peer, image: Image) -> None:
    peer.socket.sendall(peer.response(image)[:20])
    peer.socket.shutdown(socket.SHUT_WR)


@pytest.mark.parametrize(
    "misbehave",
    [
        answer_wrong_id,
        ask_for_echo,
        answer_as_to_echo,
        send_garbage,
        send_undecodable_pdu,
        send_undecodable_message,
        send_association_request,
        send_half_a_pdu,
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_no_answer_ends_the_association(
    scu: SCUFactory, misbehave: Callable[[Peer, Image], None]
) -> None:
    """After an answer that is none the association is not used again; the image is resent."""

    def script(peer: Peer) -> None:
        peer.accept()
        misbehave(peer, peer.read_image())
        peer.read_to_end()

    with FaultSCP(script, serve) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
        assert [image.connection for image in server.images] == [1, 2, 2]
        assert len(server.ends) == 2
        assert server.ends[0] != "released"
        assert server.ends[1] == "released"
    assert results == [StoreResult(True)] * 2


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_garbage_in_the_middle_of_an_image_ends_the_association(scu: SCUFactory) -> None:
    """A server that sends nonsense while it is sent an image is left, without a traceback."""

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_pdu()
        peer.socket.sendall(b"\xff" * 64)
        peer.read_to_end()

    with FaultSCP(script, serve) as server:
        assert send_all(scu(server), [big_instance()]) == [StoreResult(True)]
        assert [image.connection for image in server.images] == [2]


def test_a_second_answer_is_not_taken_for_that_to_the_next_image(scu: SCUFactory) -> None:
    """An answer that comes twice ends the association: it says nothing about the next image."""

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.socket.sendall(peer.response(image) * 2)
        peer.read_image()
        peer.read_to_end()

    def refuse(peer: Peer) -> None:
        peer.accept()
        peer.answer(peer.read_image(), 0xC000)
        peer.read_to_end()

    with FaultSCP(script, refuse) as server:
        results = send_all(scu(server), [made_instance(1), made_instance(2)])
    assert results[0] == StoreResult(True)
    assert not results[1].sent


def test_a_server_that_never_answers_an_image(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An image without answer is given up after the timeout, and so is the server."""
    monkeypatch.setattr(upper_layer, "RESPONSE_TIMEOUT", 0.2)

    def script(peer: Peer) -> None:
        peer.accept()
        peer.read_to_end()

    with FaultSCP(script) as server:
        (result,) = send_all(scu(server, retry_time=0), [made_instance()])
        assert wait_for(lambda: server.ends == ["aborted"])
    assert not result.sent
    assert result.remark.startswith("the server gave no answer in")


def test_with_no_retry_time_the_first_loss_ends_it(scu: SCUFactory) -> None:
    """No further connection is made, and each image says why."""
    with FaultSCP(lose_before_response) as server:
        results = send_all(scu(server, retry_time=0), [made_instance(n) for n in range(1, 6)])
        assert server.connections == 1
        assert len(server.images) == 1
    reason = "the connection was lost before the answer to a request"
    assert results == [StoreResult(False, reason)] * 5


# Servers that cannot be had


def fails_at_once(scu: StorageSCU, server: FaultSCP | PythonSCP) -> str:
    """Send three images in vain, and return the one reason they have in common."""
    results = send_all(scu, [made_instance(n) for n in (1, 2, 3)])
    assert {result.sent for result in results} == {False}
    (reason,) = {result.remark for result in results}
    assert "\n" not in reason
    assert f"127.0.0.1 port {server.port}" in reason
    return reason


def test_no_connection() -> None:
    """Where nothing listens it says so, with host and port, and tries no more."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    peer = PeerAE("127.0.0.1", port, "A", "B")
    sender = StorageSCU(peer, lambda *_: Unreadable(""), retry_time=0)
    first = sender.send(made_instance())
    assert first.remark == f"cannot connect to 127.0.0.1 port {port}: Connection refused"
    with socket.create_server(("127.0.0.1", port)) as listener:
        assert sender.send(made_instance()) == first
        listener.setblocking(False)
        with pytest.raises(BlockingIOError):
            listener.accept()


def test_a_called_title_that_is_not_recognised(scu: SCUFactory) -> None:
    """A rejection names the called AE title where that is what is wrong."""
    server = PythonSCP(ae_title="RIGHT")
    server.ae.require_called_aet = True
    with server:
        reason = fails_at_once(scu(server, called_ae="WRONG"), server)
        assert len(server.associations) == 1
    assert reason.endswith("rejected the association: it does not know the called AE title 'WRONG'")


def test_a_calling_title_that_is_not_recognised(scu: SCUFactory) -> None:
    """A rejection names the calling AE title where that is what is wrong."""
    server = PythonSCP()
    server.ae.require_calling_aet = ["SOMEONE"]
    with server:
        reason = fails_at_once(scu(server, calling_ae="ELSE"), server)
        assert len(server.associations) == 1
    assert reason.endswith("rejected the association: it does not know the calling AE title 'ELSE'")


@pytest.mark.parametrize(
    ("rejection", "reason"),
    [
        ((2, 3, 2), "its limit of associations is reached"),
        ((2, 3, 1), "it is temporarily congested"),
        ((1, 1, 2), "it does not support the DICOM application context"),
        ((1, 2, 2), "it does not support this version of the protocol"),
        ((1, 1, 1), "it gives no reason"),
        ((1, 2, 1), "it gives no reason"),
    ],
)
def test_a_rejection_says_why(
    scu: SCUFactory, rejection: tuple[int, int, int], reason: str
) -> None:
    """Each reason of the standard is told in words (PS3.8 9.3.4)."""
    with FaultSCP(lambda peer: peer.reject(*rejection)) as server:
        told = fails_at_once(scu(server, retry_time=0), server)
        assert server.connections == 1
    assert told.endswith(f"rejected the association: {reason}")


def test_a_transient_rejection_is_waited_out(scu: SCUFactory) -> None:
    """A server that is at its limit for a moment gets the image later."""

    def reject(peer: Peer) -> None:
        peer.reject(2, 3, 2)

    with FaultSCP(reject, reject, serve) as server:
        assert send_all(scu(server), [made_instance(1)]) == [StoreResult(True)]
        assert server.connections == 3


def test_a_permanent_rejection_is_not_asked_again(scu: SCUFactory) -> None:
    """A server that does not know an AE title is asked once."""

    def reject(peer: Peer) -> None:
        peer.reject(1, 1, 7)

    with FaultSCP(reject, serve) as server:
        assert not send_all(scu(server), [made_instance(1)])[0].sent
        assert server.connections == 1


def greet_as_http(peer: Peer) -> None:
    peer.socket.sendall(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")


def accept_with_nonsense(peer: Peer) -> None:
    peer.read_pdu()
    peer.send_pdu(A_ASSOCIATE_AC, b"\xff" * 100)
    peer.read_to_end()


def reject_with_nonsense(peer: Peer) -> None:
    peer.reject(9, 9, 99)
    peer.read_to_end()


def abort_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.abort()


def release_request(peer: Peer) -> None:
    peer.read_pdu()
    peer.request_release()
    peer.read_to_end()


@pytest.mark.parametrize(
    "script",
    [
        Peer.close,
        Peer.reset,
        greet_as_http,
        accept_with_nonsense,
        reject_with_nonsense,
        abort_request,
        release_request,
    ],
)
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_is_no_dicom_server(scu: SCUFactory, script: Script) -> None:
    """Whatever does not answer as a DICOM server does is told to be so, soon."""
    begun = time.monotonic()
    with FaultSCP(script) as server:
        reason = fails_at_once(scu(server, retry_time=0), server)
        assert server.connections == 1
    no_answer = "did not answer the association request as a DICOM server does"
    assert reason.endswith((no_answer, "Connection reset by peer"))
    assert time.monotonic() - begun < SOON


def test_a_server_that_does_not_answer_the_request(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that says nothing at all is given up after the timeout."""
    monkeypatch.setattr(upper_layer, "ASSOCIATE_TIMEOUT", 0.2)
    with FaultSCP(Peer.stand_still) as server:
        begun = time.monotonic()
        fails_at_once(scu(server, retry_time=0), server)
        assert time.monotonic() - begun < 3.0
        assert server.connections == 1


def test_a_host_that_cannot_be_resolved_is_an_error_in_the_configuration() -> None:
    """A name without address is told before anything is done; addresses need no name."""
    for host in ("127.0.0.1", "::1", "localhost"):
        resolve(PeerAE(host, 104, "A", "B"))
    for host in ("no-such-host.invalid", "a..b", "x" * 70):
        with pytest.raises(ConfigError, match=r"^destination: "):
            resolve(PeerAE(host, 104, "A", "B"))


# The end


def test_close_releases_the_association(scu: SCUFactory) -> None:
    """At the end the association is released; closing again does nothing."""
    with FaultSCP() as server:
        sender = scu(server)
        send_all(sender, [made_instance()])
        sender.close()
        sender.abort()
        assert server.ends == ["released"]


def test_abort_aborts_the_association(scu: SCUFactory) -> None:
    """A run that is broken off aborts; aborting again does nothing."""
    with FaultSCP() as server:
        sender = scu(server)
        sender.send(made_instance())
        sender.abort()
        sender.abort()
        assert wait_for(lambda: server.ends == ["aborted"])


def test_ending_an_association_again_does_nothing() -> None:
    """An association that has ended can be aborted and released, at no cost."""
    with FaultSCP() as server:
        assoc = opened(peer_of(server))
        assoc.abort()
        begun = time.monotonic()
        assoc.abort()
        assoc.release()
        assert time.monotonic() - begun < 1.0
        assert not assoc.is_usable
        assert wait_for(lambda: server.ends == ["aborted"])


def answer_and_stand_still(peer: Peer) -> None:
    peer.accept()
    peer.answer(peer.read_image())
    peer.stand_still()


@pytest.mark.parametrize("end", [StorageSCU.close, StorageSCU.abort])
def test_the_end_does_not_wait_for_a_silent_server(
    scu: SCUFactory, monkeypatch: pytest.MonkeyPatch, end: Callable[[StorageSCU], None]
) -> None:
    """A server that does not answer a release, or read an abort, is left after the timeout."""
    monkeypatch.setattr(upper_layer, "RELEASE_TIMEOUT", 0.3)
    monkeypatch.setattr(upper_layer, "ABORT_TIMEOUT", 0.3)
    with FaultSCP(answer_and_stand_still) as server:
        sender = scu(server)
        assert sender.send(made_instance()).sent
        begun = time.monotonic()
        end(sender)
        assert time.monotonic() - begun < 2.0


@contextmanager
def cancelled_after(seconds: float) -> Iterator[None]:
    """Let a signal raise CancelledError in the main thread, as the end of a job does."""

    def cancel(_signal: int, _frame: FrameType | None) -> None:
        raise CancelledError("the job was ended")

    before = signal.signal(signal.SIGALRM, cancel)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def accept_and_stand_still(peer: Peer) -> None:
    peer.accept()
    peer.stand_still()


@pytest.mark.parametrize("script", [Peer.stand_still, accept_and_stand_still])
@pytest.mark.parametrize("size", [1000, 64_000_000])
def test_a_job_that_is_ended_leaves_its_server_at_once(
    monkeypatch: pytest.MonkeyPatch, script: Script, size: int
) -> None:
    """A signal ends the wait for a server that does not answer, or does not read."""
    monkeypatch.setattr(upper_layer, "ABORT_TIMEOUT", 0.3)
    with FaultSCP(script) as server:
        sender = StorageSCU(peer_of(server), lambda *_: Unreadable(""))
        begun = time.monotonic()
        with pytest.raises(CancelledError), cancelled_after(0.5):
            sender.send(big_instance(size))
        sender.abort()
        assert time.monotonic() - begun < 3.0
        assert not any(isinstance(thread, UpperLayer) for thread in threading.enumerate())


# Datasets


def test_a_dataset_that_cannot_be_read_to_its_end(scu: SCUFactory, storescp: StoreSCP) -> None:
    """A source that is cut short under us fails its image; the server stores no part of it."""
    file = encoded(made(1, pixels=512))
    whole, cut = instance(file), instance(file)
    cut.dataset.source.truncate(len(file) - 1000)
    results = send_all(scu(storescp), [cut, whole])
    assert results[0] == StoreResult(
        False, "the image could not be read: the dataset's source became shorter while it was sent"
    )
    assert results[1] == StoreResult(True)
    assert [dataset_of(path) for path in storescp.received()] == [dataset_of(file)]


def test_an_image_that_cannot_be_read_aborts_its_association(scu: SCUFactory) -> None:
    """The next image goes on a new association, as the server waits for the rest on the old."""
    with FaultSCP() as server:
        cut = of_source(io.BytesIO(bytes(1_000_000)), 2_000_000)
        results = send_all(scu(server), [cut, made_instance()])
        assert wait_for(lambda: sorted(server.ends) == ["aborted", "released"])
        assert [image.connection for image in server.images] == [2]
    assert [result.sent for result in results] == [False, True]


@pytest.mark.parametrize("maximum", [None, 0, 1, 16, 128, 129, 4096, 16384, 1 << 20, 0xFFFFFFFF])
def test_fragments_fit_the_server(scu: SCUFactory, maximum: int | None) -> None:
    """PDUs keep within the server's limit, and all fragments are of even length (PS3.8 D, E)."""

    def script(peer: Peer) -> None:
        peer.accept(maximum)
        peer.answer(peer.read_image())
        peer.read_to_end()

    file = encoded(made(1, pixels=32 if 0 < (maximum or 0) < 1000 else 512))
    with FaultSCP(script) as server:
        assert send_all(scu(server), [instance(file)]) == [StoreResult(True)]
        (image,) = server.images
    assert image.dataset == dataset_of(file)
    assert all(length % 2 == 0 for length in image.fragments)
    assert max(image.fragments) <= max(maximum or 1 << 30, 16) - 6


def test_uids_that_break_the_rules_are_sent_and_not_logged(
    scu: SCUFactory, caplog: pytest.LogCaptureFixture, recwarn: pytest.WarningsRecorder
) -> None:
    """A UID with a leading zero or letters is sent as it is; no log line or warning quotes it."""
    caplog.set_level(logging.DEBUG)
    uid = "1.2.003.doe"
    file = encoded(made(1, SOPInstanceUID=uid, SOPClassUID="1.2.3.smith"))
    recwarn.clear()
    caplog.clear()
    image = instance(file)
    with FaultSCP() as server, warnings.catch_warnings():
        warnings.simplefilter("error")
        assert send_all(scu(server), [image]) == [StoreResult(True)]
        assert [image.sop_instance_uid for image in server.images] == [uid]
    assert not [record for record in caplog.records if "doe" in record.getMessage()]
    assert not [record for record in caplog.records if "smith" in record.getMessage()]


def test_message_ids_go_on_from_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Message IDs are 16 bits wide: after the last comes 1 again."""
    with FaultSCP() as server:
        assoc = opened(peer_of(server))
        monkeypatch.setattr(assoc, "_message_id", 0xFFFD)
        for number in range(4):
            assoc.send_c_store(made_instance(number), CONTEXTS[0])
        assoc.release()
        assert [image.message_id for image in server.images] == [0xFFFE, 0xFFFF, 1, 2]


def test_many_small_images_go_on_one_association(scu: SCUFactory) -> None:
    """Of 3,000 images none is lost, none is sent twice, and none waits for a lost response."""
    images = (relabelled(n, sop_class=CT, transfer_syntax=EXPLICIT) for n in range(3000))
    begun = time.monotonic()
    with FaultSCP() as server:
        results = send_all(scu(server), images)
        assert [image.sop_instance_uid for image in server.images] == [
            f"1.2.3.4.{n}" for n in range(3000)
        ]
        assert server.connections == 1
    assert results == [StoreResult(True)] * 3000
    assert time.monotonic() - begun < 40
