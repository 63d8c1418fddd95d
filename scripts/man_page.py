"""Writes docs/dicom-send.1 and docs/dicom-send-batch.1, the manual pages, from the parsers."""

import io
import os
import sys
from argparse import Action
from collections.abc import Iterator
from contextlib import redirect_stdout, suppress
from pathlib import Path

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.batch import command_line as batch
from fw_gear_dicom_send.cli import check, command_line, echo, server_changes, servers
from fw_gear_dicom_send.cli.parser import Parser

DOCS = Path(__file__).parents[1] / "docs"
COMMANDS = ("start", "follow", "stop", "retry", "gather", "list")


def documents() -> dict[Path, str]:
    """Return the text of each page in roff, with the macros of man(7)."""
    return {
        DOCS / "dicom-send.1": "".join(f"{line}\n" for line in _send()),
        DOCS / "dicom-send-batch.1": "".join(f"{line}\n" for line in _batch()),
    }


def _head(name: str, purpose: str) -> Iterator[str]:
    yield f'.TH {name.upper()} 1 "" "dicom-send {__version__}" "User Commands"'
    yield ".SH NAME"
    yield _text(f"{name} - {purpose}")


def _batch() -> Iterator[str]:
    yield from _head("dicom-send-batch", "send whole projects of a Flywheel site")
    yield ".SH DESCRIPTION"
    yield from _paragraphs(batch.DESCRIPTION)
    for command in COMMANDS:
        yield f".SH {command.upper()}"
        yield from _verbatim(_help(command))
    yield ".SH EXIT CODES AND EXAMPLES"
    yield from _verbatim(batch.EPILOG)


def _help(command: str) -> str:
    """Return the help of a subcommand, in 80 columns."""
    os.environ["COLUMNS"] = "80"
    text = io.StringIO()
    with redirect_stdout(text), suppress(SystemExit):
        batch.parser().parse_args([command, "--help"])
    return text.getvalue()


def _send() -> Iterator[str]:
    yield from _head("dicom-send", "send DICOM files to a DICOM server by C-STORE or DICOMweb")
    yield ".SH SYNOPSIS"
    yield from _verbatim(str(command_line.parser().usage).replace("\n       ", "\n"))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(command_line.DESCRIPTION)
    yield from _options(command_line.parser(), ".SH")
    subcommands = (check, echo, servers)
    for parser in (*(one.parser() for one in subcommands), server_changes.add_parser()):
        yield f".SH {_text(parser.prog.upper())}"
        yield from _paragraphs(str(parser.description))
        yield from _options(parser, ".SS")
        yield from _paragraphs(str(parser.epilog))
    yield ".SH EXIT CODES AND EXAMPLES"
    yield from _verbatim(command_line.EPILOG)


def _options(parser: Parser, heading: str) -> Iterator[str]:
    """Yield the options of a parser in their groups, below headings."""
    for title, actions in parser.groups.items():
        yield f"{heading} {_text(title.upper())}"
        for action in actions:
            yield ".TP"
            yield _text(_invocation(action))
            yield _text(str(action.help).replace("%%", "%"))


def _invocation(action: Action) -> str:
    """Return the flags of an option with its value, or the name of an argument."""
    value = str(action.metavar or "")
    if action.choices:
        value = "{" + ",".join(action.choices) + "}"
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + f" {value}" * bool(action.nargs != 0 and value)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield text with filled paragraphs; those with indented lines keep their lines."""
    for paragraph in text.strip("\n").split("\n\n"):
        yield ".PP"
        lines = paragraph.split("\n")
        if any(line.startswith(" ") for line in lines):
            yield from _verbatim(paragraph)
        else:
            yield from map(_text, lines)


def _verbatim(text: str) -> Iterator[str]:
    yield ".nf"
    yield from map(_text, text.strip("\n").split("\n"))
    yield ".fi"


def _text(text: str) -> str:
    """Return a line of text with the escapes of roff."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> int:
    """Write the pages."""
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
