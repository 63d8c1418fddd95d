"""Frozen types of the network: the peer, TLS, and what a peer says of itself."""

from datetime import datetime
from enum import IntEnum
from pathlib import Path

from ..values import field, frozen


class IdentityType(IntEnum):
    """Type of a user identity (PS3.7 D.3.3.7.1)."""

    USERNAME = 1
    USERNAME_AND_PASSCODE = 2
    KERBEROS = 3
    SAML = 4
    JWT = 5


@frozen
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


@frozen
class PeerAE:
    """The DICOM server, the AE titles of both sides (PS3.8 7.1.1), and the user identity."""

    host: str
    port: int
    called_ae: str
    calling_ae: str
    identity: UserIdentity | None = field(default=None, repr=False)

    @property
    def where(self) -> str:
        """Host and port, for people."""
        return f"{self.host} port {self.port}"


@frozen
class ClientCertificate:
    """Client certificate and its private key, as PEM files."""

    key: Path
    cert: Path


@frozen
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


@frozen
class TLSSession:
    """Negotiated parameters, and the names in the peer's certificate (RFC 4514).

    The certificate `expires` at a time in UTC, None if that is unreadable.
    """

    version: str
    cipher: str
    subject: str
    issuer: str
    expires: datetime | None


@frozen
class ServerInfo:
    """Properties of a server, from an association without images (PS3.7 D.3.3, PS3.8 D.1).

    `echo_status` is the status of a C-ECHO, which took `echo_seconds`; None if none was sent, for
    example because the server does not accept it. `max_pdu_length` is its maximum PDU length in
    bytes, 0 for no limit. `confirms_identity` says whether it answered the user identity, None if
    none was sent.
    """

    implementation: str
    max_pdu_length: int
    tls: TLSSession | None
    echo_status: int | None
    echo_seconds: float
    confirms_identity: bool | None = None
    class_uid: str = ""


@frozen
class ServiceAnswer:
    """Whether a server offers a service besides storage.

    `is_alone` means that it accepts the service only in an association without images. `refusal`
    is the reason in words why it does not accept the service.
    """

    sop_class_uid: str
    is_accepted: bool
    is_alone: bool = False
    refusal: str = ""
