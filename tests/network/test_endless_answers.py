"""Each wait for a server has one deadline, which no answer moves."""

from collections.abc import Callable
from contextlib import nullcontext
from itertools import repeat
from struct import pack

import pytest

from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.commitment import CommitmentSCU
from fw_gear_dicom_send.network.commitment_listener import CommitmentListener
from fw_gear_dicom_send.network.errors import AssociationError, LostAnswerError
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.associations import CONTEXTS, associate
from tests.support.fault_scp import C_ECHO_RSP, P_DATA_TF, FaultSCP, Image, Peer, Script
from tests.support.fuzzing import no_hang
from tests.support.instances import made_instance
from tests.support.pacs import free_port
from tests.support.pdus import element, event_report, pdu
from tests.support.peers import peer_of
from tests.support.querying import (
    find_scu,
    found,
    message_id_in,
    query_answer,
    query_pool,
    read_commitment_request,
)
from tests.support.reporting import PACS
from tests.support.results import final
from tests.support.sending import unconverted
from tests.support.series import SERIES, STUDY, reference
from tests.support.waiting import LONG_TIMEOUTS

TIMEOUT = 0.5
DRIP = TIMEOUT / 5
"""Interval between answers, in seconds, that is shorter than each timeout."""
STREAM = 0.001
"""Interval that is so short that there is always a next answer."""
NO_DELAY = 0.0
SHORT = replace(
    LONG_TIMEOUTS,
    associate=TIMEOUT,
    response=TIMEOUT,
    echo=TIMEOUT,
    find=TIMEOUT,
    action=TIMEOUT,
    commitment=TIMEOUT,
    late_commitment=TIMEOUT,
    release=TIMEOUT,
    abort=TIMEOUT,
    tick=TIMEOUT / 10,
)
VERIFICATION = "1.2.840.10008.1.1"
PENDING = 0xFF00
EMPTY_PDU = pdu(P_DATA_TF, b"")
IDENTIFIER = found("1.2.3")
FOREIGN = pack("<HH2sH", 0x0008, 0x1195, b"UI", 8) + b"1.2.3.99"
"""The Transaction UID of another storage commitment."""
PACES = pytest.mark.parametrize("pause", [NO_DELAY, STREAM, DRIP])

Flood = Callable[[Peer, Image], bytes]
"""The data that a server repeats after a request."""


def repeated(peer: Peer, data: bytes, pause: float) -> None:
    """Send data without end, until the other side leaves."""
    data = data if pause else data * 1000
    for chunk in repeat(data):
        peer.socket.sendall(chunk)
        if peer.server.closing.wait(pause):
            break


def flooding(
    flood: Flood, pause: float, read: Callable[[Peer], Image] = Peer.read_command
) -> Script:
    """Return a script that answers a request with a flood, once it has `read` the request."""

    def script(peer: Peer) -> None:
        peer.accept(refused=())
        request = read(peer)
        repeated(peer, flood(peer, request), pause)

    return script


def pending(peer: Peer, request: Image) -> bytes:
    return peer.response(request, PENDING)


def empty_pdu(_peer: Peer, _request: Image) -> bytes:
    return EMPTY_PDU


@pytest.mark.slow
@PACES
@pytest.mark.parametrize("flood", [pending, empty_pdu])
def test_an_image_with_endless_answers_fails(flood: Flood, pause: float) -> None:
    """Pending answers and empty PDUs do not extend the wait for the response to an image."""
    with no_hang(), FaultSCP(flooding(flood, pause)) as server:
        scu = StorageSCU(
            peer_of(server), unconverted, retry_time=0, transport=Transport(timeouts=SHORT)
        )
        result = final(scu.send(made_instance()))
        scu.close()
    assert isinstance(result, NotSent)
    assert result.reason.kind in (Kind.NO_ANSWER, Kind.WRONG_ANSWER)


@PACES
def test_answers_to_an_earlier_image_do_not_extend_the_wait(pause: float) -> None:
    """They are dropped while the wait for the next response continues."""

    def script(peer: Peer) -> None:
        peer.accept()
        first = peer.read_image()
        peer.answer(first)
        peer.read_image()
        repeated(peer, peer.response(first), pause)

    with no_hang(), FaultSCP(script) as server:
        assoc = associate(server, timeouts=SHORT)
        assoc.send_c_store(made_instance(1), CONTEXTS[0])
        with pytest.raises(LostAnswerError) as error:
            assoc.send_c_store(made_instance(2), CONTEXTS[0])
    kind = Kind.NO_ANSWER if pause else Kind.WRONG_ANSWER
    assert error.value.reason.kind is kind


@pytest.mark.slow
@PACES
@pytest.mark.parametrize("flood", ["pending", "empty"])
def test_an_echo_with_endless_answers_fails(flood: str, pause: float) -> None:
    """The check before the first download ends with an error."""

    def script(peer: Peer) -> None:
        peer.accept()
        message_id = message_id_in(peer.read_pdu().body)
        answer = peer.message(
            element(0x0002, VERIFICATION.encode())
            + element(0x0100, C_ECHO_RSP)
            + element(0x0120, message_id)
            + element(0x0800, 0x0101)
            + element(0x0900, PENDING)
        )
        repeated(peer, EMPTY_PDU if flood == "empty" else answer, pause)

    with no_hang(), FaultSCP(script) as server, pytest.raises(ServerError):
        preflight.check(peer_of(server), timeouts=SHORT)


@pytest.mark.slow
@PACES
@pytest.mark.parametrize("flood", [pending, empty_pdu])
def test_messages_after_a_release_request_end(flood: Flood, pause: float) -> None:
    """The wait for the answer to a release request is not extended by other messages."""

    def script(peer: Peer) -> None:
        peer.accept()
        image = peer.read_image()
        peer.answer(image)
        peer.read_any()
        repeated(peer, flood(peer, image), pause)

    with no_hang(), FaultSCP(script) as server:
        assoc = associate(server, timeouts=SHORT)
        assoc.send_c_store(made_instance(), CONTEXTS[0])
        assoc.release()


@PACES
def test_an_association_request_with_endless_data_fails(pause: float) -> None:
    """An answer that never becomes complete does not extend the wait for it."""

    def script(peer: Peer) -> None:
        peer.read_pdu()
        peer.socket.sendall(pack(">BBL", 2, 0, 1 << 20))
        repeated(peer, b"\0", DRIP / 10)

    timeouts = replace(SHORT, associate=TIMEOUT if pause else TIMEOUT / 5)
    with no_hang(), FaultSCP(script) as server, pytest.raises(AssociationError):
        associate(server, timeouts=timeouts)


def matching(identifier: bytes | None) -> Flood:
    """Return a flood of the same answer to a query."""
    return lambda _, request: query_answer(request, PENDING, identifier)


FLOODS = pytest.mark.parametrize(
    "identifier",
    [IDENTIFIER, b"\xff" * 30, b"", None],
    ids=["same match", "garbage", "empty", "no dataset"],
)


@PACES
@FLOODS
def test_a_query_with_endless_answers_fails(identifier: bytes | None, pause: float) -> None:
    """Answers that bring nothing new end a query, and no answer extends its deadline."""
    flood = flooding(matching(identifier), pause, Peer.read_query)
    with no_hang(), FaultSCP(flood) as server:
        find = find_scu(peer_of(server), SHORT)
        with pytest.raises(QueryError):
            find.present(STUDY, SERIES)


@pytest.mark.slow
@PACES
@FLOODS
def test_a_verification_with_endless_answers_ends(identifier: bytes | None, pause: float) -> None:
    """All images are unknown, and the queries stop."""
    flood = flooding(matching(identifier), pause, Peer.read_query)
    with no_hang(), FaultSCP(flood) as server:
        find = find_scu(peer_of(server), SHORT)
        asked = [replace(reference(n), series_instance_uid=f"1.2.{n}") for n in range(5)]
        answer = find.verify(asked)
    assert answer.unknown.keys() == {one.sop_instance_uid for one in asked}
    assert find.given_up


def test_a_query_that_ends_late_keeps_its_matches() -> None:
    """The matches before the deadline count, and the query as a failure."""
    numbers = iter(range(1, 100))

    def script(peer: Peer) -> None:
        peer.accept(refused=())
        while True:
            request = peer.read_query()
            for _ in range(3):
                identifier = found(f"1.2.{next(numbers)}")
                peer.socket.sendall(query_answer(request, PENDING, identifier))
            peer.read_to_end()

    with no_hang(), FaultSCP(script) as server:
        find = find_scu(peer_of(server), SHORT)
        asked = [replace(reference(0), sop_instance_uid=f"1.2.{n}") for n in range(1, 7)]
        answer = find.verify(asked)
        assert answer.verified == {f"1.2.{n}" for n in range(1, 4)}
        assert answer.unknown.keys() == {f"1.2.{n}" for n in range(4, 7)}
        for _ in range(2):
            find.verify(asked)
        assert find.given_up


def reporting(pause: float) -> Script:
    """Return a script that accepts a commitment request, and reports on another one."""

    def script(peer: Peer) -> None:
        peer.accept()
        read_commitment_request(peer)
        while not peer.server.closing.wait(pause):
            peer.socket.sendall(event_report(peer.context_id, FOREIGN))
            peer.read_pdu()

    return script


@PACES
@pytest.mark.parametrize("listens", [False, True])
def test_reports_of_foreign_transactions_end(listens: bool, pause: float) -> None:
    """They do not extend the wait for the report of a storage commitment."""
    listening = CommitmentListener(free_port(), PACS, timeouts=SHORT)
    with (
        no_hang(),
        FaultSCP(reporting(pause)) as server,
        listening if listens else nullcontext() as listener,
    ):
        pool = query_pool(peer_of(server), SHORT)
        scu = CommitmentSCU(pool, timeouts=SHORT, listener=listener)
        (reason,) = scu.verify([reference(1)]).unknown.values()
    assert reason.kind is Kind.NO_COMMITMENT_REPORT
