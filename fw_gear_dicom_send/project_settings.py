"""Named servers in the file `dicom-send.toml` of a Flywheel project.

A table is like one in `servers.toml` of the command, without secrets and paths:

    [archive]
    host = "pacs.example.org"
    called_ae = "ARCHIVE"
"""

import re
from collections.abc import Mapping
from typing import Any

from .errors import ConfigError
from .option_types import Group, Place
from .options import OPTIONS
from .values import replace

FILE_NAME = "dicom-send.toml"
MAX_BYTES = 64 << 10
MAX_DOTS = 200
"""Maximum number of dots in a line: a key of 64 KiB in 30,000 parts takes a minute to parse."""
_NAME = re.compile(r"[A-Za-z0-9_-]+")
_GROUPS = (Group.SERVER, Group.TLS, Group.ELEMENT, Group.SENDING, Group.PROOF)
_OF_A_JOB = ("identity_without_tls", "project_settings")
"""Options for the one who starts a job to decide."""
_ROWS = {
    "host" if row.name == "destination" else row.name: row
    for row in OPTIONS
    if row.where & Place.GEAR and row.group in _GROUPS and row.name not in _OF_A_JOB
}
"""Option of each key of a table. Files are inputs of the gear, and no options."""


def server_name_in(options: Mapping[str, Any]) -> str:
    """Return the name that a table of the file may have, empty if there is no need to read it.

    A host name with a dot, an IP address and a URL are no name of a table.
    """
    name = str(options.get("destination", "")).strip()
    is_used = options.get("project_settings") is not False
    return name if is_used and _NAME.fullmatch(name) else ""


def server_options(content: bytes, name: str, place: str) -> dict[str, Any]:
    """Return the options in the table of a server, none if the file does not have the table.

    Errors name the file by `place`. Raises ConfigError.
    """
    # This module takes 0.01 s to import, and few projects have the file.
    import tomllib

    dots = max(line.count(b".") for line in content.split(b"\n"))
    if len(content) > MAX_BYTES or dots > MAX_DOTS:
        allowed = f"at most {MAX_BYTES >> 10} KiB, and {MAX_DOTS} dots in a line"
        raise ConfigError(place, "a larger file", allowed)
    try:
        tables = tomllib.loads(content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as exc:
        raise ConfigError(place, str(exc), "valid TOML in UTF-8") from exc
    if name not in tables:
        return {}
    table, place = tables[name], f"{place}: [{name}]"
    if not isinstance(table, dict):
        raise ConfigError(place, type(table).__name__, "a table")
    for key, value in table.items():
        if key not in _ROWS:
            allowed = f"no secret, no path, only the keys {', '.join(sorted(_ROWS))}"
            raise ConfigError(place, key, allowed)
        if isinstance(value, dict | list):  # it may have a secret
            raise ConfigError(f"{place} {key}", type(value).__name__, _ROWS[key].type.allowed)
    for key, row in _ROWS.items():
        if key == "host" or key in table:
            replace(row, name=f"{place} {key}").check(table.get(key))
    return {_ROWS[key].name: value for key, value in table.items()}


def merged(given: Mapping[str, Any], server: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options of a job with those of its server.

    The site writes defaults to the configuration of a job. So a default in it gives way.
    """
    own = {row.name for row in OPTIONS if given.get(row.name, row.default) != row.default}
    yielding = {name: server[name] for name in server if name == "destination" or name not in own}
    return {**given, **yielding}
