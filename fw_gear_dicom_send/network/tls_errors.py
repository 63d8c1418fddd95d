"""Descriptions of TLS sessions and of failed handshakes."""

import re
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TypeGuard

from ..reasons import Kind
from ..values import frozen
from .certificates import read
from .types import TLSSession

if TYPE_CHECKING:
    from ssl import SSLError, SSLSocket


@frozen
class HandshakeFailure:
    """Cause of a failed TLS handshake, and the recommended action.

    The advice has options in braces. `is_final` is true if a retry would fail as well.
    """

    cause: str
    advice: str
    is_final: bool = True
    kind: Kind = Kind.TLS_FAILED


def _certificate(cause: str, advice: str) -> HandshakeFailure:
    """Return a failure for a certificate that the other side does not accept."""
    return HandshakeFailure(cause, advice, kind=Kind.TLS_CERTIFICATE)


TLS_ONLY = HandshakeFailure("the server requires TLS", "set {tls_enabled}")

_TLS_PORT = "check {port} (usually 2762 for TLS), and that the server accepts TLS on it"
_PLAIN_TEXT = HandshakeFailure("the server does not speak TLS", _TLS_PORT)
_NO_VERSION = HandshakeFailure(
    "the server supports neither TLS 1.2 nor, if the profile allows it, TLS 1.3",
    "have a current version enabled on the server, or choose another {tls_security_profile}",
)
_NOTHING_IN_COMMON = HandshakeFailure(
    "server and client have no TLS version or cipher suite in common",
    "choose another {tls_security_profile}, or have TLS 1.2 or 1.3 with AES-GCM and ECDHE enabled "
    "on the server",
)
_BY_REASON: Mapping[str, HandshakeFailure] = {
    "WRONG_VERSION_NUMBER": _PLAIN_TEXT,
    "PACKET_LENGTH_TOO_LONG": _PLAIN_TEXT,
    "RECORD_LAYER_FAILURE": _PLAIN_TEXT,
    "HTTP_REQUEST": _PLAIN_TEXT,
    "UNEXPECTED_MESSAGE": _PLAIN_TEXT,
    "UNSUPPORTED_PROTOCOL": _NO_VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _NO_VERSION,
    "SSLV3_ALERT_HANDSHAKE_FAILURE": _NOTHING_IN_COMMON,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _NOTHING_IN_COMMON,
    "DH_KEY_TOO_SMALL": _NOTHING_IN_COMMON,
    "ASN1_LIB": _certificate(
        "OpenSSL cannot read the server's certificate", "replace it with one in valid DER"
    ),
}
"""Failures by OpenSSL's reasons."""
_TEXT = re.compile(r"\[\w+\] (.+) \(")
_OWN_CERTIFICATE = re.compile(r".*_ALERT_(UNKNOWN_CA|ACCESS_DENIED|DECRYPT_ERROR|.*CERTIFICATE.*)")

_FAILURE = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""Alert of a TLS 1.2 server to a client without a certificate (RFC 5246 7.4.6)."""
_ASKS_FOR_CERTIFICATE = _certificate(
    "the server requires a client certificate",
    "set {key} and {cert}, signed by a CA that the server trusts",
)
_REFUSED = HandshakeFailure(
    "the server ended the TLS connection (handshake failure)",
    "have the server trust the CA of {cert}, and turn off renegotiation",
)
_NOT_TRUSTED = _certificate(
    "the server's certificate is not trusted",
    "set {add_cert_file} to the certificate of its CA, or to its own certificate",
)
_OTHER_NAME = _certificate(
    "the name in the server's certificate does not match its host name",
    "set {destination} to the name in the certificate; or set {add_cert_file} to the server's own "
    "certificate, without {tls_check_hostname}",
)
_WEAK = _certificate(
    "the server's certificate is too weak",
    "replace it with one that has at least RSA 2048 bits or EC 256 bits, and SHA-256",
)
_BY_VERIFY_CODE: Mapping[int, HandshakeFailure] = {
    9: _certificate("the server's certificate is not valid yet", "check the clocks of both sides"),
    10: _certificate("the server's certificate has expired", "have it renewed"),
    **dict.fromkeys((2, 18, 19, 20, 21), _NOT_TRUSTED),
    **dict.fromkeys((62, 64), _OTHER_NAME),
    **dict.fromkeys((66, 67, 68), _WEAK),
}
"""Failures by the codes X509_V_ERR_* of OpenSSL's x509_vfy.h."""
_NOT_ACCEPTED = _certificate(
    "the server's certificate is not accepted", "have a valid certificate installed on the server"
)


def describe(connection: "SSLSocket") -> TLSSession:
    """Return the negotiated parameters and the peer's certificate, verified or not."""
    cipher, _, _ = connection.cipher() or ("", "", 0)
    certificate = read(connection.getpeercert(binary_form=True) or b"")
    return TLSSession(
        version=connection.version() or "",
        cipher=cipher,
        subject=certificate.subject,
        issuer=certificate.issuer,
        expires=certificate.expires,
    )


def is_of_tls(error: Exception) -> TypeGuard["SSLError"]:
    """Return whether TLS failed. Without the module `ssl`, which takes long to import, none can."""
    ssl = sys.modules.get("ssl")
    return ssl is not None and isinstance(error, ssl.SSLError)


def is_untrusted(error: OSError) -> bool:
    """Return whether the CA of the peer's certificate is not trusted."""
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        return _BY_VERIFY_CODE.get(error.verify_code) is _NOT_TRUSTED
    return False


def explain(
    error: OSError, *, shows_certificate: bool = True, is_agreed: bool = False
) -> HandshakeFailure:
    """Return the cause of an error in a handshake, or in the first read after it.

    `shows_certificate` says whether this side has a certificate, `is_agreed` whether both sides
    had agreed on a cipher suite before.
    """
    import ssl

    if isinstance(error, ssl.SSLCertVerificationError):
        known = _BY_VERIFY_CODE.get(error.verify_code, _NOT_ACCEPTED)
        return _certificate(f"{known.cause} ({error.verify_message})", known.advice)
    if reason := _reason(error):
        is_refused = is_agreed and reason == _FAILURE
        if (is_refused or _OWN_CERTIFICATE.fullmatch(reason)) and not shows_certificate:
            return _ASKS_FOR_CERTIFICATE
        if is_refused:
            return _REFUSED
        return _BY_REASON.get(reason) or _explain_reason(reason)
    words = "timed out" if isinstance(error, TimeoutError) else "connection lost"
    return HandshakeFailure(f"no answer to the TLS handshake ({words})", _TLS_PORT, is_final=False)


def _reason(error: OSError) -> str | None:
    """Return OpenSSL's reason, None if the connection ended without an alert.

    Some versions of Python then raise a bare SSLError, and some SSLEOFError. If Python does not
    know the reason, it is only in the text, such as "[SSL] ASN1 lib (_ssl.c:1006)".
    """
    import ssl

    if not isinstance(error, ssl.SSLError) or isinstance(error, ssl.SSLEOFError):
        return None
    text = _TEXT.match(error.strerror or "")
    return error.reason or (text and text[1].upper().replace(" ", "_"))


def _explain_reason(reason: str) -> HandshakeFailure:
    if own := _OWN_CERTIFICATE.fullmatch(reason):
        return _certificate(
            f"the server rejected the client certificate ({_words(own[1])})",
            "have the server trust the CA of {cert}, or use the {cert} and {key} that it expects",
        )
    return HandshakeFailure(f"the TLS handshake failed ({_words(reason)})", _TLS_PORT)


def _words(reason: str) -> str:
    return reason.lower().replace("_", " ")
