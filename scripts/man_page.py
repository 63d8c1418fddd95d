"""Writes docs/dicom-send.1, the manual page of `dicom-send`, from its parsers."""

import sys
from argparse import Action
from collections.abc import Iterator
from pathlib import Path

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.cli import check, command_line, echo, server_changes, servers
from fw_gear_dicom_send.cli.parser import Parser

TARGET = Path(__file__).parents[1] / "docs" / "dicom-send.1"


def document() -> str:
    """Return the page in roff, with the macros of man(7)."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield f'.TH DICOM-SEND 1 "" "dicom-send {__version__}" "User Commands"'
    yield ".SH NAME"
    yield _text("dicom-send - send DICOM files to a DICOM server by C-STORE")
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
    """Write the page."""
    TARGET.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
