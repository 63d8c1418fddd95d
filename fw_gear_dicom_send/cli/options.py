"""What the commands do with options: their files, their names in errors, their JSON."""

import logging
import os
import re
import stat
from argparse import Namespace
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ..errors import ConfigError, ServerError, UsageError
from ..option_types import Place, flag
from ..option_values import FILE
from ..options import OPTIONS
from ..text import printable
from .server_words import destination_hint

log = logging.getLogger(__name__)

_FLAGS = {one.name: one.flag for one in OPTIONS if "_" in one.name}
_KEY = re.compile(r"(?<=\]) \w+$")
"""End of an origin in servers.toml."""
_SECRETS = ("key", "identity", "authorization")


def with_flags(text: str) -> str:
    """Return a text with the flags of options instead of their names, if these have underscores."""
    return re.sub(r"\w+", lambda word: _FLAGS.get(word[0], word[0]), text)


def check_files(values: Mapping[str, Any], origins: Mapping[str, str]) -> None:
    """Raise UsageError for a missing file; warn of each secret that other users can read."""
    for row in OPTIONS:
        path = values.get(row.name)
        if row.type is FILE and path is not None:
            origin = origins.get(row.name, row.flag)
            # Path.is_file raises an error for a name that is too long.
            if not os.path.isfile(path):
                raise UsageError(f"{origin}: {Path(path)}: file not found")
            if row.name in _SECRETS:
                warn_of_readers(origin, Path(path))


def warn_of_readers(origin: str, path: Path) -> None:
    """Log a warning if other users can read a secret file. Windows has no such permissions."""
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        name = printable(str(path))
        log.warning("%s: other users can read %s; protect it with chmod 600", origin, name)


def report_folder(folder: Path) -> Path:
    """Create the folder for reports if it is missing, and return it. Raises UsageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"--report-folder: cannot create {folder}: {exc.strerror}") from exc
    return folder


def require(extra: str, library: str, user: str) -> None:
    """Raise UsageError if a library is missing that `user`, a command or option, needs."""
    if find_spec(library) is None:
        raise UsageError(
            f"{user} needs the extra {extra}. Install it in the folder of this project: "
            f"pipx install --force '.[{extra}]', uv tool install '.[{extra}]' or "
            f"pip install '.[{extra}]'"
        )


def given(namespace: Namespace) -> dict[str, Any]:
    """Return the options for the gear on the command line of `dicom-send-batch`, in JSON."""
    rows = [row for row in OPTIONS if row.where & Place.GEAR and row.name in namespace]
    return {row.name: row.type.read(getattr(namespace, row.name)) for row in rows}


@contextmanager
def naming(origins: Mapping[str, str]) -> Iterator[None]:
    """Name options in errors by their origins or flags; ConfigError becomes UsageError."""
    try:
        yield
    except ConfigError as exc:
        name = origins.get(exc.option, flag(exc.option))
        if exc.given is None:
            raise UsageError(f"{name} is required: {with_flags(exc.allowed)}") from exc
        hint = destination_hint(str(exc.given)) if exc.option == "destination" else ""
        text = f"{name}: {exc.given!r} was given; allowed: {with_flags(exc.allowed)}"
        raise UsageError(f"{text}; {hint}" if hint else text) from exc
    except ServerError as exc:
        raise ServerError(exc.cause, _named(exc.template, origins)) from exc


def _named(advice: str, origins: Mapping[str, str]) -> str:
    """Return an advice with the origins of its options, in the form of `ServerError`."""

    def shown(found: re.Match[str]) -> str:
        names = re.findall(r"\w+(?=})", found[0])
        places = (origins.get(name, flag(name)) for name in names)
        words = dict.fromkeys(_KEY.sub("", place) for place in places)
        return " and ".join(words).replace("{", "{{").replace("}", "}}")

    return re.sub(r"\{\w+\}(?: and \{\w+\})*", shown, advice)
