"""Certificates are read as `cryptography` reads them; no bytes are an error."""

import ssl
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization as pem
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509 import NameOID
from hypothesis import example, given, settings
from hypothesis import strategies as st

from fw_gear_dicom_send.network.certificates import Certificate, in_pem, read
from fw_gear_dicom_send.text import printable
from tests.support.examples import examples
from tests.support.fuzzing import Damage, damages

KEY = ec.generate_private_key(ec.SECP256R1())
KINDS = (
    NameOID.COMMON_NAME,
    NameOID.LOCALITY_NAME,
    NameOID.STATE_OR_PROVINCE_NAME,
    NameOID.STREET_ADDRESS,
    NameOID.ORGANIZATION_NAME,
    NameOID.ORGANIZATIONAL_UNIT_NAME,
    NameOID.USER_ID,
    NameOID.DOMAIN_COMPONENT,
)
CHARACTERS = st.characters(exclude_categories=["Cs"], exclude_characters="\0")
TEXTS = st.text(CHARACTERS, min_size=1, max_size=16)
ATTRIBUTES = st.builds(x509.NameAttribute, st.sampled_from(KINDS), TEXTS)
PARTS = st.lists(ATTRIBUTES, min_size=1, max_size=3, unique_by=lambda one: one.oid)
NAMES = st.lists(PARTS.map(x509.RelativeDistinguishedName), max_size=5).map(x509.Name)
TIMES = st.datetimes(datetime(1950, 1, 1), datetime(9999, 12, 31)).map(
    lambda time: time.replace(microsecond=0)
)
NO_NAME = x509.Name([])
many = settings(max_examples=examples(200), deadline=None, database=None)


def certificate(
    subject: x509.Name, issuer: x509.Name, begins: datetime, expires: datetime
) -> x509.Certificate:
    """Return a certificate of a CA."""
    return x509.CertificateBuilder(
        issuer, subject, KEY.public_key(), 1, min(begins, expires), max(begins, expires)
    ).sign(KEY, SHA256())


DER = certificate(
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pacs")]),
    x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "ca")]),
    datetime(2020, 1, 1),
    datetime(2050, 1, 1),
).public_bytes(pem.Encoding.DER)


@many
@given(NAMES, NAMES, TIMES, TIMES)
@example(NO_NAME, NO_NAME, datetime(1950, 1, 1), datetime(2049, 12, 31, 23, 59, 59))
@example(NO_NAME, NO_NAME, datetime(1999, 12, 31), datetime(2050, 1, 1))
def test_the_fields_are_those_that_cryptography_reads(
    subject: x509.Name, issuer: x509.Name, begins: datetime, expires: datetime
) -> None:
    """Names are escaped as in RFC 4514, and made printable."""
    made = certificate(subject, issuer, begins, expires)
    found = read(made.public_bytes(pem.Encoding.DER))
    assert found.subject == printable(made.subject.rfc4514_string())
    assert found.issuer == printable(made.issuer.rfc4514_string())
    assert found.begins == made.not_valid_before_utc
    assert found.expires == made.not_valid_after_utc
    key = made.public_key().public_bytes(pem.Encoding.DER, pem.PublicFormat.SubjectPublicKeyInfo)
    assert key.endswith(found.key)
    assert len(key) - len(found.key) == 2


@many
@given(st.binary() | damages().map(lambda damage: damage_to(DER, damage)))
def test_any_bytes_are_read(data: bytes) -> None:
    """Fields that are unreadable have no value."""
    found = read(data)
    assert found.subject.isprintable()
    assert found.expires is None or found.expires.tzinfo is UTC


def damage_to(data: bytes, damage: Damage) -> bytes:
    """Return damaged bytes."""
    changed = bytearray(data)
    damage(changed)
    return bytes(changed)


def test_an_unreadable_certificate() -> None:
    """Its bytes are kept, and nothing else is known."""
    assert read(DER[:-1]) == Certificate(DER[:-1])
    assert read(b"\x30\x80\0\0") == Certificate(b"\x30\x80\0\0", "unreadable", "unreadable")
    assert read(b"") == Certificate()


def test_data_after_a_certificate_is_ignored() -> None:
    """The form "TRUSTED CERTIFICATE" has settings of OpenSSL there."""
    assert read(DER + b"\x30\0") == read(DER)


@pytest.mark.parametrize("label", ["CERTIFICATE", "X509 CERTIFICATE", "TRUSTED CERTIFICATE"])
def test_certificates_in_pem_with_other_text(label: str) -> None:
    """OpenSSL accepts three labels; text and keys around them are ignored."""
    text = ssl.DER_cert_to_PEM_cert(DER).replace("CERTIFICATE", label)
    found = in_pem(f"Subject: CN=pacs\r\n{text}\r\n-----BEGIN X-----\nAA==\n{text}".encode())
    assert found == [read(DER)] * 2
    assert found[0].expires == datetime(2050, 1, 1, tzinfo=UTC)
