"""Key of a destination's mark in the custom information of a Flywheel file or container."""

import hashlib
import re

from .server_url import ServerURL

_MAX_NAME = 40
"""Maximum length of the part of the key that people recognize."""


def mark_key(host: str, port: str = "", called_ae: str = "") -> str:
    """Return the top-level key of `info` for a server: a URL, or host, port and called AE title.

    It contains only letters, digits and underscores: a site rewrites keys with dots and `$`. The
    digest distinguishes servers whose addresses have the same letters and digits.
    """
    url = ServerURL.of(host)
    address = str(url) if url else f"{called_ae}@{host.lower()}:{port}"
    name = re.sub("[^A-Za-z0-9]+", "_", url.host if url else address)[:_MAX_NAME].strip("_")
    return f"dicom_send_{name}_{hashlib.sha256(address.encode()).hexdigest()[:8]}"
