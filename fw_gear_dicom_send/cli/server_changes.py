"""`dicom-send servers add` and `dicom-send servers remove`: change `servers.toml`."""

import json
import os
import re
import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from shutil import copymode
from typing import Any

from ..errors import ExitCode, UsageError
from ..option_types import Group
from ..options import OPTIONS
from ..values import replace
from . import server_words, settings
from .parser import Parser

ADD_DESCRIPTION = """\
Add a server to servers.toml, with the options for sending to it.

    dicom-send servers add archive ARCHIVE@pacs.example.org:104 -aet ME
"""
_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")


def add_parser() -> Parser:
    """Return the parser of the command line after `servers add`."""
    usage = f"dicom-send servers add NAME {server_words.FORM} [options]"
    command = Parser("dicom-send servers add", ADD_DESCRIPTION, usage=usage)
    command.add_argument(
        "words",
        nargs="*",
        metavar="NAME SERVER",
        help="A name for the server, and the server: AE@HOST:PORT, or a URL for DICOMweb.",
    )
    for group in Group:
        rows = [row for row in OPTIONS if row.group is group and row.name in settings.KEYS]
        command.add_options(group.title, [row for row in rows if row.name not in settings.ADDRESS])
    return command


def add(argv: Sequence[str]) -> int:
    """Append a table to `servers.toml`; return the exit code. Raises UsageError."""
    command = add_parser()
    given = command.read(argv)
    if len(given.words) != 2:
        command.error(f"the form is NAME {server_words.FORM}")
    name, word = given.words
    file, known, before = settings.servers_file(), settings.tables(), settings.text().rstrip()
    if name in known:
        raise UsageError(f"{name} is in {file} already; first: dicom-send servers remove {name}")
    address = server_words.parse(word)
    if not address or server_words.parse(name):
        hint = server_words.hint(word) or f"the form is NAME {server_words.FORM}"
        raise UsageError(f"{name} {word}: {hint}")
    if not name.strip() or not name.isprintable():
        raise UsageError(f"{name!r}: a name has printable characters only, and is not empty")
    typed = {option: given.values[option] for option in given.typed}
    settings.read(replace(given, words=[word], values=typed, variables={})).config()
    files = {option: os.path.abspath(typed[option]) for option in settings.FILES & typed.keys()}
    values = {**address, **typed, **files}
    table = {key: values[option] for option, key in settings.KEYS.items() if option in values}
    header = name if _BARE_KEY.fullmatch(name) else json.dumps(name, ensure_ascii=False)
    # These values look the same in JSON and in TOML.
    lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in table.items()]
    text = "\n".join([*([before, ""] if before else []), f"[{header}]", *lines, ""])
    return _write(text, {**known, name: table})


def remove(argv: Sequence[str]) -> int:
    """Remove the table of a server; return the exit code. Raises UsageError."""
    command = Parser("dicom-send servers remove", "Remove a server from servers.toml.")
    command.add_argument("words", nargs=1, metavar="NAME", help="Name of the server.")
    (name,) = command.read(argv).words
    known = settings.tables()
    if name not in known:
        raise settings.no_such_server(name, known)
    header = re.compile(rf"\s*\[\s*[\"']?{re.escape(name)}[\"']?\s*\]")
    kept: list[str] = []
    comments: list[str] = []  # after the last key of the table: those of the next one
    is_in = False
    for line in settings.text().splitlines(keepends=True):
        start = line.lstrip()[:1]
        if start == "[":
            is_in = header.match(line) is not None
            kept += comments
            comments = []
        if not is_in:
            kept.append(line)
        elif start == "#" or (comments and not start):
            comments.append(line)
        elif start:
            comments = []
    return _write("".join([*kept, *comments]), {key: known[key] for key in known if key != name})


def _write(text: str, expected: Mapping[str, Any]) -> int:
    """Replace `servers.toml` if the text has the expected tables. Raises UsageError."""
    file = settings.servers_file()
    try:
        is_expected, data = tomllib.loads(text) == expected, text.encode()
    except ValueError:
        is_expected, data = False, b""
    if not is_expected:
        raise UsageError(f"cannot make this change; edit {file}")
    place = Path(os.path.realpath(file))  # a link stays one
    new = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        new.write_bytes(data)
        if place.exists():
            copymode(place, new)
        new.replace(place)
    except OSError as exc:
        raise UsageError(f"cannot write {file}: {exc.strerror}") from exc
    return ExitCode.SUCCESS
