"""Each OpenSSL reason for a failed handshake has its own text and advice."""

import ssl

import pytest

from fw_gear_dicom_send.network.tls_errors import HandshakeFailure
from fw_gear_dicom_send.reasons import Kind
from tests.support import wording
from tests.support.tls_servers import explained

PORT = wording.TLS_PORT
PLAIN_TEXT = HandshakeFailure(wording.NO_TLS, PORT)
NO_VERSION = HandshakeFailure(
    wording.NO_TLS_VERSION,
    wording.ENABLE_A_VERSION,
)
NOTHING_IN_COMMON = HandshakeFailure(
    wording.NOTHING_IN_COMMON,
    wording.OTHER_PROFILE,
)
NOT_TRUSTED = (
    wording.NOT_TRUSTED,
    wording.ADD_ITS_CA,
)
OTHER_NAME = (
    wording.OTHER_NAME,
    wording.CORRECT_THE_NAME,
)
WEAK = (
    wording.WEAK_CERTIFICATE,
    "replace it with one that has at least RSA 2048 bits or EC 256 bits, and SHA-256",
)
NOT_ACCEPTED = (
    wording.CERTIFICATE_NOT_ACCEPTED,
    "have a valid certificate installed on the server",
)


def failed(reason: str) -> HandshakeFailure:
    """Return the meaning of an error with this OpenSSL reason."""
    error = ssl.SSLError(1, "the handshake failed")
    error.reason = reason
    return explained(error)


@pytest.mark.parametrize(
    ("reason", "failure"),
    [
        ("WRONG_VERSION_NUMBER", PLAIN_TEXT),
        ("PACKET_LENGTH_TOO_LONG", PLAIN_TEXT),
        ("RECORD_LAYER_FAILURE", PLAIN_TEXT),
        ("HTTP_REQUEST", PLAIN_TEXT),
        ("UNEXPECTED_MESSAGE", PLAIN_TEXT),
        ("UNSUPPORTED_PROTOCOL", NO_VERSION),
        ("TLSV1_ALERT_PROTOCOL_VERSION", NO_VERSION),
        ("SSLV3_ALERT_HANDSHAKE_FAILURE", NOTHING_IN_COMMON),
        ("TLSV1_ALERT_INSUFFICIENT_SECURITY", NOTHING_IN_COMMON),
        ("DH_KEY_TOO_SMALL", NOTHING_IN_COMMON),
        (
            "BAD_EXTENSION",
            HandshakeFailure("the TLS handshake failed (bad extension)", PORT),
        ),
    ],
)
def test_each_reason_is_explained(reason: str, failure: HandshakeFailure) -> None:
    """An unknown reason is shown unchanged; all are final."""
    assert failed(reason) == failure
    assert failure.is_final


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("TLSV1_ALERT_UNKNOWN_CA", "unknown ca"),
        ("TLSV1_ALERT_ACCESS_DENIED", "access denied"),
        ("TLSV1_ALERT_DECRYPT_ERROR", "decrypt error"),
        ("SSLV3_ALERT_BAD_CERTIFICATE", "bad certificate"),
        ("SSLV3_ALERT_CERTIFICATE_EXPIRED", "certificate expired"),
        ("TLSV13_ALERT_CERTIFICATE_REQUIRED", "certificate required"),
    ],
)
def test_an_alert_about_the_gears_certificate_is_explained(reason: str, words: str) -> None:
    """The server's alert has the reason (RFC 8446 6.2)."""
    assert failed(reason) == HandshakeFailure(
        f"{wording.CLIENT_REJECTED} ({words})",
        wording.TRUST_OUR_CA,
        kind=Kind.TLS_CERTIFICATE,
    )


@pytest.mark.parametrize(
    ("code", "cause", "advice"),
    [
        (9, wording.CERTIFICATE_NOT_YET_VALID, wording.CHECK_CLOCKS),
        (10, wording.CERTIFICATE_EXPIRED, wording.RENEW_IT),
        *[(code, *NOT_TRUSTED) for code in (2, 18, 19, 20, 21)],
        *[(code, *OTHER_NAME) for code in (62, 64)],
        *[(code, *WEAK) for code in (66, 67, 68)],
        (23, *NOT_ACCEPTED),
    ],
)
def test_a_rejected_certificate_is_explained(code: int, cause: str, advice: str) -> None:
    """The codes are those of OpenSSL's x509_vfy.h, and its message is shown."""
    error = ssl.SSLCertVerificationError(1, "the certificate is not accepted")
    error.verify_code, error.verify_message = code, "why"
    assert explained(error) == HandshakeFailure(f"{cause} (why)", advice, kind=Kind.TLS_CERTIFICATE)
