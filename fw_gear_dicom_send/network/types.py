"""The frozen types of the network: the peer, TLS, and what became of an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import ClassVar

from ..reasons import Kind, Reason


class IdentityType(IntEnum):
    """What a user identity is made of (PS3.7 D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True)
class UserIdentity:
    """Who the gear is to a server that asks for more than AE titles (PS3.7 D.3.3.7).

    `primary` is the name, ticket, assertion or token, `secondary` the passcode. Neither is shown.
    """

    kind: IdentityType
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)

    @property
    def wants_response(self) -> bool:
        """Whether the server is to tell that it has checked it; a name alone proves nothing."""
        return self.kind is not IdentityType.USERNAME


@dataclass(frozen=True)
class PeerAE:
    """The DICOM server, the AE titles of both sides (PS3.8 7.1.1), and who it is told we are."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    identity: UserIdentity | None = field(default=None, repr=False)


class ConversionMode(StrEnum):
    """When to change the transfer syntax of an image."""

    WHEN_NEEDED = "when needed"
    NEVER = "never"
    UNCOMPRESSED = "uncompressed"
    LOSSLESS = "lossless"


@dataclass(frozen=True)
class ClientCertificate:
    """What the gear shows to a peer that asks who connects: a key, and its certificate (PEM)."""

    key: Path
    cert: Path


@dataclass(frozen=True)
class TLSConfig:
    """How to use TLS: what the gear shows of itself, and what the peer has to show.

    `profile` is a name in PS3.15 annex B, `add_cert_file` a PEM file with CA certificates to
    trust beyond those of the system. `check_hostname` tells whether the peer's certificate has to
    be for the name or address that is connected to, if a CA of that file has signed it; it has to
    in any case if a CA of the system has.
    """

    certificate: ClientCertificate | None
    add_cert_file: Path | None
    profile: str
    require_peer_cert: bool
    check_hostname: bool


@dataclass(frozen=True)
class TLSSession:
    """What was negotiated, and the peer's certificate (RFC 4514), which `expires` in UTC."""

    version: str
    cipher: str
    subject: str
    issuer: str
    expires: datetime


@dataclass(frozen=True)
class Greeting:
    """What a server says of itself before any image (PS3.7 D.3.3, PS3.8 D.1).

    `echo_status` is its answer to a C-ECHO, None where it takes none, which took `echo_seconds`;
    `longest_pdu` is in bytes, 0 where it sets no limit. `confirms_identity` tells whether it
    answers the user identity, None where none was sent.
    """

    implementation: str
    longest_pdu: int
    tls: TLSSession | None
    echo_status: int | None
    echo_seconds: float
    confirms_identity: bool | None = None
    class_uid: str = ""


@dataclass(frozen=True)
class ServiceAnswer:
    """Whether a server offers a service beside storage.

    If it `is_accepted`, it `is_alone` where that is in an association without images only. Else
    `refusal` says why not, in words.
    """

    sop_class_uid: str
    is_accepted: bool
    is_alone: bool = False
    refusal: str = ""


@dataclass(frozen=True)
class ImageReference:
    """What names an image to a server: its class and its UIDs (PS3.3 10.8)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class Verification:
    """What a server says of images, by SOP Instance UID; each image is in one of the three.

    `verified` are on the server, `absent` are not. `unknown` has those that the server does not
    tell of, and why.
    """

    verified: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    unknown: Mapping[str, Reason] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """How an image was sent, or how that was tried.

    `status` and `error_comment` are those of the latest response (PS3.7 C), `status` is None
    where there was none. `seconds` is how long the last of the `tries` took, and
    `transfer_syntax_uid` how the image was encoded in it, in `size` bytes.
    """

    status: int | None = None
    error_comment: str = ""
    tries: int = 0
    seconds: float = 0.0
    transfer_syntax_uid: str = ""
    size: int = 0


@dataclass(frozen=True)
class Sent:
    """An image that was sent; remarks are a conversion, or the server's warning."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Planned:
    """An image that would be sent, in a dry run; a remark is the conversion that it needs."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class NotSent:
    """An image that was not sent, and why; a conversion before that is a remark."""

    reason: Reason
    transfer: Transfer = Transfer()
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Suspect:
    """An image that was not sent, which may be its own fault or the server's.

    `failure` is what becomes of it if it is not sent later. It `failed_at` that time, on the clock
    of the retry policy; `may_be_stored` tells whether an answer was lost.
    """

    failure: NotSent
    failed_at: float
    may_be_stored: bool


_FOUND = Reason(Kind.ALREADY_STORED)


@dataclass(frozen=True)
class AlreadyStored:
    """An image that the server had before, so that it was not sent, and how that is known."""

    transfer: ClassVar[Transfer] = Transfer()
    reason: Reason = _FOUND

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """The reason alone."""
        return (self.reason,)


StoreResult = Sent | Planned | NotSent | AlreadyStored
"""What became of one image."""
