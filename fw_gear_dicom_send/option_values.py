"""Values of options: their types, and those that the program decides by."""

import os
from collections.abc import Iterable
from enum import StrEnum
from ipaddress import AddressValueError, IPv6Address
from pathlib import Path
from typing import Any

from .bandwidth import Timetable
from .option_types import OptionType, same
from .report_names import Report
from .server_url import ServerURL, is_url, without_secrets
from .values import replace

MAX_PORT = 65535
_DAY = 86400
_MIN_RATE, _MAX_RATE = 0.1, 10_000
_MAX_HOST_NAME = 253
_MAX_FLYWHEEL_TAG = 32
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}


class Auto(StrEnum):
    """Value of an option that the program decides itself."""

    AUTO = "auto"


class OnConflict(StrEnum):
    """What happens to an image whose UID a DICOMweb server has, but cannot store again."""

    REPORT = "report"
    REPLACE = "replace"


class ConversionMode(StrEnum):
    """When to change the transfer syntax of an image."""

    WHEN_NEEDED = "when needed"
    NEVER = "never"
    UNCOMPRESSED = "uncompressed"
    LOSSLESS = "lossless"


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


def automatic(maximum: int) -> OptionType:
    """Return the type of a whole number that is 0, or `auto`, if the program decides it."""
    number = whole(0, maximum, zero=Auto.AUTO)
    return replace(
        number,
        allowed=f"auto, or a whole number from 1 to {maximum}; 0 is auto",
        is_valid=lambda given: given == Auto.AUTO or number.is_valid(given),
        convert=lambda given: 0 if given == Auto.AUTO else given,
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


def _names(given: str) -> set[str]:
    """Return the names in a choice of reports, in lower case; `none` alone is no name."""
    names = {name.strip().lower() for name in given.split(",")} - {""}
    return set() if names == {"none"} else names


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
    convert=same,
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
LIST = replace(FILE, convert=same, metavar="LIST")
"""A file or -, which are different from each other only as text: ./- is a file."""
FILES = OptionType(
    "paths",
    lambda given: isinstance(given, list),
    lambda given: tuple(map(Path, given)),
    read=lambda given: given if isinstance(given, list) else given.split(os.pathsep),
    metavar="FILE",
    is_repeatable=True,
)
_NUMBERS = {str(value): value for value in (Auto.AUTO, *range(1, 101))}
NUMBER_OR_AUTO = OptionType(
    "auto, or a whole number from 1 to 100",
    lambda given: str(given) in _NUMBERS,
    lambda given: _NUMBERS[str(given)],
    {"type": "string"},
    metavar="N",
)
REPORT_FILES = OptionType(
    f"none, or some of {', '.join(sorted(Report))}, separated by commas",
    lambda given: isinstance(given, str) and _names(given) <= {*Report},
    lambda given: tuple(one for one in sorted(Report) if one in _names(given)),
    {"type": "string"},
    show=lambda value: ", ".join(value) or "none",
    metavar="REPORTS",
)
AE = plain(16, "AE")
AE_OR_NONE = plain(16, "AE", may_be_empty=True)
LO = plain(64, "TEXT")
TLS_PROFILE = choice(
    (
        "BCP 195",
        "BCP 195 RFC 8996, 9325",
        "Modified BCP 195 RFC 8996, 9325",
        "Non-downgrading BCP 195",
        "Extended BCP 195",
    ),
    "PROFILE",
)
