"""Merges options: command line, environment, a server in `servers.toml`, defaults."""

import os
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..config import URL_HAS_NONE, SendConfig, checked
from ..errors import UsageError
from ..option_types import Group, Place, flag
from ..option_values import FILE
from ..options import OPTIONS
from ..server_url import is_url, without_secrets
from ..values import frozen
from . import options, server_words
from .parser import Arguments
from .suggestions import similar

_BOTH = ("server", "destination")
"""Options that name a server. Only one of them is allowed."""
ADDRESS = ("destination", "port", "called_ae")
"""Options that identify a server. A server in one word replaces all of them."""
_DEFAULTS = {row.name: row.default_of_command for row in OPTIONS if row.default not in (None, "")}
KEYS = {
    row.name: "host" if row.name == "destination" else row.name
    for row in OPTIONS
    if row.where & Place.COMMAND and row.group not in (Group.FILES, Group.MESSAGES)
}
"""Key of each option in a table of `servers.toml`."""
_REQUIRED = ("host", "called_ae")
FILES = {row.name for row in OPTIONS if row.type is FILE}
"""Options that name a file."""


@frozen
class Settings:
    """Options of a run in JSON, and paths to send.

    `origins` has the names in messages of options that are not from the command line.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    paths: Sequence[str] = ()

    def config(self) -> SendConfig:
        """Return the checked configuration. Raises UsageError."""
        options.check_files(self.values, self.origins)
        with options.naming(self.origins):
            return SendConfig(**checked(self.values, Place.COMMAND))


def read(arguments: Arguments) -> Settings:
    """Return the settings for the arguments; the last word may be the server.

    Raises UsageError if the server is missing or ambiguous.
    """
    if "" in arguments.words:
        raise UsageError("an argument is empty; it is neither a path nor a server")
    values, typed = dict(arguments.values), arguments.typed
    word, is_typed, paths = _server_word(arguments)
    of_server: Mapping[str, Any] = {}
    origins: Mapping[str, str] = {}
    if word is not None:
        address = server_words.parse(word)
        if address and not is_url(word) and is_typed and (twice := sorted(typed & set(ADDRESS))):
            raise UsageError(f"{flag(twice[0])} repeats a part of {word}; remove it")
        if address or is_typed:
            for name in set(ADDRESS) - typed:
                values.pop(name, None)
        shown = without_secrets(word)
        of_server, origins = (address, dict.fromkeys(address, shown)) if address else _named(word)
    if "destination" not in {*values, *of_server}:
        raise _no_server(arguments.words)
    given = {**of_server, **values}
    known = {name: origin for name, origin in origins.items() if name not in values}
    known = {**arguments.variables, **known}
    check_url(given, known)
    return Settings({**_DEFAULTS, **given}, known, [str(Path(path)) for path in paths])


def of_server(name: str, known: Mapping[str, Any]) -> Settings:
    """Return the settings of a named server, without other options. Raises UsageError."""
    values, origins = _find(name, known)
    check_url(values, origins)
    options.check_files(values, origins)
    return Settings({**_DEFAULTS, **values}, origins)


def check_url(given: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Raise UsageError for a port or an AE title beside a URL."""
    useless = [name for name in URL_HAS_NONE if name in given]
    if is_url(given.get("destination")) and useless:
        place = origins.get(useless[0], flag(useless[0]))
        raise UsageError(f"{place} has no effect with a URL as the server; remove it")


def servers_file() -> Path:
    """Return the path of `servers.toml`, which may be missing."""
    if os.name == "nt":
        top = os.environ.get("APPDATA") or os.path.expanduser("~")
    else:
        top = os.environ.get("XDG_CONFIG_HOME") or os.path.expanduser("~/.config")
    return Path(top) / "dicom-send" / "servers.toml"


def tables() -> Mapping[str, Any]:
    """Return the tables of `servers.toml`, or none if it is missing. Raises UsageError."""
    try:
        return tomllib.loads(text())
    except (ValueError, RecursionError) as exc:
        raise UsageError(f"{servers_file()}: invalid TOML: {exc}") from exc


def text() -> str:
    """Return the text of `servers.toml`, empty if it is missing. Raises UsageError."""
    file = servers_file()
    try:
        return file.read_text(encoding="utf-8-sig")
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as exc:
        raise UsageError(f"cannot read {file}: {exc.strerror}") from exc


def no_such_server(name: str, known: Mapping[str, Any]) -> UsageError:
    """Return the error for a name that none of the `known` tables has."""
    meant, names = similar(name, known), ", ".join(known) or "none"
    return UsageError(f"{name}: no such server in {servers_file()}{meant}; known servers: {names}")


def _find(name: str, known: Mapping[str, Any]) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return the options of a server in JSON, and the name of each in messages.

    `known` are the tables of the file. Raises UsageError if the server is missing or invalid.
    """
    if name not in known:
        raise no_such_server(name, known)
    table, place = known[name], f"{servers_file()}: [{name}]"
    if not isinstance(table, dict):
        raise UsageError(f"{place}: not a table")
    if unknown := [key for key in table if key not in KEYS.values()]:
        allowed = ", ".join(sorted(KEYS.values()))
        meant = similar(unknown[0], KEYS.values())
        raise UsageError(f"{place} {unknown[0]}: unknown key{meant}; allowed: {allowed}")
    required = _REQUIRED[:1] if is_url(table.get("host")) else _REQUIRED
    if missing := [key for key in required if key not in table]:
        raise UsageError(f"{place} {missing[0]}: missing")
    origins = {name: f"{place} {key}" for name, key in KEYS.items() if key in table}
    values = {name: table[KEYS[name]] for name in origins}
    for file in FILES & values.keys():
        if not isinstance(values[file], str):
            raise UsageError(f"{origins[file]}: {values[file]!r} was given; allowed: a path")
        # Path.expanduser raises an error for an unknown user.
        values[file] = servers_file().parent / os.path.expanduser(values[file])
    return values, origins


def _server_word(arguments: Arguments) -> tuple[str | None, bool, Sequence[str]]:
    """Return the server, whether it is from the command line, and the words that are paths.

    The server is None if `--destination` names it, or if it is missing. Raises UsageError.
    """
    paths, variables = list(arguments.words), arguments.variables
    for names in (arguments.typed, variables.keys()):
        is_typed = names is arguments.typed
        if names >= set(_BOTH):
            first, second = (variables.get(name, flag(name)) for name in _BOTH)
            raise UsageError(f"{first} and {second} both name a server; use only one")
        given = [flag(name) for name in _BOTH if is_typed and name in names]
        if given and paths and server_words.parse(paths[-1]) and not os.path.lexists(paths[-1]):
            raise UsageError(f"{given[0]} and {paths[-1]} both name a server; use only one")
        if is_typed and paths and not names & {*_BOTH} and _is_server(paths[-1]):
            server = paths.pop()
            _check_single(server, paths)
            return server, is_typed, paths
        if "server" in names:
            return arguments.values["server"], is_typed, paths
        if "destination" in names:
            return None, False, paths
    return None, False, paths


def _check_single(server: str, words: Sequence[str]) -> None:
    """Raise UsageError for a second server before the last one."""
    for word in words:
        if not os.path.lexists(word) and (server_words.parse(word) or word in tables()):
            raise UsageError(
                f"{word} and {server} are both servers; run the command once for each: dicom-send "
                f"PATH... {word}"
            )


def _is_server(word: str) -> bool:
    """Return whether a word is a server; raise UsageError if it is also a path."""
    if not (server_words.parse(word) or word in tables()):
        return False
    if os.path.lexists(word):
        raise UsageError(
            f"{word} is both a server and a path. Write --server {word} for the server, "
            f"or {os.path.join(os.curdir, word)} for the path"
        )
    return True


def _named(word: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return a named server; raise UsageError, with a hint if possible, if it is missing."""
    known = tables()
    if word not in known and (hint := server_words.hint(word)):
        raise UsageError(f"{word}: {hint}")
    return _find(word, known)


def _no_server(words: Sequence[str]) -> UsageError:
    """Return an error about the missing server, with a hint for a mistyped one."""
    for word in words:
        if not os.path.lexists(word) and (hint := server_words.hint(word)):
            return UsageError(f"{word}: {hint}")
    problem, known = "no server is given", tables()
    if words and not os.path.lexists(words[-1]):
        meant = similar(words[-1], known)
        problem = f"{words[-1]} is neither a path nor a server{meant}"
    names = ", ".join(known)
    named = f"with a name ({names}), " if names else ""
    return UsageError(
        f"{problem}: end with {server_words.FORM}, for example {server_words.EXAMPLE}, "
        f"{named}or use --destination and --called-ae"
    )
