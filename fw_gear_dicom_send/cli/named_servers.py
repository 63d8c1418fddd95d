"""Named servers in the user's file `servers.toml`."""

import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..errors import UsageError
from . import options

_ALIASES = {"host": "destination"}
_OPTIONS = {
    *(set(options.CONNECTION) - set(_ALIASES.values())),
    *options.TLS,
    *options.TAG,
    *options.SENDING,
    *options.PROOF,
    *options.REPORTS,
    "stamp",
}


@dataclass(frozen=True)
class NamedServer:
    """Table of the file: values of the manifest's options, and files for its inputs.

    `origins` has the name of each option or input in messages.
    """

    name: str
    options: Mapping[str, Any]
    files: Mapping[str, Path]
    origins: Mapping[str, str]


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


def find(name: str, known: Mapping[str, Any]) -> NamedServer:
    """Return a server of `known` tables; raise UsageError if it is missing or invalid."""
    table: dict[str, Any] | None = known.get(name)
    if not isinstance(table, dict):
        names = ", ".join(known) or "none"
        raise UsageError(f"{name}: no such server in {path()}; known servers: {names}")
    allowed = {*_ALIASES, *_OPTIONS, *options.INPUTS}
    for key in table:
        if key not in allowed:
            raise UsageError(
                f"{path()}: [{name}] {key}: unknown key; allowed: {', '.join(sorted(allowed))}"
            )
    if missing := [key for key in ("host", "called_ae") if key not in table]:
        raise UsageError(f"{path()}: [{name}] {missing[0]}: missing")
    named = {_ALIASES.get(key) or key: (key, value) for key, value in table.items()}
    return NamedServer(
        name,
        options={key: value for key, (_, value) in named.items() if key not in options.INPUTS},
        files={key: _file(name, key, table[key]) for key in options.INPUTS if key in table},
        origins={key: f"{path()}: [{name}] {own}" for key, (own, _) in named.items()},
    )


def _file(name: str, key: str, value: Any) -> Path:
    """Return the path of a file; a relative path starts at the folder of `servers.toml`."""
    if not isinstance(value, str):
        raise UsageError(f"{path()}: [{name}] {key}: {value!r} was given; allowed: a path")
    # Path.expanduser raises an error for an unknown user.
    return path().parent / os.path.expanduser(value)
