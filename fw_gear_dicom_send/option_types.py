"""Options, and their types: how a value is given, checked and shown.

The value of an option is text on a command line or in an environment variable, JSON in the
manifest, config.json and servers.toml, and a Python value in the program.
"""

import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields, replace
from enum import Enum, Flag, auto
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Any

from .bandwidth import Timetable
from .errors import ConfigError
from .server_url import ServerURL, is_url, without_secrets

MAX_PORT = 65535
_DAY = 86400
_MIN_RATE, _MAX_RATE = 0.1, 10_000
_MAX_HOST_NAME = 253
_MAX_FLYWHEEL_TAG = 32
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


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


def _same(value: Any) -> Any:
    return value


@dataclass(frozen=True, eq=False)
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
    convert: Callable[[Any], Any] = _same
    schema: Mapping[str, Any] = field(default_factory=dict)
    read: Callable[[Any], Any] = _same
    show: Callable[[Any], str] = str
    metavar: str | None = None
    is_repeatable: bool = False
    redact: Callable[[Any], Any] = _same


@dataclass(frozen=True)
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
    """Return the field of a dataclass for an option. The arguments are those of `Option`."""
    row = {"group": group, "type": kind, "default": default, "text": text, **others}
    value = kind.convert(default) if kind.is_valid(default) else MISSING
    return field(default=value, metadata=row)


def options_of(table: type[Any]) -> tuple[Option, ...]:
    """Return the options that are fields of a dataclass."""
    return tuple(Option(name=row.name, **row.metadata) for row in fields(table))


def check_all(options: Iterable[Option], given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the Python values of options from JSON; missing ones have their defaults.

    Raises ConfigError for the first value that is not allowed.
    """
    return {row.name: row.check(given.get(row.name, row.default)) for row in options}


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def whole(minimum: int, maximum: int, zero: str = "0") -> OptionType:
    """Return the type of a whole number; `zero` is shown instead of 0."""
    return OptionType(
        f"a whole number from {minimum} to {maximum}",
        lambda given: type(given) is int and minimum <= given <= maximum,
        schema={"type": "integer", "minimum": minimum, "maximum": maximum},
        read=_number,
        show=lambda value: str(value or zero),
        metavar="N",
    )


def seconds(minimum: int = 0) -> OptionType:
    """Return the type of a time of at most a day."""
    return replace(
        whole(minimum, _DAY),
        allowed=f"a number of seconds from {minimum} to {_DAY}",
        is_valid=lambda given: type(given) in (int, float) and minimum <= given <= _DAY,
        convert=float,
        show=lambda value: f"{value:g} s",
        metavar="SECONDS",
    )


def choice(values: Iterable[str], metavar: str | None = None) -> OptionType:
    """Return the type of a choice between texts, which may be those of an enum."""
    known = {str(value): value for value in values}
    return OptionType(
        f"one of {'; '.join(known)}",
        lambda given: isinstance(given, str) and given in known,
        lambda given: known[given],
        {"type": "string", "enum": list(known)},
        metavar=metavar,
    )


def several(max_length: int, metavar: str) -> OptionType:
    """Return the type of several values, separated by commas. Empty ones are ignored."""
    return OptionType(
        f"text of at most {max_length} characters, several values separated by commas",
        lambda given: isinstance(given, str) and len(given) <= max_length,
        lambda given: tuple(part for one in given.split(",") if (part := one.strip())),
        {"type": "string", "maxLength": max_length},
        lambda given: ",".join(given) if isinstance(given, list) else given,
        ", ".join,
        metavar,
        is_repeatable=True,
    )


def plain(max_length: int, metavar: str, *, may_be_empty: bool = False) -> OptionType:
    """Return the type of text of VR AE or LO in the default repertoire (PS3.5 6.1, 6.2).

    Spaces around it do not count.
    """

    def is_valid(given: Any) -> bool:
        text = given.strip(" ") if isinstance(given, str) else ""
        is_plain = text.isascii() and text.isprintable() and "\\" not in text
        return (is_plain and 0 < len(text) <= max_length) or (may_be_empty and given == "")

    return OptionType(
        f"1 to {max_length} ASCII characters, no backslash and no control character",
        is_valid,
        lambda given: given.strip(" "),
        {"type": "string", **({} if may_be_empty else {"minLength": 1}), "maxLength": max_length},
        metavar=metavar,
    )


def _host(given: Any) -> str:
    text = given.strip() if isinstance(given, str) else ""
    return text[1:-1] if text.startswith("[") and text.endswith("]") else text


def _is_host(given: Any) -> bool:
    host = _host(given)
    is_plain = host.isprintable() and not set(host) & set(" /\\@?#[]")
    return is_plain and 0 < len(host) <= _MAX_HOST_NAME and (":" not in host or _is_ipv6(host))


def _is_ipv6(host: str) -> bool:
    try:
        IPv6Address(host)
    except AddressValueError:
        return False
    return True


def _group(given: Any) -> Any:
    """Return a group from hexadecimal text or a number, or else what was given."""
    try:
        return int(given, 16) if isinstance(given, str) else given
    except ValueError:
        return given


def _is_private(given: Any) -> bool:
    """Return whether a group may have private elements (PS3.5 7.8)."""
    group = _group(given)
    return type(group) is int and group in range(0x0009, 0xFFFF, 2)


def _is_rate(given: float) -> bool:
    return given == 0 or _MIN_RATE <= given <= _MAX_RATE


def _is_timetable(given: str) -> bool:
    try:
        return all(map(_is_rate, Timetable(given).limits))
    except ValueError:
        return False


def _is_flywheel_tag(given: Any) -> bool:
    tag = given.strip() if isinstance(given, str) else "\n"
    return tag.isprintable() and len(tag) <= _MAX_FLYWHEEL_TAG


BOOLEAN = OptionType(
    "true or false",
    lambda given: isinstance(given, bool),
    schema={"type": "boolean"},
    read=lambda given: _BOOLEANS.get(str(given).lower(), given),
    show=lambda value: str(value).lower(),
)
SWITCH = OptionType("true or false", BOOLEAN.is_valid, read=BOOLEAN.read)
"""A boolean that a command line can only turn on."""
HOST = OptionType(
    "a host name, or an IPv4 or IPv6 address, without port; or a URL http://host/path or "
    "https://host/path, without user and query",
    lambda given: bool(ServerURL.of(given)) if is_url(given) else _is_host(given),
    lambda given: str(ServerURL.of(given)) if is_url(given) else _host(given),
    {"type": "string"},
    metavar="HOST",
    redact=lambda given: without_secrets(given) if isinstance(given, str) else given,
)
PRIVATE_GROUP = OptionType(
    "an odd group from 0x0009 to 0xFFFD, as hexadecimal text or a number",
    _is_private,
    _group,
    {"type": "string"},
    show=lambda value: f"0x{value:04X}",
    metavar="GGGG",
)
RATE = OptionType(
    f"0 for no limit, or {_MIN_RATE:g} to {_MAX_RATE} MB/s",
    lambda given: type(given) in (int, float) and _is_rate(given),
    float,
    {"type": "number", "minimum": 0, "maximum": _MAX_RATE},
    _number,
    lambda value: value if isinstance(value, str) else f"{value:g} MB/s" if value else "no limit",
    "MB/S",
)
TIMETABLE = replace(
    RATE,
    allowed=f"{RATE.allowed}, or a timetable: '08:00 2, 18:00 off'",
    is_valid=lambda given: _is_timetable(given) if isinstance(given, str) else RATE.is_valid(given),
    convert=_same,
)
"""A rate, or a timetable as text."""
FLYWHEEL_TAG = OptionType(
    f"a tag of at most {_MAX_FLYWHEEL_TAG} characters, or none",
    _is_flywheel_tag,
    str.strip,
    {"type": "string", "maxLength": _MAX_FLYWHEEL_TAG},
    metavar="TAG",
)
FILE = OptionType(
    "a path",
    lambda given: given is None or isinstance(given, str | Path),
    lambda given: None if given is None else Path(given),
    metavar="FILE",
)
FOLDER = replace(FILE, metavar="FOLDER")
LIST = replace(FILE, convert=_same, metavar="LIST")
"""A file or -, which are different from each other only as text: ./- is a file."""
FILES = OptionType(
    "paths",
    lambda given: isinstance(given, list),
    lambda given: tuple(map(Path, given)),
    read=lambda given: given if isinstance(given, list) else given.split(os.pathsep),
    metavar="FILE",
    is_repeatable=True,
)
