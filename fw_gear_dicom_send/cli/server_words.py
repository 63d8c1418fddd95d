"""Servers in one word, `AE@host:port` or a URL, and hints for mistyped servers."""

import re

from ..server_url import is_url

FORM = "AE@host:port"
EXAMPLE = "ARCHIVE@pacs.example.org:104"
_ADDRESS = re.compile(r"(?P<ae>[^/\\]+)@(?P<host>\[[^\[\]]+\]|[^:\[\]@/]+):(?P<port>\d+)")
_SCHEME = re.compile(r"(?i)[a-z][a-z0-9+.-]*://(?P<rest>.*)")
_HOST_PORT = re.compile(r"(?P<host>\[[^\[\]]+\]|[^:@\[\]/\\]+):(?P<port>\d+)/?(?P<ae>[^/@]*)")
_MISTAKES = (
    (
        re.compile(r"@?(?P<host>\[[^\[\]]+\]|[^:@\[\]/\\]+):(?P<port>\d+)/?[^/@]*"),
        "the AE title is missing: AE@{host}:{port}",
    ),
    (
        re.compile(r"(?P<ae>[^:@/\\]+):(?P<host>[^:@/\\]+):(?P<port>\d+)"),
        "write the server as {ae}@{host}:{port}",
    ),
    (
        re.compile(r"(?P<ae>[^@]+)@(?P<host>[0-9a-fA-F:.]*:[0-9a-fA-F:.]*):(?P<port>\d+)"),
        "IPv6 addresses need brackets: {ae}@[{host}]:{port}",
    ),
    (re.compile(r"(?P<server>[^@/\\]+@[^:@/\\]+):?"), "the port is missing: {server}:104"),
)
"""Forms of a mistyped server, and how to write it."""


def parse(word: str) -> dict[str, str | int] | None:
    """Return the options for a word `AE@host:port` or a URL, or None for any other word.

    An IPv6 address needs brackets. The AE title ends at the last @.
    """
    if is_url(word):
        return {"destination": word}
    if not (found := _ADDRESS.fullmatch(word)):
        return None
    host = found["host"].strip("[]")
    return {"called_ae": found["ae"], "destination": host, "port": int(found["port"])}


def word_of(called_ae: object, host: str, port: object) -> str:
    """Return a server in one word; `parse` reads it."""
    if is_url(host):
        return host
    return f"{called_ae}@{f'[{host}]' if ':' in host else host}:{port}"


def hint(word: str) -> str:
    """Return the correct form of a mistyped server, or an empty string for any other word."""
    if parse(word):
        return f"the server must be the last argument: dicom-send PATH... {word}"
    if scheme := _SCHEME.fullmatch(word):
        rest = scheme["rest"].rstrip("/")
        found = _HOST_PORT.fullmatch(rest)
        meant = f"{found['ae'] or 'AE'}@{found['host']}:{found['port']}" if found else rest
        is_safe = parse(meant) and ":" not in meant.partition("@")[0]
        return f"write the server as {meant if is_safe else FORM}, without a scheme"
    for pattern, text in _MISTAKES:
        if found := pattern.fullmatch(word):
            return text.format_map(found.groupdict())
    return ""


def destination_hint(host: str) -> str:
    """Return the correct form of a `--destination` that is more than a host, or nothing."""
    if is_url(host):
        return ""
    if parse(host):
        return f"write {host} as the last argument, without --destination"
    if _SCHEME.fullmatch(host):
        return hint(host)
    if found := _HOST_PORT.fullmatch(host):
        return f"write --destination {found['host']} --port {found['port']}"
    return ""
