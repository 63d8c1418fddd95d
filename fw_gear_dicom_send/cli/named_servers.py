"""Named servers in the user's file `servers.toml`."""

import os
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..errors import UsageError
from ..option_types import FILE, Group, Place
from ..options import OPTIONS

_NAMES = {
    row.name: "host" if row.name == "destination" else row.name
    for row in OPTIONS
    if row.where & Place.COMMAND and row.group not in (Group.FILES, Group.MESSAGES)
}
"""Key of each option in a table."""
_REQUIRED = ("host", "called_ae")
_FILES = {row.name for row in OPTIONS if row.type is FILE}


def path() -> Path:
    """Return the path of the file, which may be missing."""
    if os.name == "nt":
        top = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        top = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(top) / "dicom-send" / "servers.toml"


def tables() -> Mapping[str, Any]:
    """Return the tables of the file, or none if it is missing. Raises UsageError."""
    file = path()
    try:
        return tomllib.loads(file.read_text(encoding="utf-8-sig"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}") from exc
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{file}: invalid TOML: {exc}") from exc


def find(name: str, known: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the options of a server in JSON, and the name of each in messages.

    `known` are the tables of the file. Raises UsageError if the server is missing or invalid.
    """
    table: dict[str, Any] | None = known.get(name)
    if not isinstance(table, dict):
        names = ", ".join(known) or "none"
        raise UsageError(f"{name}: no such server in {path()}; known servers: {names}")
    place = f"{path()}: [{name}]"
    if unknown := [key for key in table if key not in _NAMES.values()]:
        allowed = ", ".join(sorted(_NAMES.values()))
        raise UsageError(f"{place} {unknown[0]}: unknown key; allowed: {allowed}")
    if missing := [key for key in _REQUIRED if key not in table]:
        raise UsageError(f"{place} {missing[0]}: missing")
    origins = {name: f"{place} {key}" for name, key in _NAMES.items() if key in table}
    values = {name: table[_NAMES[name]] for name in origins}
    for file in _FILES & values.keys():
        if not isinstance(values[file], str):
            raise UsageError(f"{origins[file]}: {values[file]!r} was given; allowed: a path")
        # Path.expanduser raises an error for an unknown user.
        values[file] = path().parent / os.path.expanduser(values[file])
    return values, origins
