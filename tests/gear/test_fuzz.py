"""What may come from outside, made up and damaged for some seconds: nothing but values come of it.

The examples come in the same order in each run; `--fuzz-seconds` says for how long.
"""

import bz2
import gzip
import io
import lzma
import os
import signal
import socket
import tarfile
import threading
import time
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from itertools import count, pairwise
from pathlib import Path
from struct import pack
from typing import cast

import backoff
import pytest
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from pynetdicom._globals import STATUS_SUCCESS, STATUS_WARNING
from pynetdicom.status import code_to_category

from fw_gear_dicom_send.archive import reader as archive
from fw_gear_dicom_send.archive.limits import Limits
from fw_gear_dicom_send.archive.types import BrokenArchive, Member
from fw_gear_dicom_send.dicom.part10 import is_dicom
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag, SOPInstance, Span, Unreadable
from fw_gear_dicom_send.errors import ServerError
from fw_gear_dicom_send.network import association as upper_layer
from fw_gear_dicom_send.network import preflight
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.types import PeerAE, StoreResult
from tests.support import datasets as raw
from tests.support.archives import dicom, has_prefix, sparse_entry, tar_entry
from tests.support.datasets import BIG, DEFLATED, EXPLICIT, IMPLICIT, Wire, content_of
from tests.support.fault_scp import (
    A_ASSOCIATE_AC,
    A_RELEASE_RP,
    P_DATA_TF,
    FaultSCP,
    Peer,
    Script,
    serve,
)
from tests.support.footprint import peak_resident
from tests.support.instances import made_instance
from tests.support.sample_files import shipped

SECONDS = 6.0
"""How long each test goes on, unless told otherwise."""
EXAMPLES = 20
LONGEST = 10.0
"""Seconds after which an example is a hang."""
MOST_MEMORY = 350_000_000
SOON = 5.0

Fuzz = Callable[[Callable[[], None]], None]

in_rounds = settings(
    max_examples=EXAMPLES,
    deadline=None,
    database=None,
    suppress_health_check=list(HealthCheck),
)


class HangError(AssertionError):
    """An example takes too long."""


@pytest.fixture
def fuzz(pytestconfig: pytest.Config) -> Fuzz:
    """Call a property in rounds, each with a seed of its own, until the time is over."""
    seconds = pytestconfig.getoption("--fuzz-seconds") or SECONDS

    def run(check: Callable[[], None]) -> None:
        end = time.monotonic() + seconds
        for number in count():
            seed(number)(check)()
            if time.monotonic() > end:
                break

    return run


@contextmanager
def no_hang() -> Iterator[None]:
    """Raise HangError in the block if it takes too long."""

    def ring(*_: object) -> None:
        raise HangError

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, LONGEST)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextmanager
def bounded_memory() -> Iterator[None]:
    """Check what the block needs of memory at most."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    before = peak_resident(os.getpid())
    yield
    assert peak_resident(os.getpid()) - before < MOST_MEMORY


def open_files(*, sockets: bool = True) -> int:
    """Count open files; sockets of others may be closed while something else is tested."""
    found = 0
    for name in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += sockets or not os.readlink(f"/proc/self/fd/{name}").startswith("socket:")
    return found


def wait_for(condition: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + SOON
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.005)
    return condition()


# Damage

NUMBERS = [0, 1, 2, 3, 7, 0x7F, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
NUMBER_FORMATS = ["<B", "<H", ">H", "<L", ">L", "<Q"]
Damage = Callable[[bytearray], None]


@st.composite
def damages(draw: st.DrawFn) -> Damage:
    """Draw a change to bytes, whatever they are."""
    place = draw(st.floats(0, 1, exclude_max=True))
    size = draw(st.integers(1, 64) | st.integers(1, 4096))
    noise = draw(st.binary(min_size=1, max_size=12))
    number = draw(st.sampled_from(NUMBERS))
    layout = draw(st.sampled_from(NUMBER_FORMATS))
    kind = draw(
        st.sampled_from(["set", "number", "cut", "drop", "repeat", "insert", "zero", "flip"])
    )
    elsewhere = draw(st.floats(0, 1, exclude_max=True))

    def damage(data: bytearray) -> None:
        at = int(place * len(data))
        part = data[at : at + size]
        match kind:
            case "set":
                data[at : at + len(noise)] = noise
            case "number":
                width = len(pack(layout, 0))
                data[at : at + width] = pack(layout, number & (1 << 8 * width) - 1)
            case "cut":
                del data[at:]
            case "drop":
                del data[at : at + size]
            case "repeat":
                to = int(elsewhere * len(data))
                data[to:to] = part
            case "insert":
                data[at:at] = noise
            case "zero":
                data[at : at + size] = bytes(len(part))
            case "flip":
                data[at : at + 1] = bytes(byte ^ noise[0] for byte in data[at : at + 1])

    return damage


def damaged(data: bytes, changes: list[Damage]) -> bytes:
    changed = bytearray(data)
    for change in changes:
        change(changed)
    return bytes(changed)


many_damages = st.lists(damages(), max_size=5)


# Archives

ORIGINALS = [dicom(seed, size) for seed, size in enumerate([132, 700, 5000, 9000])]
OTHERS = [b"", b"notes", bytes(3000)]
SPARSE = {0: ORIGINALS[1], 4096: b"end"}
BOMB = bytes(128) + b"DICM" + bytes(2 << 20)
LIMITS = Limits(member=1 << 20, archive=1 << 22, ratio=50)
METHODS = [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]
LONGEST_NAME = 100
TAR_FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]
COMPRESSED = (b"\x1f\x8b\x08", b"BZh", b"\xfd7zXZ\x00")
COMPRESSORS = [bytes, partial(gzip.compress, mtime=0), bz2.compress, lzma.compress]
MAGICS = [b"", b"PK\x03\x04", b"PK\x05\x06", b"\x1f\x8b\x08", b"BZh9", b"\xfd7zXZ\x00", b"DICM"]
names = st.sampled_from(["1.dcm", "a/b", "../../etc/x", "/abs", "x" * 200, "ä" * 90, "DICOMDIR"])
contents = st.sampled_from([*ORIGINALS, *ORIGINALS, *OTHERS, BOMB])
members = st.lists(st.tuples(names, contents), max_size=5)


@st.composite
def zips(draw: st.DrawFn) -> bytes:
    """Draw a zip; a member may be a bomb, or come twice."""
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w") as file:
        for name, content in draw(members):
            file.writestr(name, content, draw(st.sampled_from(METHODS)), 1)
    return target.getvalue()


@st.composite
def tars(draw: st.DrawFn) -> bytes:
    """Draw a tar, which may lack its end."""
    entries = []
    for name, content in draw(members):
        is_short = len(name.encode()) <= LONGEST_NAME
        formats = st.sampled_from(TAR_FORMATS) if is_short else st.just(tarfile.GNU_FORMAT)
        entries.append(tar_entry(name, content, tar_format=draw(formats)))
    if draw(st.integers(0, 4)) == 0:
        entries.append(sparse_entry("sparse", SPARSE, draw(st.sampled_from([4099, 1 << 40]))))
    return b"".join(entries) + draw(st.sampled_from([b"", bytes(512), bytes(1024)]))


no_archives = st.builds(lambda magic, rest: magic + rest, st.sampled_from(MAGICS), st.binary())


Item = Member | Unreadable | BrokenArchive


def check_archive(data: bytes, path: Path, work: Path) -> tuple[list[Item], list[bytes]]:
    """Read an archive, check that nothing but values comes of it; return its items and images."""
    path.write_bytes(data)
    before = open_files(sockets=False)
    items: list[Item] = []
    images: list[bytes] = []
    with no_hang():
        for item in archive.read(path, work, has_prefix, LIMITS):
            items.append(item)
            if isinstance(item, Member):
                with closing(item.content):
                    images.append(item.content.read())
                    assert item.content.seek(0) == 0
    assert all(isinstance(item, Member | Unreadable | BrokenArchive) for item in items)
    assert not any(isinstance(item, BrokenArchive) for item in items[:-1])
    assert sum(map(len, images)) <= max(LIMITS.archive, LIMITS.ratio * len(data), len(data))
    assert open_files(sockets=False) == before
    assert not list(work.iterdir())
    return items, images


def is_prefix_alone(data: bytes) -> bool:
    """Tell whether a file is read as a single image, which has no checksum."""
    return has_prefix(data[:4096])


def test_archives_of_bytes(fuzz: Fuzz, tmp_path: Path) -> None:
    """Whatever bytes follow what starts an archive, nothing is raised and nothing is left."""
    path, work = places(tmp_path)

    @in_rounds
    @given(no_archives)
    def check(data: bytes) -> None:
        check_archive(data, path, work)

    fuzz(check)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_zips(fuzz: Fuzz, tmp_path: Path) -> None:
    """However a zip is damaged, no image comes out of it that was not put in."""
    path, work = places(tmp_path)

    @in_rounds
    @given(zips(), many_damages)
    def check(whole: bytes, changes: list[Damage]) -> None:
        data = damaged(whole, changes)
        _, images = check_archive(data, path, work)
        assert all(image in ORIGINALS for image in images) or is_prefix_alone(data)

    with bounded_memory():
        fuzz(check)


def test_tars(fuzz: Fuzz, tmp_path: Path) -> None:
    """However a tar is damaged, its images are bytes of it.

    Where damage to a compressed one changes an image, the archive is called broken.
    """
    path, work = places(tmp_path)

    @in_rounds
    @given(tars(), st.sampled_from(COMPRESSORS), many_damages, many_damages)
    def check(
        tar: bytes, compress: Callable[[bytes], bytes], inside: list[Damage], outside: list[Damage]
    ) -> None:
        content = damaged(tar, inside)
        data = damaged(compress(content), outside)
        items, images = check_archive(data, path, work)
        known = content if data.startswith(COMPRESSED) else data
        is_broken = bool(items) and isinstance(items[-1], BrokenArchive)
        are_known = b"GNU.sparse" in known or all(image in known for image in images)
        assert are_known or (is_broken and data.startswith(COMPRESSED))

    with bounded_memory():
        fuzz(check)


def places(folder: Path) -> tuple[Path, Path]:
    """Return a place for an archive, and an empty folder to work in."""
    work = folder / "work"
    work.mkdir()
    return folder / "archive", work


# Datasets

TAG = PrivateTag(0x0021, "Flywheel", "DICOM send")
WIRES = [IMPLICIT, EXPLICIT, BIG]
SYNTAXES = ["", "1.2.840.10008.1.2", "1.2.840.10008.1.2.1", "1.2.840.10008.1.2.2"]
DEFLATED_SYNTAX = DEFLATED.uid
OTHER_SYNTAXES = ["1.2.840.10008.1.2.4.50", "1.2.3.4", "no UID", "x" * 70]
SHIPPED = ["MR_small_bigendian.dcm", "UN_sequence.dcm", "nested_priv_SQ.dcm", "rtplan.dcm"]
LENGTHS = [0, 1, 7, 0xFFFE, 0xFFFF, 0x10000, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF]
TAGS = [0x00080005, 0x00081140, 0x00100010, 0x00210000, 0x00210010, 0x00211001, 0x0021FFFF]
ODD_TAGS = [0x00290010, 0x7FE00010, 0xFFFCFFFC, 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD, 0x00000000]
tags = st.sampled_from([*TAGS, *ODD_TAGS])


@st.composite
def odd_elements(draw: st.DrawFn, wire: Wire) -> bytes:
    """Draw elements in any order, whose lengths need not be right."""
    elements = []
    for tag in draw(st.lists(tags, max_size=6)):
        value = draw(st.binary(max_size=30) | st.just(b"Flywheel") | st.just(b"DICOM send"))
        vr = draw(st.sampled_from(["LO", "SQ", "UN", "OB", "US", "PN", "ZZ", "\0\0", "OW"]))
        length = draw(st.none() | st.sampled_from(LENGTHS))
        is_long = draw(st.none() | st.booleans())
        if not (is_long or vr not in raw.SHORT) or is_long is False:
            length = None if length is None else length & 0xFFFF
        elements.append(raw.element(tag, vr, value, wire, long=is_long, length=length).data)
    return b"".join(elements)


@st.composite
def nested(draw: st.DrawFn, wire: Wire) -> bytes:
    """Draw sequences in sequences, deeper than any stack, of which the ends may be missing."""
    depth = draw(st.sampled_from([1, 3, 70, 3000]))
    ends = draw(st.sampled_from([depth, depth - 1, 0]))
    start = raw.element(0x00081140, "SQ", b"", wire, length=raw.UNDEFINED).data
    start += raw.raw_tag(0xFFFEE000, wire) + pack(wire.order + "L", raw.UNDEFINED)
    end = raw.raw_tag(0xFFFEE00D, wire) + bytes(4) + raw.raw_tag(0xFFFEE0DD, wire) + bytes(4)
    return start * depth + draw(odd_elements(wire)) + end * ends


@st.composite
def files(draw: st.DrawFn) -> bytes:
    """Draw a DICOM file, more or less."""
    if draw(st.integers(0, 3)) == 0:
        return shipped(draw(st.sampled_from(SHIPPED))).read_bytes()[:20_000]
    wire = draw(st.sampled_from(WIRES))
    parts = draw(st.lists(odd_elements(wire) | nested(wire), max_size=3))
    parts.insert(draw(st.sampled_from([0, 0, 0, 1])), raw.joined(raw.uids(wire)))
    dataset = b"".join(parts)
    syntax = draw(st.just(wire.uid) | st.sampled_from([*SYNTAXES, *OTHER_SYNTAXES]))
    if draw(st.integers(0, 3)) == 0:
        dataset, syntax = deflated(damaged(dataset, draw(many_damages))), DEFLATED_SYNTAX
    return draw(st.sampled_from([dataset, raw.part10(dataset, syntax)]))


def deflated(data: bytes) -> bytes:
    return zlib.compress(data, wbits=-zlib.MAX_WBITS)


def inserted(instance: SOPInstance, size: int) -> list[bytes]:
    """Return what comes into a dataset; check that nothing else of it is changed but a length."""
    pieces = [piece for piece in instance.dataset.pieces if piece != b""]
    spans = [piece for piece in pieces if isinstance(piece, Span)]
    assert spans[-1].end == size
    assert all(0 <= span.start <= span.end for span in spans)
    gaps = [after.start - before.end for before, after in pairwise(spans)]
    assert set(gaps) <= {0, 4}
    assert gaps.count(4) <= 1
    return [piece for piece in pieces if isinstance(piece, bytes)]


def test_datasets(fuzz: Fuzz, tmp_path: Path) -> None:
    """However a file is damaged, the outcome is a value; what is stamped is left alone next time.

    Nothing of it is changed but the length of the group, and what is inserted is ours.
    """

    @in_rounds
    @given(files(), many_damages)
    def check(whole: bytes, changes: list[Damage]) -> None:
        data = damaged(whole, changes)
        content = io.BytesIO(data)
        before = open_files(sockets=False)
        with no_hang():
            is_dicom(data[:4096])
            outcome = stamp(content, TAG, tmp_path)
        assert open_files(sockets=False) == before
        assert not list(tmp_path.iterdir())
        assert isinstance(outcome, SOPInstance | Unreadable)
        if isinstance(outcome, Unreadable):
            assert content.closed
            return
        check_stamped(outcome, data, tmp_path)
        outcome.dataset.close()
        assert content.closed

    fuzz(check)


def check_stamped(instance: SOPInstance, data: bytes, work: Path) -> None:
    """Check what was stamped, and that it is known again."""
    stamped = content_of(instance.dataset)
    assert instance.dataset.size == len(stamped)
    syntax = instance.transfer_syntax_uid
    if syntax != DEFLATED_SYNTAX:
        new = b"".join(inserted(instance, len(data)))
        if new:
            assert TAG.value.encode() in new
            assert len(new) <= 4 + 2 * 8 + 2 * 8 + len(TAG.creator) + len(TAG.value)
    again = stamp(io.BytesIO(raw.part10(stamped, syntax)), TAG, work)
    assert isinstance(again, SOPInstance)
    assert (again.sop_class_uid, again.sop_instance_uid) == (
        instance.sop_class_uid,
        instance.sop_instance_uid,
    )
    assert content_of(again.dataset) == stamped


# Servers

TIMEOUTS = ["ASSOCIATE_TIMEOUT", "RESPONSE_TIMEOUT", "ECHO_TIMEOUT", "RELEASE_TIMEOUT"]
STATUSES = [0x0000, 0xB000, 0xA700, 0xC000, 0x0111, 0x0213]
COMMAND_ELEMENTS = [0x0000, 0x0002, 0x0100, 0x0120, 0x0800, 0x0900, 0x0901, 0x0902, 0x1000]
MID_IMAGE = -1
STATUS_HEADER = pack("<HHL", 0, 0x0900, 2)


@st.composite
def pdus(draw: st.DrawFn) -> bytes:
    """Draw a PDU, whose length need not be right."""
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
    """What a server says other than it should, in place of which PDU, and how it goes on."""

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
    """A server's socket that says something else than it is told."""

    def __init__(self, peer: Peer, case: Misbehaviour) -> None:
        self.said = b""
        self._peer = peer
        self._socket = peer.socket
        self._case = case

    def __getattr__(self, name: str) -> object:
        """Do all else as a socket does."""
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
    """Return a script that goes by `case`."""

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
    """Check that the block takes no long time, and leaves no thread and no open file."""
    files, threads = open_files(), set(threading.enumerate())
    begun = time.monotonic()
    yield
    assert time.monotonic() - begun < LONGEST
    assert wait_for(lambda: set(threading.enumerate()) <= threads)
    assert wait_for(lambda: open_files() <= files)


@pytest.fixture
def _hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have silence noticed soon."""
    for name in TIMEOUTS:
        monkeypatch.setattr(upper_layer, name, 0.2)
    monkeypatch.setattr(upper_layer, "_TICK", 0.05)
    monkeypatch.setattr(backoff, "full_jitter", lambda _: 0.0)


def may_mean_stored(said: bytes) -> bool:
    """Tell whether some status in what was said is Success or a warning."""
    parts = said.split(STATUS_HEADER)[1:]
    codes = [int.from_bytes(part[:2], "little") for part in parts]
    return any(code_to_category(code) in (STATUS_SUCCESS, STATUS_WARNING) for code in codes)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_a_server_says_to_images(fuzz: Fuzz) -> None:
    """Whatever a server says, each image has an outcome soon, and nothing of it is left."""

    @in_rounds
    @given(misbehaviours, st.sampled_from([0.0, 0.0, 0.0, 5.0]))
    def check(case: Misbehaviour, retry_time: float) -> None:
        sockets: list[BadSocket] = []
        with nothing_left(), FaultSCP(misbehaving(case, sockets), serve) as server:
            peer = PeerAE("127.0.0.1", server.port, "CALLED", "CALLING")
            scu = StorageSCU(peer, lambda *_: Unreadable("not converted"), retry_time=retry_time)
            results = [scu.send(made_instance(number)) for number in (1, 2)]
            scu.close()
        assert all(isinstance(result, StoreResult) for result in results)
        assert all(result.sent or result.remark for result in results)
        if server.connections == 1 and case.instead_of == P_DATA_TF:
            is_told = may_mean_stored(b"".join(one.said for one in sockets))
            assert is_told or not any(result.sent for result in results)

    fuzz(check)


@pytest.mark.usefixtures("_hurried")
@pytest.mark.filterwarnings("error::pytest.PytestUnhandledThreadExceptionWarning")
def test_what_a_server_says_to_the_check(fuzz: Fuzz) -> None:
    """Whatever a server says to the check before the first download, it ends soon.

    It raises nothing but ServerError.
    """

    @in_rounds
    @given(misbehaviours)
    def check(case: Misbehaviour) -> None:
        script = misbehaving(case, [])
        with nothing_left(), FaultSCP(script) as server, suppress(ServerError):
            preflight.check(PeerAE("127.0.0.1", server.port, "CALLED", "CALLING"), patience=0.1)

    fuzz(check)
