"""Writes docs/dicom-send.1, the manual page of `dicom-send`, from what its parser knows."""

import sys
from argparse import SUPPRESS, Action
from collections.abc import Iterator
from pathlib import Path

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.cli import echo, options, send, servers

TARGET = Path(__file__).parents[1] / "docs" / "dicom-send.1"


def document() -> str:
    """Return the page in roff, as man(7) describes it."""
    return "".join(f"{line}\n" for line in _lines())


def _lines() -> Iterator[str]:
    yield f'.TH DICOM-SEND 1 "" "dicom-send {__version__}" "User Commands"'
    yield ".SH NAME"
    yield _text("dicom-send - send DICOM files to a DICOM server by C-STORE")
    yield ".SH SYNOPSIS"
    yield from _verbatim(str(send.parser().usage).replace("\n       ", "\n"))
    yield ".SH DESCRIPTION"
    yield from _paragraphs(send.DESCRIPTION)
    yield from _options(send.parser(), ".SH")
    for parser in (echo.parser(), servers.parser()):
        yield f".SH {_text(parser.prog.upper())}"
        yield from _paragraphs(str(parser.description))
        yield from _options(parser, ".SS")
        yield from _paragraphs(str(parser.epilog))
    yield ".SH EXIT CODES AND EXAMPLES"
    yield from _verbatim(send.EPILOG)


def _options(parser: options.Parser, heading: str) -> Iterator[str]:
    for group in parser.groups():
        actions = [one for one in group.actions if one.help != SUPPRESS]
        if actions:
            yield f"{heading} {_text(group.title.upper())}"
        for action in actions:
            yield ".TP"
            yield _text(_invocation(action))
            yield _text(str(action.help).replace("%%", "%"))


def _invocation(action: Action) -> str:
    value = str(action.metavar or "")
    if action.choices:
        value = "{" + ",".join(action.choices) + "}"
    if not action.option_strings:
        return value
    return ", ".join(action.option_strings) + f" {value}" * bool(action.nargs != 0 and value)


def _paragraphs(text: str) -> Iterator[str]:
    """Yield text whose paragraphs are filled, but for those that are indented."""
    for paragraph in text.strip("\n").split("\n\n"):
        yield ".PP"
        if paragraph.startswith(" "):
            yield from _verbatim(paragraph)
        else:
            yield from map(_text, paragraph.split("\n"))


def _verbatim(text: str) -> Iterator[str]:
    yield ".nf"
    yield from map(_text, text.strip("\n").split("\n"))
    yield ".fi"


def _text(text: str) -> str:
    """Return a line of text as roff prints it."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    return f"\\&{escaped}" if escaped.startswith((".", "'")) else escaped


def main() -> int:
    """Write the page."""
    TARGET.write_text(document())
    return 0


if __name__ == "__main__":
    sys.exit(main())
