"""Merges the options of the command line, the environment, a named server and the defaults."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import SendConfig, checked
from ..errors import UsageError
from ..option_types import flag
from ..options import OPTIONS
from . import named_servers, options, server_words
from .parser import Arguments

_BOTH = ("server", "destination")
"""Options that name a server. Only one of them is allowed."""
_ADDRESS = ("destination", "port", "called_ae")
"""Options that identify a server. A server in one word replaces all of them."""
_DEFAULTS = {
    row.name: row.default if row.command_default is None else row.command_default
    for row in OPTIONS
    if row.default is not None
}


@dataclass(frozen=True)
class Settings:
    """Options of a run in JSON, and paths to send.

    `origins` has the names in messages of options that are not from the command line.
    """

    values: Mapping[str, Any]
    origins: Mapping[str, str]
    paths: Sequence[Path] = ()

    def config(self) -> SendConfig:
        """Return the checked configuration. Raises UsageError."""
        options.check_files(self.values, self.origins)
        with options.naming(self.origins):
            return SendConfig(**checked(self.values))


def read(arguments: Arguments) -> Settings:
    """Return the settings for the arguments; the last word may be the server.

    Raises UsageError if the server is missing or ambiguous.
    """
    values, typed = dict(arguments.values), arguments.typed
    word, is_typed, paths = _server_word(arguments)
    of_server: Mapping[str, Any] = {}
    origins: Mapping[str, str] = {}
    if word is not None:
        address = server_words.parse(word)
        if address and is_typed and (twice := sorted(typed & set(_ADDRESS))):
            raise UsageError(f"{flag(twice[0])} repeats a part of {word}; remove it")
        if address or is_typed:
            for name in set(_ADDRESS) - typed:
                values.pop(name, None)
        of_server, origins = (address, dict.fromkeys(address, word)) if address else _named(word)
    if "destination" not in {*values, *of_server}:
        raise _no_server(arguments.words)
    return Settings(
        {**_DEFAULTS, **of_server, **values},
        dict(arguments.variables)
        | {name: origin for name, origin in origins.items() if name not in values},
        [Path(path) for path in paths],
    )


def of_server(name: str, known: Mapping[str, Any]) -> Settings:
    """Return the settings of a named server, without other options. Raises UsageError."""
    values, origins = named_servers.find(name, known)
    options.check_files(values, origins)
    return Settings({**_DEFAULTS, **values}, origins)


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
            return paths.pop(), is_typed, paths
        if "server" in names:
            return arguments.values["server"], is_typed, paths
        if "destination" in names:
            return None, False, paths
    return None, False, paths


def _is_server(word: str) -> bool:
    """Return whether a word is a server; raise UsageError if it is also a path."""
    if not (server_words.parse(word) or word in named_servers.tables()):
        return False
    if os.path.lexists(word):
        raise UsageError(
            f"{word} is both a server and a path. Write --server {word} for the server, "
            f"or {os.path.join(os.curdir, word)} for the path"
        )
    return True


def _named(word: str) -> tuple[Mapping[str, Any], Mapping[str, str]]:
    """Return a named server; raise UsageError, with a hint if possible, if it is missing."""
    tables = named_servers.tables()
    if word not in tables and (hint := server_words.hint(word)):
        raise UsageError(f"{word}: {hint}")
    return named_servers.find(word, tables)


def _no_server(words: Sequence[str]) -> UsageError:
    """Return an error about the missing server, with a hint for a mistyped one."""
    for word in words:
        if not os.path.lexists(word) and (hint := server_words.hint(word)):
            return UsageError(f"{word}: {hint}")
    problem = "no server is given"
    if words and not os.path.lexists(words[-1]):
        problem = f"{words[-1]} is neither a path nor a server"
    names = ", ".join(named_servers.tables())
    named = f"with a name ({names}), " if names else ""
    return UsageError(
        f"{problem}: end with {server_words.FORM}, for example {server_words.EXAMPLE}, "
        f"{named}or use --destination and --called-ae"
    )
