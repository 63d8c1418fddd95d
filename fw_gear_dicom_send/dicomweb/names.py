"""Names of a DICOMweb server in logs and reports."""

from ..delivery.sender import ServerName
from ..server_url import ServerURL


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
