"""Options that print help, the version or a completion script, and end the process."""

from argparse import SUPPRESS, Action, ArgumentParser, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from operator import attrgetter
from typing import Any, NoReturn

from .. import __version__
from ..option_types import Group, Option
from ..option_values import BOOLEAN, SWITCH
from ..values import replace
from .completion import SHELLS, script
from .console import write
from .parser import Parser


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


def add_help(parser: Parser, description: str, epilog: str) -> None:
    """Add `--help`, which shows the options with a brief description, and `--help-all`."""
    add = partial(parser.add_argument, action=_Print, nargs=0, default=SUPPRESS)
    brief = partial(_brief_help, parser, description, epilog)
    add("-h", "--help", const=brief, help="Show the most common options.")
    add("--help-all", const=lambda _: parser.format_help(), help="Show all options.")


def add_version(parser: Parser) -> None:
    """Add `--version`."""
    version = f"dicom-send {__version__}"
    parser.add_argument("--version", action="version", version=version, help="Show the version.")


def add_completion(
    parser: Parser, make: Callable[[], Parser], commands: Mapping[str, Callable[[], Parser]]
) -> None:
    """Add `--print-completion`. `make` returns another parser like this, as parsing changes it.

    `commands` has a function for the parser of each subcommand that is not in this parser.
    """
    parser.add_argument(
        "--print-completion",
        action=_Print,
        const=lambda shell: script(make(), shell, commands),
        choices=SHELLS,
        default=SUPPRESS,
        help="Print a completion script for a shell.",
    )


def _brief_help(parser: Parser, description: str, epilog: str, _: Any) -> str:
    brief = Parser(parser.prog, description, epilog, usage=parser.usage, add_help=False)
    groups: dict[str, list[Option]] = {group.brief_title: [] for group in Group}
    for row in filter(attrgetter("brief"), parser.options):
        # An option has one long flag: `--no-x` if `--x` is the default.
        long = f"--no{row.flag[1:]}" if row.default_of_command else ""
        switch = replace(row, type=SWITCH, long=long)
        groups[row.group.brief_title].append(switch if row.type is BOOLEAN else row)
    for title, rows in groups.items():
        brief.add_options(title, rows, lambda row: row.brief)
    return brief.format_help()
