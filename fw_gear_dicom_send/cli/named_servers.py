"""Servers with names, which a user keeps in `servers.toml`."""

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
    """A table of the file: values for the manifest's options, and files for its inputs.

    `origins` tells for each of them how messages name it.
    """

    name: str
    options: Mapping[str, Any]
    files: Mapping[str, Path]
    origins: Mapping[str, str]


def path() -> Path:
    """Return where the file is, if there is one."""
    if os.name == "nt":
        top = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        top = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(top) / "dicom-send" / "servers.toml"


def tables() -> Mapping[str, Any]:
    """Return the tables of the file, none where there is no file; raise UsageError."""
    file = path()
    try:
        return tomllib.loads(file.read_text(encoding="utf-8"))
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as exc:
        raise UsageError(f"{file}: {exc.strerror}") from exc
    except ValueError as exc:
        raise UsageError(f"{file}: this is no TOML: {exc}") from exc


def find(name: str, known: Mapping[str, Any]) -> NamedServer:
    """Return a server of `tables`; raise UsageError if it is not there, or has wrong keys."""
    table: dict[str, Any] | None = known.get(name)
    if not isinstance(table, dict):
        names = ", ".join(known) or "none"
        raise UsageError(f"{name}: no such server in {path()}; its servers are: {names}")
    allowed = {*_ALIASES, *_OPTIONS, *options.INPUTS}
    for key in table:
        if key not in allowed:
            raise UsageError(
                f"{path()}: [{name}] {key}: unknown; allowed: {', '.join(sorted(allowed))}"
            )
    if missing := [key for key in ("host", "called_ae") if key not in table]:
        raise UsageError(f"{path()}: [{name}] {missing[0]} is missing")
    named = {_ALIASES.get(key) or key: (key, value) for key, value in table.items()}
    return NamedServer(
        name,
        options={key: value for key, (_, value) in named.items() if key not in options.INPUTS},
        files={key: _file(name, key, table[key]) for key in options.INPUTS if key in table},
        origins={key: f"{path()}: [{name}] {own}" for key, (own, _) in named.items()},
    )


def _file(name: str, key: str, value: Any) -> Path:
    """Return the path of a file; a relative one begins where `servers.toml` is."""
    if not isinstance(value, str):
        raise UsageError(f"{path()}: [{name}] {key}: {value!r} was given; allowed: a path")
    return path().parent / Path(value).expanduser()
