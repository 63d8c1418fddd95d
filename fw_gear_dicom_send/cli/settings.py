"""Where options come from: the command line, the environment, a named server, the defaults."""

import os
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ..config import manifest, with_defaults
from ..errors import ConfigError, UsageError
from . import named_servers, options, server_words
from .named_servers import NamedServer
from .parser import Arguments

_BOTH = ("server", "destination")
"""Options that name a server, of which one is enough."""
_ADDRESS = ("destination", "port", "called_ae")
"""Options that say which server it is. A server in one word goes before them all."""


@dataclass(frozen=True)
class Settings:
    """The options of a run, the files that are the gear's inputs, and the paths to send.

    `origins` tells how messages name an option that is not from the command line.
    """

    options: Mapping[str, Any]
    inputs: Mapping[str, Any]
    origins: Mapping[str, str]
    paths: Sequence[Path]

    def as_usage(self, error: ConfigError) -> UsageError:
        """Return an error that names the option as it was given, with a hint if there is one."""
        usage = options.as_usage(error, self.origins)
        if error.option == "destination":
            words = server_words.destination_hint(str(error.given))
            return UsageError(f"{usage}; {words}") if words else usage
        return usage


def read(arguments: Arguments, words: Sequence[str] = (), *, command: str = "") -> Settings:
    """Return the settings by what is given; the last of `words` may be the server.

    Raises UsageError where it is not clear which server is meant, or where there is none. The
    `command` before these words may have been meant as a path.
    """
    known, typed = dict(vars(arguments.values)), arguments.typed
    variables = arguments.variables
    word, is_typed, rest = _server_word(arguments, words)
    origins = dict(variables)
    server: Mapping[str, Any] = {}
    files: Mapping[str, Path] = {}
    if word is not None:
        address = server_words.parse(word)
        if address and is_typed and (twice := sorted(typed & set(_ADDRESS))):
            raise UsageError(f"{options.flag(twice[0])}: {word} has it already")
        if address or is_typed:
            for name in set(_ADDRESS) - typed:
                known[name] = None
        found = NamedServer(word, address, {}, dict.fromkeys(address, word)) if address else None
        found = found or _named(word)
        server, files = found.options, found.files
        origins |= {name: found.origins[name] for name in found.origins if known.get(name) is None}
    given = options.given(Namespace(**known))
    if "destination" not in {*given, *server}:
        raise _no_server(words, command)
    stamp = {"stamp": known["stamp"]} if known.get("stamp") is not None else {}
    inputs = {name: known[name] or files.get(name) for name in options.INPUTS}
    return Settings(
        with_defaults({"stamp": False, **server, **given, **stamp}, manifest()),
        options.as_inputs(inputs, origins),
        origins,
        [Path(one) for one in rest],
    )


def of_server(server: NamedServer) -> Settings:
    """Return the settings of a named server alone."""
    inputs = options.as_inputs(server.files, server.origins)
    return Settings(with_defaults(server.options, manifest()), inputs, server.origins, ())


def _server_word(
    arguments: Arguments, words: Sequence[str]
) -> tuple[str | None, bool, Sequence[str]]:
    """Return the word that is the server, whether it was typed, and the words that are paths.

    The server is None where other options name it, or none does.
    """
    paths, variables = list(words), arguments.variables
    for names in (arguments.typed, variables.keys()):
        is_typed = names is arguments.typed
        if names >= set(_BOTH):
            first, second = (variables.get(name, options.flag(name)) for name in _BOTH)
            raise UsageError(f"{first} and {second} both name a server; give one of them")
        given = [options.flag(name) for name in _BOTH if is_typed and name in names]
        if given and paths and server_words.parse(paths[-1]) and not os.path.lexists(paths[-1]):
            raise UsageError(f"{given[0]} and {paths[-1]} both name a server; give one of them")
        if is_typed and paths and not names & {*_BOTH} and _is_server(paths[-1]):
            return paths.pop(), is_typed, paths
        if "server" in names:
            return arguments.values.server, is_typed, paths
        if "destination" in names:
            return None, False, paths
    return None, False, paths


def _is_server(word: str) -> bool:
    """Tell whether a word is a server; raise UsageError if it could be a path as well."""
    if not (server_words.parse(word) or word in named_servers.tables()):
        return False
    if os.path.lexists(word):
        raise UsageError(
            f"{word} is a server and a path. Write --server {word} for the server, "
            f"or {os.path.join(os.curdir, word)} for the path"
        )
    return True


def _named(word: str) -> NamedServer:
    """Return a server of the file; raise UsageError with a hint if there is none of the name."""
    tables = named_servers.tables()
    words = "" if word in tables else server_words.hint(word)
    if words:
        raise UsageError(f"{word}: {words}")
    return named_servers.find(word, tables)


def _no_server(words: Sequence[str], command: str) -> UsageError:
    """Return an error that says how to name a server, or which word is neither server nor path."""
    for word in words:
        if not os.path.lexists(word) and (meant := server_words.hint(word)):
            return UsageError(f"{word}: {meant}")
    named = ", ".join(named_servers.tables())
    last = words[-1] if words else ""
    if os.path.lexists(command):
        path = os.path.join(os.curdir, command)
        return UsageError(
            f"no server is given to test: dicom-send {command} {server_words.FORM}. "
            f"To send the folder or file {command}, write {path}"
        )
    unknown = f"{last} is no path and no server; " * bool(last and not os.path.lexists(last))
    return UsageError(
        f"{unknown}no server is given: end with {server_words.FORM}, as in {server_words.EXAMPLE}, "
        f"{f'with a name ({named}), ' * bool(named)}or use --destination and --called-ae"
    )
