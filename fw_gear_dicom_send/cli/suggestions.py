"""Suggestions for mistyped words, and for command lines in the form of other programs."""

import os
import re
from argparse import ArgumentError, ArgumentParser
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from ..errors import UsageError
from .console import command_line
from .server_words import parse, word_of

_MIN_LENGTH = 2
_FORMER_REPORT = re.compile(r"(no-)?((instance|html|summary)-)?report$")
"""End of an option that `report_files` replaces."""
_SYNONYMS = {
    "ping": "echo",
    "test": "echo",
    "echoscu": "echo",
    "list": "servers",
    "compare": "check",
    "diff": "check",
}
"""Words of other programs for the subcommands."""
_PROGRAMS = ("dcmsend", "storescu")
_DEFAULT_AE = "ANY-SCP"
"""Called AE title of DCMTK's programs if none is given."""


def similar(word: str, known: Iterable[str]) -> str:
    """Return a question in parentheses about the known word that a word resembles, or nothing.

    A word also resembles a known one that it begins. Dashes and underscores count as equal.
    """
    # Few command lines have a mistake.
    from difflib import get_close_matches

    words = {_plain(one): one for one in reversed(list(known))}
    typed = _plain(word)
    starts = typed, _FORMER_REPORT.sub("report-files", typed)
    begun = [plain for plain in reversed(words) if plain.startswith(starts)]
    found = begun or get_close_matches(typed, words, n=1)
    is_long = len(typed) >= _MIN_LENGTH
    return f" (did you mean {words[found[0]]}?)" if found and is_long else ""


def check_subcommand(word: str, known: Iterable[str]) -> None:
    """Raise UsageError for a word that is not a path, but resembles a subcommand."""
    if word.startswith("-") or os.path.lexists(word) or parse(word):
        return
    meant = _SYNONYMS.get(word) or next((one for one in known if similar(word, [one])), "")
    if meant:
        raise UsageError(f"{word}: not found (did you mean dicom-send {meant}?)")


@contextmanager
def own_form(argv: Sequence[str]) -> Iterator[None]:
    """Answer an invalid line in the form of DCMTK or dcm4che with the line of this program."""
    try:
        yield
    except UsageError as exc:
        if line := _translation(argv):
            raise UsageError(f"this is a line of another program; write: {line}") from exc
        raise


def _translation(argv: Sequence[str]) -> str:
    """Return the line of this program for a line of dcmsend or storescu, or nothing.

    DCMTK has `-aet ME -aec AE HOST PORT PATH...`, and dcm4che `-b ME:PORT -c AE@HOST:PORT PATH...`.
    """
    foreign = ArgumentParser(
        prefix_chars="-+", add_help=False, allow_abbrev=False, exit_on_error=False
    )
    foreign.add_argument("-aec", "--call", default=_DEFAULT_AE)
    foreign.add_argument("-aet", "--aetitle", "-b", "--bind")
    foreign.add_argument("-c", "--connect", default="")
    foreign.add_argument("+tls", "--enable-tls", nargs=2)
    try:
        known, rest = foreign.parse_known_args(list(argv))
    except ArgumentError:
        return ""
    is_echo = rest[:1] == ["echo"]
    rest = [word for word in rest[is_echo:] if word not in _PROGRAMS and word[:1] != "+"]
    words = [word for word in rest if word[:1] != "-"]
    server = known.connect
    if words and not server:
        start = rest.index(words[0])
        host, port = (*rest[start : start + 2], "")[:2]
        if not port.isdecimal() or any(map(os.path.lexists, (host, port))):
            return ""
        server = word_of(known.call, host, port)
        del rest[start : start + 2], words[:2]
    if not (words or is_echo) or not parse(server) or any(map(parse, words)):
        return ""
    line = [*["echo"] * is_echo, *rest, server]
    if known.aetitle:
        line += ["-aet", re.split("[@:]", known.aetitle)[0]]
    if known.enable_tls:
        key, certificate = known.enable_tls
        line += ["--tls-enabled", "--key", key, "--cert", certificate]
    return command_line(line)


def _plain(word: str) -> str:
    return word.strip("-").replace("_", "-").lower()
