"""State machine of the DICOM upper layer: bytes in, events out, no I/O (PS3.8 9).

The decoder is as tolerant as other toolkits: it ignores unknown items (PS3.8 9.3.1) and invalid
characters in names.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from enum import Enum, auto

from ..values import field, frozen
from . import pdus
from .contexts import Context
from .identity import without_identity
from .pdus import Message, MessageReader, ProtocolError, associate_pdu, item, items, name_of
from .types import PeerAE

_TLS_ALERT = b"\x15\x03"
_RESULTS, _SOURCES = (1, 2), (1, 2, 3)
_ABORT_SOURCES = {0: "service user", 2: "service provider"}
_ABORT_REASONS = {
    0: "no reason given",
    1: "unrecognized PDU",
    2: "unexpected PDU",
    4: "unrecognized PDU parameter",
    5: "unexpected PDU parameter",
    6: "invalid PDU parameter value",
}
"""Sources of an A-pdus.ABORT, and the reasons of a service provider (PS3.8 9.3.8)."""


class State(Enum):
    """State of an association."""

    IDLE = auto()
    REQUESTED = auto()
    ESTABLISHED = auto()
    RELEASING = auto()
    BROKEN = auto()
    ENDED = auto()


@frozen
class Accepted:
    """The peer accepts the association.

    `contexts` are the accepted contexts by their IDs. `max_pdu` is in bytes, 0 for no limit
    (PS3.8 D.1). `confirms_identity` is true if the peer sent any response to the user identity
    (PS3.7 D.3.3.7.2). `results` are the results of the proposed contexts (PS3.8 9.3.3.2).
    """

    contexts: Mapping[int, Context]
    max_pdu: int
    implementation: str
    confirms_identity: bool = False
    class_uid: str = ""
    results: Mapping[Context, int] = field(default_factory=dict)


@frozen
class Rejected:
    """The peer rejects the association (PS3.8 9.3.4)."""

    result: int
    source: int
    reason: int


@frozen
class Requested:
    """The peer requests an association.

    `answer` is the PDU to send. `refusal` is the cause of a rejection, empty if it is accepted.
    """

    answer: bytes
    refusal: str = ""


@frozen
class ReleaseRequested:
    """The peer wants to release the association."""


@frozen
class Ended:
    """The association has ended: released, aborted, lost, or the peer violated the protocol.

    `is_abort` means that the peer aborted it.
    """

    is_abort: bool = False


Event = Requested | Accepted | Rejected | Message | ReleaseRequested | Ended


class Protocol:
    """State machine of one association, which decodes received bytes and encodes requests.

    The mutable state is the state of the association, the bytes of an incomplete PDU and message,
    and `ending`, the cause of the association's end as text for the log.
    """

    expected: Collection[int] = range(pdus.ASSOCIATE_AC, pdus.A_ABORT + 1)
    """Types of PDUs that the peer may send."""

    def __init__(self, peer: PeerAE, contexts: Sequence[Context]) -> None:
        """Prepare to request an association with up to 128 `contexts`."""
        self.state = State.IDLE
        self.speaks_tls = False
        self.ending = ""
        self._peer = peer
        self._contexts = {2 * index + 1: context for index, context in enumerate(contexts)}
        self._received = bytearray()
        self._reader = MessageReader()

    @property
    def is_over(self) -> bool:
        """Whether no more events can follow."""
        return self.state in (State.BROKEN, State.ENDED)

    def request(self) -> bytes:
        """Return the A-ASSOCIATE-RQ (PS3.8 9.3.2)."""
        self.state = State.REQUESTED
        contexts = b"".join(
            item(
                pdus.CONTEXT_ITEM,
                bytes((context_id, 0, 0, 0))
                + item(pdus.ABSTRACT_SYNTAX, context.abstract_syntax)
                + item(pdus.TRANSFER_SYNTAX, context.transfer_syntax),
            )
            for context_id, context in self._contexts.items()
        )
        peer = self._peer
        return associate_pdu(
            pdus.ASSOCIATE_RQ, peer.called_ae, peer.calling_ae, contexts, identity=peer.identity
        )

    def release(self) -> bytes:
        """Return the A-RELEASE-RQ."""
        self.state = State.RELEASING
        return pdus.RELEASE_REQUEST

    def abort(self) -> bytes:
        """Return the A-pdus.ABORT, empty if there is no association to abort."""
        was, self.state = self.state, State.ENDED
        if was is not State.IDLE:
            self.note_ending("this side aborted it")
        return b"" if was in (State.IDLE, State.ENDED) else pdus.ABORT

    def receive(self, data: bytes) -> Iterator[Event]:
        """Decode received bytes into events. Empty `data` means the end of the connection."""
        self._received += data
        if self.state is State.REQUESTED and self._received.startswith(_TLS_ALERT):
            self.speaks_tls = True
        try:
            while not self.is_over and (pdu := self._next_pdu()):
                yield from self._events(*pdu)
        except (ProtocolError, IndexError, ValueError):
            self.break_off("the server violates the protocol")
            yield Ended()
        if not data and not self.is_over:
            self.note_ending("the connection was closed without a release")
            yield self._end()

    def break_off(self, why: str) -> None:
        """Ignore all further data from the peer."""
        self.state = State.BROKEN
        self.note_ending(why)

    def note_ending(self, how: str) -> None:
        """Record how the association ended. The first record is the cause."""
        self.ending = self.ending or how

    def _next_pdu(self) -> tuple[int, bytes] | None:
        """Remove the next PDU; return its type and body, None if it is incomplete (PS3.8 9.3)."""
        received = self._received
        if len(received) < pdus.PDU_HEADER.size:
            return None
        kind, length = pdus.PDU_HEADER.unpack_from(received)
        if kind not in self.expected or length > pdus.MAX_ANSWER:
            raise ProtocolError
        end = pdus.PDU_HEADER.size + length
        if len(received) < end:
            return None
        body = bytes(received[pdus.PDU_HEADER.size : end])
        del received[:end]
        return kind, body

    def _events(self, kind: int, body: bytes) -> Iterator[Event]:
        is_open = self.state in (State.ESTABLISHED, State.RELEASING)
        if kind == pdus.P_DATA_TF and is_open:
            yield from self._reader.messages(body)
        elif kind == pdus.ASSOCIATE_AC and self.state is State.REQUESTED:
            self.state = State.ESTABLISHED
            yield self._accepted(body)
        elif kind == pdus.ASSOCIATE_RJ and self.state is State.REQUESTED:
            _, result, source, reason = body[:4]
            if result not in _RESULTS or source not in _SOURCES:
                raise ProtocolError
            self.state = State.ENDED
            self.note_ending("the server rejected it")
            yield Rejected(result, source, reason)
        elif kind == pdus.RELEASE_RQ and is_open:
            self.note_ending("the server released it")
            yield ReleaseRequested()
        elif kind == pdus.A_ABORT:
            self.note_ending(_aborted(body))
            yield self._end(is_abort=True)
        elif kind == pdus.RELEASE_RP and self.state is State.RELEASING:
            self.note_ending("this side released it")
            yield self._end()
        else:
            raise ProtocolError

    def _end(self, *, is_abort: bool = False) -> Ended:
        self.state = State.ENDED
        return Ended(is_abort)

    def _accepted(self, body: bytes) -> Accepted:
        """Decode an A-ASSOCIATE-AC (PS3.8 9.3.3)."""
        if len(body) < pdus.FIXED_FIELDS:
            raise ProtocolError
        contexts: dict[int, Context] = {}
        results: dict[Context, int] = {}
        user_items: dict[int, bytes] = {}
        for kind, value in items(body[pdus.FIXED_FIELDS :]):
            if kind == pdus.CONTEXT_RESULT:
                context_id, result = value[0], value[2]
                proposed = self._contexts.get(context_id)
                if proposed:
                    results[proposed] = result
                if proposed and result == 0 and _is_accepted(proposed, value[4:]):
                    contexts[context_id] = proposed
            elif kind == pdus.USER_INFORMATION:
                user_items |= items(value)
        class_uid = self._own_name(user_items.get(pdus.CLASS_UID, b""))
        version_name = self._own_name(user_items.get(pdus.VERSION_NAME, b""))
        max_pdu = int.from_bytes(user_items.get(pdus.MAX_LENGTH, b"")[:4], "big")
        confirms_identity = pdus.IDENTITY_RESPONSE in user_items
        name = version_name or class_uid
        return Accepted(contexts, max_pdu, name, confirms_identity, class_uid, results)

    def _own_name(self, value: bytes) -> str:
        """Return a name of the peer, withheld if it may quote the user identity."""
        for reading in (value.decode("latin-1"), value.decode("utf-8", "replace")):
            if (checked := without_identity(reading, self._peer.identity)) != reading:
                return checked
        return name_of(value)


def _aborted(body: bytes) -> str:
    """Return the source and the reason of an A-pdus.ABORT in words (PS3.8 9.3.8)."""
    source, reason = body[2:3], body[3:4]
    who = _ABORT_SOURCES.get(source[0]) if source else None
    if who is None:
        return "the server aborted it"
    # A service user gives no reason.
    why = _ABORT_REASONS.get(reason[0]) if source[0] and reason else None
    return f"the server aborted it ({who}" + (f": {why})" if why else ")")


def _is_accepted(proposed: Context, encoded: bytes) -> bool:
    """Return whether an accepted context has the proposed transfer syntax."""
    syntax = dict(items(encoded)).get(pdus.TRANSFER_SYNTAX, b"")
    return name_of(syntax) == proposed.transfer_syntax
