"""Options, and what a type of options is: how a value is given, checked and shown.

The value of an option is text on a command line or in an environment variable, JSON in the
manifest, config.json and servers.toml, and a Python value in the program.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import Enum, Flag, auto
from typing import Any

from .errors import ConfigError
from .values import MISSING, field, fields_of, frozen, replace


class Place(Flag):
    """Programs that have an option. `GEAR` is the gear, and the gear for gear rules."""

    GEAR = auto()
    COMMAND = auto()
    BATCH = auto()


class Group(Enum):
    """Group of options: its title in `--help-all`, and in `--help`, which joins some."""

    FILES = ("files", "files")
    SERVER = ("DICOM server", "server")
    TLS = ("TLS and identity", "server")
    ELEMENT = ("private element", "sending")
    SENDING = ("sending", "sending")
    PROOF = ("proof of delivery", "sending")
    REPORTS = ("reports", "results")
    MESSAGES = ("messages", "results")

    def __init__(self, title: str, brief_title: str) -> None:
        """Take both titles."""
        self.title = title
        self.brief_title = brief_title


def same(value: Any) -> Any:
    """Return a value."""
    return value


@frozen(eq=False)
class OptionType:
    """Type of an option.

    Attributes:
        allowed: The allowed values, in words.
        is_valid: Returns whether JSON is allowed.
        convert: Returns the Python value for allowed JSON.
        schema: The type in a manifest; empty if no manifest has such options.
        read: Returns JSON for text, or the text itself, which is not allowed then.
        show: Returns a Python value as users write it, empty text for none.
        metavar: Stands for the value in a help text.
        is_repeatable: Whether a command line may repeat the option.
        redact: Returns what an error shows of JSON that is not allowed.
    """

    allowed: str
    is_valid: Callable[[Any], bool]
    convert: Callable[[Any], Any] = same
    schema: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Any], Any] = same
    show: Callable[[Any], str] = str
    metavar: str | None = None
    is_repeatable: bool = False
    redact: Callable[[Any], Any] = same


@frozen
class Option:
    """A row of a table of options.

    Attributes:
        default: The default in JSON. If it is not allowed, the option is required.
        text: The description in the manifests.
        command: The description in the help of `dicom-send`, if it differs.
        batch: The description in the help of `dicom-send-batch`, if it differs.
        brief: The description in the short help of `dicom-send`; without it, the option is not
            in that help.
        more: The rest of the description in the documentation.
        command_default: The default of `dicom-send`, if it differs.
        short: The short form of the flag. Those that DCMTK also has mean the same as there.
        long: The long form of the flag, if it is not made from the name.
        needs: The option without which this one has no effect.
        command_type: The type in `dicom-send`, if it differs.
    """

    name: str
    type: OptionType
    default: Any
    group: Group
    text: str
    where: Place = Place.GEAR | Place.COMMAND | Place.BATCH
    command: str = ""
    batch: str = ""
    brief: str = ""
    more: str = ""
    command_default: Any = None
    metavar: str | None = None
    short: str = ""
    long: str = ""
    needs: str = ""
    command_type: OptionType | None = None

    def of(self, place: Place) -> "Option":
        """Return the row as a program has it."""
        if place is Place.COMMAND and self.command_type:
            return replace(self, type=self.command_type)
        return self

    @property
    def flag(self) -> str:
        """The flag on a command line."""
        return self.long or flag(self.name)

    @property
    def variable(self) -> str:
        """The environment variable."""
        return f"DICOM_SEND_{self.flag[2:].replace('-', '_').upper()}"

    @property
    def default_of_command(self) -> Any:
        """The default of `dicom-send` in JSON."""
        return self.default if self.command_default is None else self.command_default

    def check(self, given: Any) -> Any:
        """Return the Python value for JSON; raise ConfigError if it is not allowed."""
        if not self.type.is_valid(given):
            raise ConfigError(self.name, self.type.redact(given), self.type.allowed)
        return self.type.convert(given)

    def show(self, value: Any) -> str:
        """Return a Python value as users write it."""
        return self.type.show(value) or "empty"


def flag(name: str) -> str:
    """Return the flag of an option: `--tls-enabled` for `tls_enabled`."""
    return f"--{name.replace('_', '-')}"


def option(group: Group, kind: OptionType, default: Any, text: str, **others: Any) -> Any:
    """Return the field of a value class for an option. The arguments are those of `Option`."""
    row = {"group": group, "type": kind, "default": default, "text": text, **others}
    value = kind.convert(default) if kind.is_valid(default) else MISSING
    return field(default=value, metadata=row)


def options_of(table: type[Any]) -> tuple[Option, ...]:
    """Return the options that are fields of a value class."""
    return tuple(Option(name=name, **row.metadata) for name, row in fields_of(table).items())


def check_all(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Python values of options from JSON; missing ones have their defaults.

    Raises ConfigError for the first value that is not allowed.
    """
    return {row.name: row.check(given.get(row.name, row.default)) for row in options}
