"""Parser of a command line whose missing options come from environment variables."""

import logging
import os
from argparse import SUPPRESS, Action, ArgumentParser, BooleanOptionalAction
from argparse import RawDescriptionHelpFormatter as Formatter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import pairwise
from typing import Any, ClassVar, NoReturn

from ..errors import UsageError
from ..option_types import Option, Place
from ..option_values import BOOLEAN, SWITCH
from ..values import frozen
from .completion import COMPLETE_WORD, COMPLETIONS
from .options import naming, with_flags
from .suggestions import similar

log = logging.getLogger(__name__)


@frozen
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

    def add_paths(self) -> None:
        """Add the paths to read, with the server as the last word."""
        self.add_argument(
            "words",
            nargs="*",
            metavar="PATH",
            help="A file, a folder or an archive. The last argument is the server: AE@HOST:PORT, a "
            "URL, or a name in servers.toml.",
        ).complete = COMPLETE_WORD  # type: ignore[attr-defined]

    def add_options(
        self, title: str, options: Iterable[Option], text: Callable[[Option], str] | None = None
    ) -> None:
        """Add rows to a new group; `text` returns their descriptions, by default those for help."""
        group, text = self.add_argument_group(title), text or partial(_help, self.place)
        for row in (one.of(self.place) for one in options):
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
        self._check_switches(argv)
        namespace, unknown = self.parse_known_intermixed_args(argv)
        if unknown:
            self.error(self.unknown(unknown))
        given = vars(namespace)
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

    def warn_of_variables(self) -> None:
        """Log the environment variables that look like options, but are none."""
        known = [row.variable for row in self.options]
        for name in sorted(os.environ.keys() - set(known)):
            if name.startswith("DICOM_SEND_"):
                meant = similar(name, known)
                log.warning("%s: unknown option%s; see dicom-send --help-all", name, meant)

    def _check_switches(self, argv: Sequence[str]) -> None:
        """Raise UsageError for the value of an option that takes none, as in `--stamp false`."""
        rows = [row for row in self.options if row.type in (BOOLEAN, SWITCH)]
        switches = {name: row for row in rows for name in (row.flag, row.short)}
        for word, following in pairwise([*argv, ""]):
            name, _, value = word.partition("=")
            row = switches.get(name) if name else None
            value = value or ("" if os.path.lexists(following) else following)
            is_on = BOOLEAN.read(value)
            if row and isinstance(is_on, bool):
                off = f"write --no{row.flag[1:]}" if row.type is BOOLEAN else "leave it out"
                self.error(f"{name} takes no value: {f'write {name}' if is_on else off}")

    def unknown(self, words: Sequence[str]) -> str:
        """Return the error for unknown options, or for words that are too many."""
        name = words[0].partition("=")[0]
        if not name.startswith("-"):
            return f"too many arguments: {' '.join(words)}"
        return f"unknown option {name}{similar(name, self._option_string_actions)}"


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
    text = with_flags(text)
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
