"""The frozen types that travel between the steps of a run."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO


@dataclass(frozen=True)
class Container:
    """A Flywheel container: its type (`session`, `acquisition`, ...) and its id."""

    type: str
    id: str


@dataclass(frozen=True)
class Option:
    """An option of the manifest; `default` is None where a value has to be given."""

    name: str
    type: str
    default: str | int | bool | None
    description: str
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class PeerAE:
    """The DICOM server, and the AE titles of both sides (PS3.8 7.1.1)."""

    host: str
    port: int
    called_ae: str
    calling_ae: str


@dataclass(frozen=True)
class TLSConfig:
    """How to use TLS: the gear's own key and certificate, and what the peer has to show.

    `profile` is a name in PS3.15 annex B, `add_cert_file` holds CA certificates to trust beyond
    those of the system; all files are PEM. `check_hostname` tells whether the peer's certificate
    has to be for the name or address that is connected to.
    """

    key: Path
    cert: Path
    add_cert_file: Path | None
    profile: str
    require_peer_cert: bool
    check_hostname: bool


@dataclass(frozen=True)
class TLSSession:
    """What was negotiated, and the peer's certificate (RFC 4514)."""

    version: str
    cipher: str
    subject: str
    issuer: str


@dataclass(frozen=True)
class Greeting:
    """What a server says of itself before any image (PS3.7 D.3.3, PS3.8 D.1).

    `echo_status` is its answer to a C-ECHO, None where it takes none, which took `echo_seconds`;
    `longest_pdu` is in bytes, 0 where it sets no limit.
    """

    implementation: str
    longest_pdu: int
    tls: TLSSession | None
    echo_status: int | None
    echo_seconds: float


@dataclass(frozen=True)
class PrivateTag:
    """The element that marks a dataset as sent (PS3.5 7.8)."""

    group: int
    creator: str
    value: str


@dataclass(frozen=True)
class InputFile:
    """The file given as input: where it lies, its Flywheel name and its container."""

    path: Path
    name: str
    parent: Container


@dataclass(frozen=True, kw_only=True)
class SendConfig:
    """How to send, wherever the images come from; without `tag` datasets stay as they are."""

    peer: PeerAE
    tls: TLSConfig | None
    tag: PrivateTag | None
    send_retry_time: float
    associations: int
    report: bool
    instance_report: bool = True
    html_report: bool = True
    verify: str = "none"
    skip_existing: bool = False
    dry_run: bool = False


@dataclass(frozen=True, kw_only=True)
class GearConfig(SendConfig):
    """A checked gear configuration."""

    destination: Container
    input_file: InputFile | None
    api_key: str = field(repr=False)
    file_download_retry_time: float


@dataclass(frozen=True)
class FileEntry:
    """A Flywheel file that is to be sent.

    `size` (bytes) and `hash` are what the site's file record says, where it does.
    """

    parent: Container
    name: str
    fw_path: str
    size: int | None = None
    hash: str | None = None

    @property
    def acquisition_id(self) -> str:
        """Id of the acquisition that holds the file, empty where none does."""
        return self.parent.id if self.parent.type == "acquisition" else ""


@dataclass(frozen=True)
class Selection:
    """What a run sends, and where its report belongs."""

    entries: tuple[FileEntry, ...]
    report_parent: Container
    report_label: str


@dataclass(frozen=True)
class DownloadFailure:
    """A Flywheel file that could not be had, and why."""

    reason: str


@dataclass(frozen=True)
class Member:
    """A DICOM file out of an archive, or a DICOM file that came alone.

    `number` counts the members of the archive from 1: messages name a member by
    it, since its `name`, empty for a file that came alone, may be a patient's.
    `content` is seekable and belongs to whoever takes the member. `position` is how
    far the archive has been read, in bytes.
    """

    number: int
    content: BinaryIO
    name: str = ""
    position: int = 0


@dataclass(frozen=True)
class Unreadable:
    """An image that cannot be sent, and why (never with a value of its dataset).

    `number` is that of the member, 0 where it is not known.
    """

    reason: str
    number: int = 0


@dataclass(frozen=True)
class BrokenArchive:
    """An archive that cannot be read, or not further, and why."""

    reason: str


@dataclass(frozen=True)
class Span:
    """A range of bytes, from `start` up to but without `end`."""

    start: int
    end: int


@dataclass(frozen=True)
class EncodedDataset:
    """The bytes of a dataset: ranges of `source` and inserted bytes, in order.

    `source` belongs to the dataset, which is read by one thread at a time.
    """

    source: BinaryIO
    pieces: tuple[bytes | Span, ...]

    @property
    def size(self) -> int:
        """Length in bytes."""
        return sum(len(p) if isinstance(p, bytes) else p.end - p.start for p in self.pieces)

    def chunks(self, size: int) -> Iterator[bytes]:
        """Yield all bytes, `size` at a time; only the last chunk may be shorter.

        Raises OSError if the source cannot be read or has become shorter.
        """
        pending = bytearray()
        for piece in self.pieces:
            if isinstance(piece, bytes):
                pending += piece
                continue
            self.source.seek(piece.start)
            left = piece.end - piece.start
            while left:
                data = self.source.read(min(left, size - len(pending) % size))
                if not data:
                    raise OSError("the dataset's source became shorter while it was sent")
                left -= len(data)
                pending += data
                while len(pending) >= size:
                    yield bytes(pending[:size])
                    del pending[:size]
        while pending:
            yield bytes(pending[:size])
            del pending[:size]

    def close(self) -> None:
        """Let go of the source, which may delete it."""
        self.source.close()


@dataclass(frozen=True)
class SOPInstance:
    """A dataset that is ready to be sent.

    `identifying` holds the words of its patient group (0010), in lower case: what a
    server says in return, and the name of a file, is shown only if it quotes none
    of them. Study and series are empty where the dataset does not name them.
    """

    sop_class_uid: str
    sop_instance_uid: str
    transfer_syntax_uid: str
    dataset: EncodedDataset
    identifying: frozenset[str] = field(default=frozenset(), repr=False)
    study_instance_uid: str = ""
    series_instance_uid: str = ""


@dataclass(frozen=True)
class StoreResult:
    """What became of one image.

    `remark` is the reason why it was not sent or, where it was, what is worth
    knowing about it (a warning status, a conversion); equal remarks are counted
    together, so it names no instance. What else is known of it makes no difference
    between results: the last status of the server and its error comment, how often
    it was tried, how many seconds the last try took, and in which transfer syntax it
    went. `is_there` tells that the server had it already.
    """

    sent: bool
    remark: str = ""
    status: int | None = field(default=None, compare=False)
    error_comment: str = field(default="", compare=False)
    tries: int = field(default=0, compare=False)
    seconds: float = field(default=0.0, compare=False)
    transfer_syntax_uid: str = field(default="", compare=False)
    is_there: bool = field(default=False, compare=False)


@dataclass(frozen=True)
class ImageRecord:
    """An image of a Flywheel file, and what became of it.

    `name` is that of the member of the archive; UIDs and `size`, in bytes, are those
    of the dataset, empty and 0 where it could not be read.
    """

    entry: FileEntry
    name: str
    result: StoreResult
    sop_class_uid: str = ""
    sop_instance_uid: str = ""
    study_instance_uid: str = ""
    series_instance_uid: str = ""
    transfer_syntax_uid: str = ""
    size: int = 0


@dataclass(frozen=True)
class ImageReference:
    """What names an image to a server: its class and its UIDs (PS3.3 10.8)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class Remark:
    """Something worth knowing about a file's images, and of how many it holds."""

    text: str
    images: int
    failure: bool


@dataclass(frozen=True)
class FileReport:
    """A row of the report: what became of a Flywheel file."""

    entry: FileEntry
    images: int
    sent: int
    remarks: tuple[Remark, ...] = ()

    @property
    def status(self) -> str:
        """`Complete`, `Incomplete` or `Failed`."""
        if self.sent == 0:
            return "Failed"
        return "Complete" if self.sent == self.images else "Incomplete"
