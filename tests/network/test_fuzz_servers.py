"""Sending and the check end soon with a value, whatever a server sends."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from struct import pack
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pynetdicom.status import code_to_category

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.values import replace
from tests.support.fault_scp import (
    A_ASSOCIATE_AC,
    A_RELEASE_RP,
    P_DATA_TF,
    FaultSCP,
    Peer,
    Script,
    serve,
)
from tests.support.fuzzing import (
    MAX_SECONDS,
    NUMBERS,
    Damage,
    Fuzz,
    damaged,
    in_rounds,
    many_damages,
    open_files,
)
from tests.support.instances import made_instance
from tests.support.peers import peer_of
from tests.support.results import text_of
from tests.support.sending import unconverted
from tests.support.waiting import wait_for

SHORT_TIMEOUTS = Timeouts(associate=0.2, response=0.2, echo=0.2, release=0.2, tick=0.05)
"""Short timeouts that detect silence soon."""
NO_WAITS = RetryPolicy(min_wait=0, max_wait=0)
STATUSES = [0x0000, 0xB000, 0xA700, 0xC000, 0x0111, 0x0213]
COMMAND_ELEMENTS = [0x0000, 0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x0901, 0x0902, 0x1000]
MID_IMAGE = -1
STORED = ("Success", "Warning")
"""Status categories for stored images (PS3.7 annex C)."""
STATUS_HEADER = pack("<HHL", 0, 0x0900, 2)


@st.composite
def pdus(draw: st.DrawFn) -> bytes:
    """Draw a PDU whose length may be wrong."""
    body = draw(st.binary(max_size=120))
    length = draw(st.just(len(body)) | st.sampled_from(NUMBERS))
    kind = draw(st.integers(0, 8) | st.just(0xFF))
    return pack(">BBL", kind, 0, length) + body


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """Draw the PDU of a message with any elements of a command set."""
    drawn = draw(st.lists(st.tuples(st.sampled_from(COMMAND_ELEMENTS), st.binary(max_size=8))))
    elements = b"".join(
        pack("<HHL", 0, element, draw(st.just(len(value)) | st.sampled_from(NUMBERS))) + value
        for element, value in drawn
    )
    context_id, control = draw(st.sampled_from([0, 1, 2, 3, 255])), draw(st.integers(0, 255))
    body = pack(">LBB", len(elements) + 2, context_id, control) + elements
    return pack(">BBL", P_DATA_TF, 0, len(body)) + body


@dataclass(frozen=True)
class Misbehaviour:
    """Wrong data that a server sends, the PDU that it replaces, and the next action."""

    instead_of: int
    changes: list[Damage]
    times: int
    noise: bytes
    ending: str
    status: int = 0


misbehaviours = st.builds(
    Misbehaviour,
    st.sampled_from([A_ASSOCIATE_AC, P_DATA_TF, A_RELEASE_RP, MID_IMAGE]),
    many_damages,
    st.sampled_from([0, 1, 1, 2]),
    st.just(b"") | st.binary(max_size=64) | pdus() | messages(),
    st.sampled_from(["go on", "go on", "close", "reset", "half close"]),
    st.sampled_from(STATUSES),
)


class BadSocket:
    """Socket of a server that sends other data than given."""

    def __init__(self, peer: Peer, case: Misbehaviour) -> None:
        self.said = b""
        self._peer = peer
        self._socket = peer.socket
        self._case = case

    def __getattr__(self, name: str) -> object:
        """Delegate everything else to the socket."""
        return getattr(self._socket, name)

    def sendall(self, pdu: bytes) -> None:
        if pdu[0] == self._case.instead_of:
            self.misbehave(pdu)
        else:
            self._socket.sendall(pdu)

    def misbehave(self, pdu: bytes) -> None:
        case = self._case
        said = damaged(pdu, case.changes) * case.times + case.noise
        self.said += said
        self._socket.sendall(said)
        match case.ending:
            case "close":
                self._socket.close()
            case "reset":
                self._peer.reset()
            case "half close":
                self._socket.shutdown(socket.SHUT_WR)


def misbehaving(case: Misbehaviour, sockets: list[BadSocket]) -> Script:
    """Return a script for `case`."""

    def script(peer: Peer) -> None:
        bad = BadSocket(peer, case)
        sockets.append(bad)
        peer.socket = cast(socket.socket, bad)
        peer.accept()
        while True:
            command = peer.read_command()
            if case.instead_of == MID_IMAGE:
                bad.misbehave(peer.response(command))
            peer.answer(peer.read_image(command), case.status)

    return script


@contextmanager
def nothing_left() -> Iterator[None]:
    """Check that the block ends soon and leaves no thread and no open file."""
    files, threads = open_files(), set(threading.enumerate())
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < MAX_SECONDS
    assert wait_for(lambda: set(threading.enumerate()) <= threads)
    assert wait_for(lambda: open_files() <= files)


def may_mean_stored(said: bytes) -> bool:
    """Return whether some status in the sent data is Success or a warning."""
    parts = said.split(STATUS_HEADER)[1:]
    codes = [int.from_bytes(part[:2], "little") for part in parts]
    return any(code_to_category(code) in STORED for code in codes)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_response_to_images(fuzz: Fuzz) -> None:
    """Whatever a server sends, each image has an outcome soon, and nothing is left."""

    @in_rounds
    @given(misbehaviours, st.sampled_from([0.0, 0.0, 0.0, 5.0]))
    def check(case: Misbehaviour, retry_time: float) -> None:
        sockets: list[BadSocket] = []
        with nothing_left(), FaultSCP(misbehaving(case, sockets), serve) as server:
            scu = StorageSCU(
                peer_of(server),
                unconverted,
                retry_time=retry_time,
                transport=Transport(timeouts=SHORT_TIMEOUTS),
                policy=NO_WAITS,
            )
            outcomes = [scu.send(made_instance(number)) for number in (1, 2)]
            scu.close()
        results = [one.failure if isinstance(one, Suspect) else one for one in outcomes]
        assert all(isinstance(result, Sent | NotSent) for result in results)
        assert all(isinstance(result, Sent) or text_of(result) for result in results)
        if server.connections == 1 and case.instead_of == P_DATA_TF:
            may_be_stored = may_mean_stored(b"".join(one.said for one in sockets))
            assert may_be_stored or not any(isinstance(result, Sent) for result in results)

    fuzz(check)


@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_any_response_to_the_check(fuzz: Fuzz) -> None:
    """Whatever a server sends, the check before the first download ends soon.

    It raises nothing except ServerError.
    """

    @in_rounds
    @given(misbehaviours)
    def check(case: Misbehaviour) -> None:
        script = misbehaving(case, [])
        with nothing_left(), FaultSCP(script) as server, suppress(ServerError):
            preflight.check(
                peer_of(server),
                policy=replace(NO_WAITS, max_time=0.1),
                timeouts=SHORT_TIMEOUTS,
            )

    fuzz(check)
