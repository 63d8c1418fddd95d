"""The frozen types of the network: the peer, TLS, and what became of an image."""

from dataclasses import dataclass, field
from pathlib import Path


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
class ImageReference:
    """What names an image to a server: its class and its UIDs (PS3.3 10.8)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str
