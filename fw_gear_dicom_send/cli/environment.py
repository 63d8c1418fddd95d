"""Environment variables that set options: `DICOM_SEND_VERIFY` sets `--verify`."""

import os
from argparse import SUPPRESS, Action
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from ..errors import UsageError
from .options import REPEATABLE

_PREFIX = "DICOM_SEND_"
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


def variable(action: Action) -> str:
    """Return the environment variable of an option, or an empty string if it has none."""
    long = [flag for flag in action.option_strings if flag.startswith("--")]
    if not long or action.default is SUPPRESS:
        return ""
    return _variable(long[0])


def unknown_variables(actions: Iterable[Action]) -> list[str]:
    """Return the variables that have the prefix but belong to none of the options."""
    known = set(map(variable, actions))
    return sorted(name for name in os.environ if name.startswith(_PREFIX) and name not in known)


def is_on(option: str, argv: Sequence[str]) -> bool:
    """Return whether a switch such as `--json` is set. The command line need not be parsed yet."""
    given = os.environ.get(_variable(option), "")
    return option in argv or _BOOLEANS.get(given.lower(), False)


def value_of(name: str, given: str, action: Action) -> Any:
    """Return the value of an option from its variable; raise UsageError for an invalid value."""
    if action.nargs == 0:
        if given.lower() not in _BOOLEANS:
            raise UsageError(f"{name}: {given!r} was given; allowed: true or false")
        return _BOOLEANS[given.lower()]
    is_list = isinstance(action.default, list) and action.type is Path
    values: list[Any] = given.split(os.pathsep) if is_list else [given]
    if callable(action.type):
        try:
            values = [action.type(value) for value in values]
        except ValueError as exc:
            raise UsageError(f"{name}: {given!r} was given; allowed: a number") from exc
    if action.choices and values[0] not in action.choices:
        allowed = ", ".join(action.choices)
        raise UsageError(f"{name}: {given!r} was given; allowed: {allowed}")
    return values if is_list or action.dest in REPEATABLE else values[0]


def _variable(flag: str) -> str:
    return _PREFIX + flag.removeprefix("--").replace("-", "_").upper()
