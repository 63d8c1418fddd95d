"""Options that print help, the version or a completion script, and end the process."""

from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NoReturn

from .. import __version__
from ..option_types import BOOLEAN, SWITCH, Group, Option
from .console import write
from .parser import Parser
from .shells import SHELLS


class _Print(Action):
    """Option that prints a text and ends the process.

    `const` is a function that returns the text for the option's value.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,  # noqa: ARG002
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Print the text."""
        text: Callable[[Any], str] = self.const
        write(text(values))
        parser.exit()


def add_help(parser: Parser, description: str, epilog: str, complete: Callable[[], Parser]) -> None:
    """Add `--help`, which shows the options with a brief description, and `--help-all`.

    `complete` returns a parser for the text of `--help-all`.
    """
    add = partial(parser.add_argument, action=_Print, nargs=0, default=SUPPRESS)
    brief = partial(_brief_help, parser, description, epilog)
    add("-h", "--help", const=brief, help="Show the most common options.")
    add("--help-all", const=lambda _: complete().format_help(), help="Show all options.")


def add_version(parser: Parser) -> None:
    """Add `--version`."""
    version = f"dicom-send {__version__}"
    parser.add_argument("--version", action="version", version=version, help="Show the version.")


def add_completion(parser: Parser, script: Callable[[str], str]) -> None:
    """Add `--print-completion`; `script` returns the completion script for a shell."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        const=script,
        choices=SHELLS,
        default=SUPPRESS,
        help="Print a completion script for a shell.",
    )


def _brief_help(parser: Parser, description: str, epilog: str, _: Any) -> str:
    """Return a help text with only some of the parser's options."""
    brief = Parser(parser.prog, description, epilog, usage=parser.usage, add_help=False)
    groups: dict[str, list[Option]] = {group.brief_title: [] for group in Group}
    for row in parser.options:
        if row.brief:
            groups[row.group.brief_title].append(_brief(row))
    for title, rows in groups.items():
        brief.add_options(title, rows, lambda row: row.brief)
    return brief.format_help()


def _brief(row: Option) -> Option:
    """Return an option with one long flag: `--no-x` if `--x` is the default."""
    if row.type is not BOOLEAN:
        return row
    default = row.default if row.command_default is None else row.command_default
    return replace(row, type=SWITCH, long=f"--no{row.flag[1:]}" if default else "")
