"""Parser of a command line whose missing options come from environment variables."""

import os
from argparse import SUPPRESS, Action, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NoReturn

from ..errors import UsageError
from .environment import value_of, variable


@dataclass(frozen=True)
class Group:
    """Options below a common title."""

    title: str
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Arguments:
    """Values from a command line and the environment.

    `typed` has the names of the options on the command line. `variables` maps the names of
    options from the environment to their environment variables.
    """

    values: Namespace
    typed: frozenset[str]
    variables: Mapping[str, str]


class Parser(ArgumentParser):
    """Parser that raises UsageError instead of ending the process."""

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
            formatter_class=partial(RawDescriptionHelpFormatter, max_help_position=32),
            allow_abbrev=False,
            add_help=False,
            **kwargs,
        )
        if add_help:
            self.add_argument("-h", "--help", action="help", default=SUPPRESS, help="Show help.")

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def groups(self) -> list[Group]:
        """Return the options in their groups."""
        return [
            Group(str(group.title), tuple(group._group_actions)) for group in self._action_groups
        ]

    def read(self, argv: Sequence[str]) -> Arguments:
        """Parse a command line; missing options come from the environment or are defaults.

        Options and paths may alternate. Raises UsageError.
        """
        names = [action.dest for action in self._actions if action.dest != SUPPRESS]
        blank = Namespace(**dict.fromkeys(names))
        values = self.parse_intermixed_args(argv, blank)
        typed = frozenset(name for name, value in vars(values).items() if value is not None)
        variables = {}
        for action in self._actions:
            if action.dest == SUPPRESS or action.dest in typed:
                continue
            name = variable(action)
            if given := os.environ.get(name):
                setattr(values, action.dest, value_of(name, given, action))
                variables[action.dest] = name
            elif action.default is not SUPPRESS:
                setattr(values, action.dest, action.default)
        return Arguments(values, typed, variables)
