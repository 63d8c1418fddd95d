"""Options that print help, the version or a completion script, and end the process."""

from argparse import SUPPRESS, Action, ArgumentParser, BooleanOptionalAction, Namespace
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from .. import __version__
from .console import write
from .parser import Parser
from .shells import SHELLS

BriefOptions = Mapping[str, Mapping[str, str]]
"""Groups of options for `--help`: titles, and a short text for each option."""


class _Print(Action):
    """Option that prints a text and ends the process.

    `const` is a function that returns the text for the parser and the option's value.
    """

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,  # noqa: ARG002
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Print the text."""
        text: Callable[[ArgumentParser, Any], str] = self.const
        write(text(parser, values))
        parser.exit()


def add_help(
    parser: ArgumentParser,
    description: str,
    options: BriefOptions,
    epilog: str,
    complete: Callable[[], ArgumentParser],
) -> None:
    """Add `--help`, which shows some options, and `--help-all`.

    `complete` returns a parser for the text of `--help-all`.
    """
    group = parser.add_argument_group("help")
    group.add_argument(
        "-h",
        "--help",
        action=_Print,
        nargs=0,
        const=partial(_brief_help, description, options, epilog),
        default=SUPPRESS,
        help="Show the most common options.",
    )
    group.add_argument(
        "--help-all",
        action=_Print,
        nargs=0,
        const=lambda *_: complete().format_help(),
        default=SUPPRESS,
        help="Show all options.",
    )


def add_version(parser: ArgumentParser) -> None:
    """Add `--version`."""
    version = f"dicom-send {__version__}"
    parser.add_argument("--version", action="version", version=version, help="Show the version.")


def add_completion(parser: ArgumentParser, script: Callable[[str], str]) -> None:
    """Add `--print-completion`; `script` returns the completion script for a shell."""
    parser.add_argument(
        "--print-completion",
        action=_Print,
        const=lambda _, shell: script(shell),
        choices=SHELLS,
        default=SUPPRESS,
        help="Print a completion script for a shell.",
    )


def _brief_help(
    description: str, options: BriefOptions, epilog: str, parser: ArgumentParser, _: Any
) -> str:
    """Return a help text with only some of the parser's options."""
    known = {flag: action for action in parser._actions for flag in action.option_strings}
    brief = Parser(parser.prog, description, epilog, usage=parser.usage, add_help=False)
    for title, texts in options.items():
        group = brief.add_argument_group(title)
        for name, text in texts.items():
            action = known[name]
            kwargs: dict[str, Any] = {"action": "store_true"}
            if action.nargs != 0:
                kwargs = {"metavar": action.metavar, "choices": action.choices}
            group.add_argument(*_brief_flags(name, action), help=text, **kwargs)
    return brief.format_help()


def _brief_flags(name: str, action: Action) -> list[str]:
    """Return all flags of an option; of `--x` and `--no-x` only the one named."""
    is_boolean = isinstance(action, BooleanOptionalAction)
    negative = [flag for flag in action.option_strings if is_boolean and flag.startswith("--no-")]
    if name in negative:
        return [name]
    return [flag for flag in action.option_strings if flag not in negative]
