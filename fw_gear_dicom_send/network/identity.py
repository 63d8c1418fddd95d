"""Reads who the gear tells the server that it is (PS3.7 D.3.3.7).

Nothing of the file is ever quoted: even a key may be a password out of place.
"""

import json
from binascii import a2b_base64
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import ConfigError
from .types import IdentityType, UserIdentity

MAX_FILE = 1 << 20
MAX_IDENTITY = 65_000
"""Bytes of an identity: the user information holds 65,535 bytes, others as well (PS3.8 9.3.2.3)."""
ALLOWED = (
    "a JSON file with either username, username and password, jwt, saml or kerberos (in Base64): "
    f"each a text that is not empty, {MAX_IDENTITY} bytes in all"
)

_TYPES = {
    frozenset({"username"}): IdentityType.USERNAME,
    frozenset({"username", "password"}): IdentityType.USERNAME_AND_PASSCODE,
    frozenset({"kerberos"}): IdentityType.KERBEROS,
    frozenset({"saml"}): IdentityType.SAML,
    frozenset({"jwt"}): IdentityType.JWT,
}


def read(path: Path) -> UserIdentity:
    """Return the identity in a JSON file; raise ConfigError where it cannot be sent."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
        identity = _identity(data) if len(data) <= MAX_FILE else None
    except (OSError, ValueError, RecursionError):
        identity = None
    if identity is None:
        # Raised here, the error does not drag along one of json's, which holds the file.
        raise ConfigError("identity", path.name, ALLOWED)
    return identity


def _identity(data: bytes) -> UserIdentity | None:
    """Return the identity in JSON, None or ValueError where there is none."""
    found = json.loads(data.decode("utf-8-sig"), object_pairs_hook=_without_repetition)
    if not isinstance(found, Mapping):
        return None
    kind = _TYPES.get(frozenset(found))
    if kind is None or not all(isinstance(value, str) and value for value in found.values()):
        return None
    if kind is IdentityType.KERBEROS:
        ticket = "".join(found["kerberos"].split())
        primary, secondary = a2b_base64(ticket.encode("ascii"), strict_mode=True), b""
    else:
        name = "username" if "username" in found else kind.name.lower()
        primary, secondary = found[name].encode(), found.get("password", "").encode()
    if not 0 < len(primary) + len(secondary) <= MAX_IDENTITY:
        return None
    return UserIdentity(kind, primary, secondary)


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON. Raises ValueError where a key is in it twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError
    return found
