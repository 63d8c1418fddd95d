"""TLS contexts of a run, which all its connections use.

`PROFILES` defines the profiles of PS3.15 annex B. All of them require TLS 1.2 or later. OpenSSL's
security level 2 requires keys of at least 2048 bits for RSA and DH and 224 bits for ECC, and
signatures with SHA-224 or better (RFC 9325 4.5). For key exchange, OpenSSL's default groups are
offered: curves with at least 128 bits of security, and finite fields of at least 2048 bits
(RFC 9325 4.4).
"""

import logging
import ssl
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path

from ..errors import ConfigError
from ..text import day
from ..values import frozen
from .authorities import of_system, vouched_for
from .certificates import in_pem
from .types import ClientCertificate, TLSConfig, TLSSession

log = logging.getLogger(__name__)

_SOON = timedelta(days=30)
_SECURITY_LEVEL = "@SECLEVEL=2"
_ECDHE = (
    "ECDHE-ECDSA-AES256-GCM-SHA384",
    "ECDHE-RSA-AES256-GCM-SHA384",
    "ECDHE-ECDSA-AES128-GCM-SHA256",
    "ECDHE-RSA-AES128-GCM-SHA256",
)
_DHE = ("DHE-RSA-AES256-GCM-SHA384", "DHE-RSA-AES128-GCM-SHA256")
_MODIFIED = (
    "ECDHE-ECDSA-CHACHA20-POLY1305",
    "ECDHE-RSA-CHACHA20-POLY1305",
    "ECDHE-ECDSA-AES256-CCM",
    "ECDHE-ECDSA-AES128-CCM",
)

_KEY = "an unencrypted PEM file with one private key, RSA or EC"
_CERTIFICATE = "a PEM file with the key's certificate first, then those of its chain, if any"
_STRONG = "a key of at least 2048 bits RSA or 256 bits EC"
_OTHER_KEY = ("KEY_VALUES_MISMATCH", "KEY_TYPE_MISMATCH", "NO_CERTIFICATE_ASSIGNED")
_AUTHORITIES = "a PEM file with one or more CA certificates"


@frozen
class Profile:
    """Cipher suites of TLS 1.2 that a profile allows, in OpenSSL's names, and whether TLS 1.3 is.

    For TLS 1.3, RFC 9325 and PS3.15 B.13 allow all suites.
    """

    source: str
    ciphers: tuple[str, ...]
    has_tls_1_3: bool = True


PROFILES: Mapping[str, Profile] = {
    "BCP 195": Profile("PS3.15 B.9 (2018c), RFC 7525 4.2", _ECDHE + _DHE),
    "BCP 195 RFC 8996, 9325": Profile("PS3.15 B.12, RFC 9325 4.2", _ECDHE),
    "Modified BCP 195 RFC 8996, 9325": Profile("PS3.15 B.13", _ECDHE + _MODIFIED),
    "Non-downgrading BCP 195": Profile("PS3.15 B.10 (2018c), RFC 7525 4.2", _ECDHE + _DHE),
    "Extended BCP 195": Profile("PS3.15 B.11 (2020d)", _ECDHE + _DHE, has_tls_1_3=False),
}


def log_session(session: TLSSession) -> None:
    """Log a TLS session, with a warning if the server's certificate expires soon."""
    log.info(
        "%s with %s; server certificate: %s, issued by %s",
        session.version,
        session.cipher,
        session.subject,
        session.issuer,
    )
    if _expires_soon(session.expires):
        log.warning("The server's certificate is valid until %s", day(session.expires))


def _expires_soon(end: datetime | None) -> bool:
    """Return whether a certificate that expires at `end` (UTC), if known, needs a warning."""
    return end is not None and end - datetime.now(UTC) < _SOON


class TLSContext:
    """SSL contexts for connections to the peer, one for each way to trust it.

    The mutable state is their order: the context that trusted the peer comes first.
    """

    def __init__(self, *contexts: ssl.SSLContext, shows_certificate: bool) -> None:
        """Try `contexts` in this order, until one trusts the peer.

        `shows_certificate` says whether they have a client certificate.
        """
        self.contexts = contexts
        self.shows_certificate = shows_certificate

    def prefer(self, context: ssl.SSLContext) -> None:
        """Try `context` first from now on."""
        others = (other for other in self.contexts if other is not context)
        self.contexts = (context, *others)


def make_context(config: TLSConfig) -> TLSContext:
    """Return the SSL contexts for connections to the peer.

    A CA of `add_cert_file` is trusted for the peer, so that its certificate may have any name. The
    CAs of the system, and those that they vouch for, sign for many hosts, so the name must match.
    Raises ConfigError if a key or a certificate cannot be used.
    """
    own = config.certificate
    if own:
        _check(own)
    if not config.require_peer_cert:
        return TLSContext(_context(config), shows_certificate=bool(own))
    public = _context(config, checks_name=True)
    public.load_default_certs()
    if not config.add_cert_file:
        return TLSContext(public, shows_certificate=bool(own))
    try:
        contexts = _trusting(config, config.add_cert_file, public)
    except (OSError, ValueError) as exc:
        raise ConfigError("add_cert_file", config.add_cert_file.name, _AUTHORITIES) from exc
    return TLSContext(*contexts, shows_certificate=bool(own))


def make_acceptor_context(config: TLSConfig) -> ssl.SSLContext:
    """Return the SSL context for connections that the peer opens. `config` has a certificate.

    If `require_peer_cert` is set, the peer must show a certificate that a CA of `add_cert_file` or
    of the system has signed. Its name is not checked, because the peer may connect from any
    address. Raises ConfigError as `make_context` does.
    """
    if config.certificate:
        _check(config.certificate)
    context = _context(config, ssl.PROTOCOL_TLS_SERVER)
    context.load_default_certs(ssl.Purpose.CLIENT_AUTH)
    if config.add_cert_file:
        try:
            context.load_verify_locations(config.add_cert_file)
        except OSError as exc:
            raise ConfigError("add_cert_file", config.add_cert_file.name, _AUTHORITIES) from exc
    return context


def _context(
    config: TLSConfig, protocol: int = ssl.PROTOCOL_TLS_CLIENT, *, checks_name: bool = False
) -> ssl.SSLContext:
    """Return a context without trusted certificates."""
    profile = PROFILES[config.profile]
    context = ssl.SSLContext(protocol)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not profile.has_tls_1_3:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
    context.set_ciphers(":".join((*profile.ciphers, _SECURITY_LEVEL)))
    # A peer that renegotiates (TLS 1.2) could do so without end.
    context.options |= ssl.OP_NO_RENEGOTIATION
    context.check_hostname = checks_name
    context.verify_mode = ssl.CERT_REQUIRED if config.require_peer_cert else ssl.CERT_NONE
    # A trusted certificate need not be a root: it may be the server's own certificate.
    context.verify_flags |= ssl.VerifyFlags.VERIFY_X509_PARTIAL_CHAIN
    if config.certificate:
        _show(context, config.certificate)
    return context


def _trusting(config: TLSConfig, path: Path, public: ssl.SSLContext) -> tuple[ssl.SSLContext, ...]:
    """Return contexts that trust the certificates in a file, and those that `public` trusts.

    `public` gets those that the system vouches for, unless all names are checked.
    """
    added = _context(config, checks_name=config.check_hostname)
    added.load_verify_locations(path)
    certificates = in_pem(path.read_bytes())
    known = [] if config.check_hostname else vouched_for(certificates, of_system(public))
    if not known:
        return added, public
    public.load_verify_locations(cadata=b"".join(one.der for one in known))
    private = [one.der for one in certificates if one not in known]
    if not private:
        return (public,)
    added = _context(config)
    added.load_verify_locations(cadata=b"".join(private))
    return added, public


def _check(own: ClientCertificate) -> None:
    """Check the key and the validity, with better error messages than OpenSSL."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    key_file, certificate_file = own.key, own.cert
    try:
        load_pem_private_key(key_file.read_bytes(), password=None)
    except TypeError as exc:
        given = f"{key_file.name} (encrypted)"
        decrypt = f"{_KEY} (openssl pkey -in {key_file.name} -out decrypted.pem)"
        raise ConfigError("key", given, decrypt) from exc
    except (OSError, ValueError, UnsupportedAlgorithm) as exc:
        raise ConfigError("key", key_file.name, _KEY) from exc
    try:
        certificate = in_pem(certificate_file.read_bytes())[0]
    except (OSError, ValueError, IndexError) as exc:
        raise ConfigError("cert", certificate_file.name, _CERTIFICATE) from exc
    begin, end, now = certificate.begins, certificate.expires, datetime.now(UTC)
    if (begin or now) > now or (end or now) < now:
        given = f"{certificate_file.name} (valid from {day(begin)} to {day(end)})"
        raise ConfigError("cert", given, "a certificate that is valid today")
    if _expires_soon(end):
        log.warning("The certificate in %s is valid until %s", certificate_file.name, day(end))


def _show(context: ssl.SSLContext, own: ClientCertificate) -> None:
    try:
        context.load_cert_chain(own.cert, own.key)
    except OSError as exc:
        reason = getattr(exc, "reason", None) or "DAMAGED"
        why = f"OpenSSL does not accept it: {reason.lower().replace('_', ' ')}"
        if reason in _OTHER_KEY:
            why = f"its first certificate does not match {own.key.name}"
        allowed = _STRONG if "_TOO_" in reason else _CERTIFICATE
        raise ConfigError("cert", f"{own.cert.name} ({why})", allowed) from exc
