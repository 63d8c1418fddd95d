"""Parser of a command line whose missing options come from environment variables."""

import os
import re
from argparse import SUPPRESS, Action, ArgumentParser, BooleanOptionalAction
from argparse import RawDescriptionHelpFormatter as Formatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, ClassVar, NoReturn

from ..errors import UsageError
from ..option_types import BOOLEAN, SWITCH, Option, Place
from ..options import OPTIONS
from .completion import COMPLETIONS
from .options import naming

_FLAGS = {one.name: one.flag for one in OPTIONS if "_" in one.name}


@dataclass(frozen=True)
class Arguments:
    """A command line, with options from the environment.

    `words` are the positional arguments, `values` the given options in JSON. `typed` has the names
    of the options on the command line, `variables` those of the environment variables by option.
    """

    words: Sequence[str]
    values: Mapping[str, Any]
    typed: frozenset[str]
    variables: Mapping[str, str]


class Parser(ArgumentParser):
    """Parser of a program that has rows of the table of options.

    It raises UsageError instead of ending the process. `options` are the rows. `groups` has all
    arguments by the title of their group.
    """

    place: ClassVar[Place] = Place.COMMAND

    def __init__(
        self,
        prog: str,
        description: str,
        epilog: str = "",
        *,
        add_help: bool = True,
        **kwargs: Any,
    ) -> None:
        """Create a parser that keeps the lines of its texts, with or without `--help`."""
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=partial(Formatter, max_help_position=32),
            allow_abbrev=False,
            add_help=False,
            **kwargs,
        )
        self.options: list[Option] = []
        self.groups: dict[str, list[Action]] = {}
        if add_help:
            self.add_argument("-h", "--help", action="help", default=SUPPRESS, help="Show help.")

    def add_argument(self, *names: Any, **kwargs: Any) -> Action:
        """Add an argument that is no row."""
        action = super().add_argument(*names, **kwargs)
        self.groups.setdefault("options" if action.option_strings else "arguments", []).append(
            action
        )
        return action

    def add_options(
        self, title: str, options: Iterable[Option], text: Callable[[Option], str] | None = None
    ) -> None:
        """Add rows to a new group; `text` returns their descriptions, by default those for help."""
        group, text = self.add_argument_group(title), text or partial(_help, self.place)
        for row in options:
            flags = (row.short, row.flag) if row.short and self.place is Place.COMMAND else ()
            action = group.add_argument(
                *(flags or (row.flag,)),
                dest=row.name,
                default=SUPPRESS,
                help=text(row).replace("%", "%%"),
                **_how(row),
            )
            if completion := COMPLETIONS.get(row.type):
                action.complete = completion  # type: ignore[attr-defined]
            self.options.append(row)
            self.groups.setdefault(title, []).append(action)

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def read(self, argv: Sequence[str]) -> Arguments:
        """Parse and check a command line; options and words may alternate. Raises UsageError."""
        given = vars(self.parse_intermixed_args(argv))
        rows = {row.name: row for row in self.options}
        typed = {name: rows[name].type.read(given[name]) for name in rows if name in given}
        variables = {
            name: row.variable
            for name, row in rows.items()
            if name not in typed and os.environ.get(row.variable)
        }
        read = {name: rows[name].type.read(os.environ[variables[name]]) for name in variables}
        values = typed | read
        with naming(variables):
            for name, value in values.items():
                rows[name].check(value)
        words = given.get("words") or ()
        words = [words] if isinstance(words, str) else words
        return Arguments(words, values, frozenset(typed), variables)

    def unknown_variables(self) -> list[str]:
        """Return the environment variables that look like options, but are none."""
        known = {row.variable for row in self.options}
        return sorted(name for name in os.environ.keys() - known if name.startswith("DICOM_SEND_"))


def is_on(switch: Option, argv: Sequence[str]) -> bool:
    """Return whether a switch is on; the command line may be invalid."""
    return switch.flag in argv or SWITCH.read(os.environ.get(switch.variable, "")) is True


def _how(row: Option) -> dict[str, Any]:
    if row.type in (BOOLEAN, SWITCH):
        return {"action": BooleanOptionalAction if row.type is BOOLEAN else "store_true"}
    return {
        "action": "append" if row.type.is_repeatable else "store",
        "metavar": row.metavar or row.type.metavar,
        "choices": row.type.schema.get("enum"),
    }


def _help(place: Place, row: Option) -> str:
    """Return a description with the choices, unless they are in the usage, and the default."""
    is_command = place is Place.COMMAND
    text = (row.command if is_command else row.batch) or row.text
    text = re.sub(r"\w+", lambda word: _FLAGS.get(word[0], word[0]), text)
    if row.type.metavar and (choices := row.type.schema.get("enum")):
        text += f" One of: {'; '.join(choices)}."
    default = row.default_of_command if is_command else row.default
    if row.type.is_repeatable:
        return f"{text} Repeatable."
    if default is None and not is_command and not row.type.is_valid(None):
        return f"{text} Required."
    if default in (None, "") or row.type is SWITCH:
        return text
    shown = BOOLEAN.show(default) if row.type is BOOLEAN else default
    return f"{text} Default: {shown}."
