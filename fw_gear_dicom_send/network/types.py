"""Frozen types of the network: the peer, TLS, and the result of an image."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from enum import IntEnum, StrEnum
from pathlib import Path
from typing import ClassVar

from ..reasons import Kind, Reason


class IdentityType(IntEnum):
    """Type of a user identity (PS3.7 D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@dataclass(frozen=True)
class UserIdentity:
    """User identity for a server that requires more than AE titles (PS3.7 D.3.3.7).

    `primary` is the name, ticket, assertion or token, `secondary` the passcode. Neither is shown.
    """

    kind: IdentityType
    primary: bytes = field(repr=False)
    secondary: bytes = field(default=b"", repr=False)

    @property
    def wants_response(self) -> bool:
        """Whether to request a confirmation; a name alone has nothing to confirm."""
        return self.kind is not IdentityType.USERNAME


@dataclass(frozen=True)
class PeerAE:
    """The DICOM server, the AE titles of both sides (PS3.8 7.1.1), and the user identity."""

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
    """Client certificate and its private key, as PEM files."""

    key: Path
    cert: Path


@dataclass(frozen=True)
class TLSConfig:
    """TLS configuration: the client certificate, and the requirements for the peer.

    `profile` is a name in PS3.15 annex B. `add_cert_file` is a PEM file with CA certificates to
    trust in addition to those of the system. `check_hostname` says whether a peer certificate that
    a CA of this file signed must match the host. If a CA of the system signed it, it must always
    match.
    """

    certificate: ClientCertificate | None
    add_cert_file: Path | None
    profile: str
    require_peer_cert: bool
    check_hostname: bool


@dataclass(frozen=True)
class TLSSession:
    """Negotiated parameters, and the names in the peer's certificate (RFC 4514).

    The certificate `expires` at a time in UTC, None if that is unreadable.
    """

    version: str
    cipher: str
    subject: str
    issuer: str
    expires: datetime | None


@dataclass(frozen=True)
class ServerInfo:
    """Properties of a server, from an association without images (PS3.7 D.3.3, PS3.8 D.1).

    `echo_status` is the status of a C-ECHO, which took `echo_seconds`; None if the server does not
    accept C-ECHO. `max_pdu_length` is its maximum PDU length in bytes, 0 for no limit.
    `confirms_identity` says whether it answered the user identity, None if none was sent.
    """

    implementation: str
    max_pdu_length: int
    tls: TLSSession | None
    echo_status: int | None
    echo_seconds: float
    confirms_identity: bool | None = None
    class_uid: str = ""


@dataclass(frozen=True)
class ServiceAnswer:
    """Whether a server offers a service besides storage.

    `is_alone` means that it accepts the service only in an association without images. `refusal`
    is the reason in words why it does not accept the service.
    """

    sop_class_uid: str
    is_accepted: bool
    is_alone: bool = False
    refusal: str = ""


@dataclass(frozen=True)
class ImageReference:
    """Reference to an image on a server: its class and its UIDs (PS3.3 10.8)."""

    sop_class_uid: str
    sop_instance_uid: str
    study_instance_uid: str
    series_instance_uid: str


@dataclass(frozen=True)
class Verification:
    """Result of a verification, by SOP Instance UID. Each image is in one of the fields.

    `verified` images are on the server, `absent` images are not. `unknown` has the other images,
    with the reason why the verification failed.
    """

    verified: frozenset[str] = frozenset()
    absent: frozenset[str] = frozenset()
    unknown: Mapping[str, Reason] = field(default_factory=dict)


@dataclass(frozen=True)
class Transfer:
    """Details of the tries to send an image.

    `status` and `error_comment` come from the latest response (PS3.7 C); `status` is None without
    a response. `tries` is their number. `seconds` is the duration of the last try, and
    `transfer_syntax_uid` and `size`, in bytes, are the encoding of the image in it.
    """

    status: int | None = None
    error_comment: str = ""
    tries: int = 0
    seconds: float = 0.0
    transfer_syntax_uid: str = ""
    size: int = 0


@dataclass(frozen=True)
class Sent:
    """An image that was sent. Remarks are a conversion, or a warning of the server."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Planned:
    """An image that a dry run would send. A remark is the conversion that it needs."""

    transfer: Transfer
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class NotSent:
    """An image that was not sent, and the reason. A remark is a conversion before the failure."""

    reason: Reason
    transfer: Transfer = Transfer()
    remarks: tuple[Reason, ...] = ()


@dataclass(frozen=True)
class Suspect:
    """An image that was not sent. Either the image or the server is at fault.

    `failure` is the result if the image is not resent. `failed_at` is a time on the clock of the
    retry policy. `may_be_stored` means that an answer was lost.
    """

    failure: NotSent
    failed_at: float
    may_be_stored: bool

    @property
    def stopped(self) -> NotSent:
        """The result if the run stops before it resends the image."""
        failure = self.failure
        if self.may_be_stored and failure.reason.kind is Kind.CONNECTION_LOST:
            return replace(failure, reason=Reason(Kind.UNANSWERED))
        return failure


_FOUND = Reason(Kind.ALREADY_STORED)


@dataclass(frozen=True)
class AlreadyStored:
    """An image that was not sent because the server already has it.

    `reason` says how this is known.
    """

    transfer: ClassVar[Transfer] = Transfer()
    reason: Reason = _FOUND

    @property
    def remarks(self) -> tuple[Reason, ...]:
        """The reason, as the only remark."""
        return (self.reason,)


StoreResult = Sent | Planned | NotSent | AlreadyStored
"""Result of one image."""
