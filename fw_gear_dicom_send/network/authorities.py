"""CAs that the system trusts, and added ones that the system vouches for.

They sign for many hosts, so a certificate from one of them must match the host's name. This does
not depend on the certificates that a server sends: it may leave out any that it does not need.
"""

import os
import ssl
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from .certificates import Certificate, in_pem, read


def of_system(context: ssl.SSLContext) -> list[Certificate]:
    """Return the CAs that `context` got from the system, and those that OpenSSL finds later.

    It looks up a CA by the hash of its name in the files of a folder (`openssl rehash`).
    """
    found = [read(der) for der in context.get_ca_certs(binary_form=True)]
    paths = ssl.get_default_verify_paths()
    folders = os.environ.get(paths.openssl_capath_env, paths.openssl_capath).split(os.pathsep)
    for folder in filter(None, folders):
        for file in Path(folder).glob("????????.[0-9]*"):
            with suppress(OSError, ValueError):
                found += in_pem(file.read_bytes())
    return found


def vouched_for(added: Sequence[Certificate], system: Sequence[Certificate]) -> list[Certificate]:
    """Return the CAs in `added` that those in `system` vouch for, directly or by each other.

    A CA may have several certificates: its own, and those from other CAs (RFC 5280 3.2). All have
    the same key. An unreadable certificate may be any CA's, so it is returned as well.
    """
    found = [one for one in added if not one.key]
    known, rest = system, [one for one in added if one.key and _is_authority(one)]
    while known:
        keys = {one.key for one in known}
        issuers: dict[str, list[Certificate]] = {}
        for one in known:
            issuers.setdefault(_normalized(one.subject), []).append(one)
        known = [
            one
            for one in rest
            if one.key in keys
            or any(_may_have_signed(by, one) for by in issuers.get(_normalized(one.issuer), ()))
        ]
        found += known
        rest = [one for one in rest if one not in known]
    return found


def _is_authority(certificate: Certificate) -> bool:
    """Return whether OpenSSL accepts certificates that this one has signed."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(cadata=certificate.der)
    return context.cert_store_stats()["x509_ca"] > 0


def _normalized(name: str) -> str:
    """Return a name as it is compared (RFC 5280 7.1)."""
    return " ".join(name.casefold().split())


def _may_have_signed(issuer: Certificate, certificate: Certificate) -> bool:
    """Return whether `issuer` signed `certificate`; true if the signature cannot be checked."""
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature

    try:
        signed, signer = map(x509.load_der_x509_certificate, (certificate.der, issuer.der))
        signed.verify_directly_issued_by(signer)
    except InvalidSignature:
        return False
    except Exception:  # of any kind: the certificates may be odd in any way
        return True
    return True
