"""User identity for the server: read from a file, and kept out of messages (PS3.7 D.3.3.7).

No message quotes the file: even a key of it may be a misplaced password. A server may quote the
identity in its own texts.
"""

import json
import re
from base64 import b64encode, urlsafe_b64encode
from binascii import a2b_base64
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from ..dicom.privacy import Identity
from ..errors import ConfigError
from .types import IdentityType, UserIdentity

T = TypeVar("T")
MAX_FILE = 1 << 20
MAX_IDENTITY = 65_000
"""Maximum bytes of an identity: all user information has up to 65,535 bytes (PS3.8 9.3.2.3)."""
ALLOWED = (
    "a JSON file with either username, username and password, jwt, saml or kerberos (in Base64), "
    f"as text that is not empty, with up to {MAX_IDENTITY} bytes in all"
)
WITHHELD = "withheld because it may quote the user identity"
_PIECE = 8
"""Characters of a name, passcode or token that a text must not contain in a row."""

_TYPES = {
    frozenset({"username"}): IdentityType.USERNAME,
    frozenset({"username", "password"}): IdentityType.USERNAME_AND_PASSCODE,
    frozenset({"kerberos"}): IdentityType.KERBEROS,
    frozenset({"saml"}): IdentityType.SAML,
    frozenset({"jwt"}): IdentityType.JWT,
}


def read(path: Path) -> UserIdentity:
    """Return the identity in a JSON file. Raises ConfigError if it is invalid."""
    return read_secret(path, "identity", ALLOWED, _identity)


def read_secret(
    path: Path, option: str, allowed: str, parse: Callable[[Mapping[str, Any]], T]
) -> T:
    """Return the secret of an option, which `parse` makes of the JSON object in a file.

    `parse` raises ValueError for an invalid object. Raises ConfigError then.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        text = data.decode("utf-8-sig") if len(data) <= MAX_FILE else ""
        found = json.loads(text, object_pairs_hook=_without_repetition)
        if isinstance(found, dict):
            return parse(found)
    except (OSError, ValueError, RecursionError):
        pass
    # Raised here, this error is not chained to json's error, which quotes the file.
    raise ConfigError(option, path.name, allowed)


def without_identity(text: str, identity: UserIdentity | None) -> str:
    """Return a text of the peer, or `WITHHELD` if it may quote a word or a part of the identity."""
    return WITHHELD if identity and text and _is_quoted_in(text, identity) else text


def _is_quoted_in(text: str, identity: UserIdentity) -> bool:
    words, pieces, values = _quotable(identity)
    folded = "".join(text.casefold().split())
    return (
        any(value in folded for value in values)
        or any(folded[i : i + _PIECE] in pieces for i in range(len(folded) - _PIECE + 1))
        or words.is_quoted_in(text)
    )


@lru_cache(maxsize=1)
def _quotable(identity: UserIdentity) -> tuple[Identity, frozenset[str], frozenset[str]]:
    """Return the words of a name and a passcode, and all parts and whole values of an identity.

    The parts are in each common encoding. Parts and values have no white space.
    """
    words, pieces, values = [], set(), set()
    for value in filter(None, (identity.primary, identity.secondary)):
        decoded = value.decode("utf-8", "replace")
        if identity.kind in (IdentityType.USERNAME, IdentityType.USERNAME_AND_PASSCODE):
            words.append("^".join(re.split(r"\W+", decoded)).encode())
        encoded = (b64encode(value), urlsafe_b64encode(value))
        forms = (decoded, value.hex(), *(form.decode("ascii") for form in encoded))
        for form in ("".join(form.casefold().split()) for form in forms):
            pieces |= {form[i : i + _PIECE] for i in range(len(form) - _PIECE + 1)}
            values |= {form} if len(form) > 1 and not form.isalpha() else set()
    return Identity(words=tuple(words)), frozenset(pieces), frozenset(values)


def _identity(found: Mapping[str, Any]) -> UserIdentity:
    """Return the identity in a JSON object. Raises ValueError if it is invalid."""
    kind = _TYPES.get(frozenset(found))
    if kind is None or not all(isinstance(value, str) and value for value in found.values()):
        raise ValueError
    if kind is IdentityType.KERBEROS:
        ticket = "".join(found["kerberos"].split())
        primary, secondary = a2b_base64(ticket.encode("ascii"), strict_mode=True), b""
    else:
        name = "username" if "username" in found else kind.name.lower()
        primary, secondary = found[name].encode(), found.get("password", "").encode()
    if not 0 < len(primary) + len(secondary) <= MAX_IDENTITY:
        raise ValueError
    return UserIdentity(kind, primary, secondary)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return a JSON object. Raises ValueError for a duplicate key."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
