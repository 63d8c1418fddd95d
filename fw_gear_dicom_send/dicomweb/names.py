"""Names of a DICOMweb server in logs and reports, and of an image on it."""

import re

from ..delivery.sender import ServerName
from ..server_url import ServerURL

_UID = re.compile(r"[0-9]+(\.[0-9]+)*")


def server_name(url: ServerURL, profile: str) -> ServerName:
    """Return the names of a server; `profile` names its TLS profile, empty without TLS."""
    return ServerName(
        (str(url), "", ""),
        str(url),
        f"TLS ({profile})" if profile else "no TLS",
        "STOW-RS",
        facts={
            "protocol": "DICOMweb",
            "url": str(url),
            "host": url.host,
            "port": url.port,
            "tls": url.is_secure,
        },
    )


def image_path(study: str, series: str, instance: str) -> str | None:
    """Return the path of an image (PS3.18 10.1), None if a UID would change what it names."""
    uids = study, series, instance
    is_valid = all(map(_UID.fullmatch, uids))
    return "/studies/{}/series/{}/instances/{}".format(*uids) if is_valid else None
