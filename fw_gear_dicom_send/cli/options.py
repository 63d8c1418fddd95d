"""The gear's options on a command line: the manifest's, in groups, with dashes."""

import json
import os
import re
from argparse import (
    SUPPRESS,
    Action,
    ArgumentParser,
    BooleanOptionalAction,
    Namespace,
    RawDescriptionHelpFormatter,
    _ArgumentGroup,
)
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from .. import __version__
from ..config import Option, manifest, options
from ..errors import ConfigError, UsageError
from .console import write

CONNECTION = ("destination", "port", "called_ae", "calling_ae")
TLS = (
    "tls_enabled",
    "tls_security_profile",
    "tls_require_peer_cert",
    "tls_check_hostname",
    "identity_without_tls",
)
TAG = ("group", "identifier", "tag_value")
SENDING = (
    "associations",
    "send_retry_time",
    "response_timeout",
    "bandwidth_limit",
    "conversion",
    "max_images_per_association",
)
PROOF = ("verify", "skip_existing", "query_ae", "query_port", "dry_run")
REPORTS = ("report", "instance_report", "html_report", "summary_report", "show_member_names")
NAMES = ("include", "exclude")
FILES = ("file_types", *NAMES, "modality", "file_tags")
"""Options that go together; each name is one of the manifest."""

_FILES = {
    "key": "Private key of this computer, an unencrypted PEM file.",
    "cert": "Certificate of this computer, a PEM file, with its chain if it has one.",
    "add_cert_file": "A PEM file with additional CA certificates to trust. Needed if the server's "
    "certificate is not signed by a public CA.",
    "identity": "A JSON file with a user identity for the server: username, username and password, "
    "jwt, saml or kerberos.",
}
INPUTS = tuple(_FILES)
"""Inputs of the gear that are files on the command line."""
_WORDS = {
    "tls_enabled": "Encrypt all connections to the server with TLS. Add --key and --cert if "
    "the server asks for a certificate.",
    "tls_require_peer_cert": "Send only to a server whose certificate is signed by a trusted CA: a "
    "public one, or one in --add-cert-file. If false, any certificate is accepted.",
    "tls_check_hostname": "With --add-cert-file, also check that the server's certificate matches "
    "HOST. Certificates of public CAs are always checked.",
}
"""What the manifest says in words that are a gear's."""
_METAVARS = {
    "destination": "HOST",
    "port": "N",
    "called_ae": "AE",
    "calling_ae": "AE",
    "group": "GGGG",
    "identifier": "TEXT",
    "tag_value": "TEXT",
    "associations": "N",
    "send_retry_time": "SECONDS",
    "response_timeout": "SECONDS",
    "bandwidth_limit": "MB/S",
    "max_images_per_association": "N",
    "query_ae": "AE",
    "query_port": "N",
    "downloads": "N",
    "file_download_retry_time": "SECONDS",
    "sent_tag": "TAG",
    "include": "GLOB",
    "exclude": "GLOB",
    "modality": "MODALITY",
    "file_tags": "TAG",
    "tls_security_profile": "PROFILE",
}
_SHORT = {
    "called_ae": "-aec",
    "calling_ae": "-aet",
    "associations": "-j",
    "dry_run": "-n",
    "debug": "-v",
}
"""Short options of `dicom-send`, of which those that DCMTK has mean the same there."""
_VARIABLES = "DICOM_SEND_"
_BOOLEANS = {"1": True, "true": True, "yes": True, "0": False, "false": False, "no": False}
_SEVERAL = (*NAMES, "modality", "file_tags")
"""Options that may be given repeatedly, which is the same as with commas."""
_NUMBERS = {"integer": int, "number": float}

_DEFAULT = "_dicom_send_default"
COMPLETE_FILE = {"bash": _DEFAULT, "zsh": "_files", "tcsh": "f"}
COMPLETE_FILE |= {
    "fish": "(__fish_complete_path (commandline -ct))",
    "powershell": "_shtab_powershell_compgen_files",
}
COMPLETE_FOLDER = COMPLETE_FILE | {
    "zsh": "_files -/",
    "fish": "(__fish_complete_directories)",
    "powershell": "_shtab_powershell_compgen_dirs",
    "tcsh": "d",
}
COMPLETE_FIRST = COMPLETE_FILE | {
    "zsh": "_dicom_send_first",
    "fish": "(__fish_complete_path (commandline -ct); printf 'echo\\nservers\\n')",
}
"""How a shell completes a file, a folder, or what comes first. Bash does it as without a script."""
SHELLS = ("bash", "zsh", "tcsh", "fish", "powershell")
"""The shells that shtab writes scripts for."""


class Parser(ArgumentParser):
    """Raises UsageError instead of ending the process."""

    def __init__(self, prog: str, description: str, epilog: str = "", **how: Any) -> None:
        """Take `--help`, and keep the lines of the text as they are."""
        super().__init__(
            prog=prog,
            description=description,
            epilog=epilog,
            formatter_class=partial(RawDescriptionHelpFormatter, max_help_position=32),
            allow_abbrev=False,
            **how,
        )

    def error(self, message: str) -> NoReturn:
        """Raise UsageError."""
        raise UsageError(f"{message}; see {self.prog} --help")

    def groups(self) -> "list[Group]":
        """Return the options in their groups."""
        return [
            Group(str(group.title), tuple(group._group_actions)) for group in self._action_groups
        ]

    def read(self, argv: Sequence[str]) -> "Arguments":
        """Parse a command line; what it lacks comes from the environment, else is the default.

        Options and paths may alternate. Raises UsageError.
        """
        blank = Namespace(**{one.dest: None for one in self._actions if one.dest != SUPPRESS})
        values = self.parse_intermixed_args(argv, blank)
        typed = frozenset(name for name, value in vars(values).items() if value is not None)
        variables = {}
        for action in self._actions:
            if action.dest == SUPPRESS or action.dest in typed:
                continue
            name = variable(action)
            if given := os.environ.get(name):
                setattr(values, action.dest, _of_variable(name, given, action))
                variables[action.dest] = name
            elif action.default is not SUPPRESS:
                setattr(values, action.dest, action.default)
        return Arguments(values, typed, variables)


@dataclass(frozen=True)
class Group:
    """Options that stand together, below a title."""

    title: str
    actions: tuple[Action, ...]


@dataclass(frozen=True)
class Arguments:
    """What a command line and the environment give.

    `typed` are the names of those of the command line; `variables` are the environment variables
    of those from there.
    """

    values: Namespace
    typed: frozenset[str]
    variables: Mapping[str, str]


def unknown_variables(parser: Parser) -> list[str]:
    """Return the variables that look like options of a parser, but are none."""
    known = {variable(action) for group in parser.groups() for action in group.actions}
    return sorted(name for name in os.environ if name.startswith(_VARIABLES) and name not in known)


def variable(action: Action) -> str:
    """Return the environment variable of an option, empty where it has none."""
    long = [one for one in action.option_strings if one.startswith("--")]
    if not long or action.default is SUPPRESS:
        return ""
    return _VARIABLES + long[0].removeprefix("--").replace("-", "_").upper()


def is_on(option: str, argv: Sequence[str]) -> bool:
    """Tell whether an option without a value is set, before the command line is parsed."""
    given = os.environ.get(_VARIABLES + option.removeprefix("--").replace("-", "_").upper(), "")
    return option in argv or _BOOLEANS.get(given.lower(), False)


def _of_variable(name: str, given: str, action: Action) -> Any:
    """Return the value of an option by its variable; raise UsageError if it cannot be one."""
    if action.nargs == 0:
        if given.lower() not in _BOOLEANS:
            raise UsageError(f"{name}: {given!r} was given; allowed: true or false")
        return _BOOLEANS[given.lower()]
    several = isinstance(action.default, list) and action.type is Path
    values: list[Any] = given.split(os.pathsep) if several else [given]
    if callable(action.type):
        try:
            values = [action.type(value) for value in values]
        except ValueError as exc:
            raise UsageError(f"{name}: {given!r} was given; allowed: a number") from exc
    if action.choices and values[0] not in action.choices:
        raise UsageError(f"{name}: {given!r} was given; allowed: {', '.join(action.choices)}")
    return values if several or action.dest in _SEVERAL else values[0]


Brief = Mapping[str, Mapping[str, str]]
"""Groups of options for `--help`: titles, and a few words for each option."""


class _Help(Action):
    """Prints the help of the options that most users need, and ends the process."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,  # noqa: ARG002
        values: Any,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Print it."""
        description, brief, epilog = self.const
        known = {flag: one for one in parser._actions for flag in one.option_strings}
        shown = Parser(parser.prog, description, epilog, usage=parser.usage, add_help=False)
        for title, words in brief.items():
            group = shown.add_argument_group(title)
            for name, text in words.items():
                action = known[name]
                flags = (
                    [name]
                    if name in (negative := _negatives(action))
                    else [flag for flag in action.option_strings if flag not in negative]
                )
                how: dict[str, Any] = {"action": "store_true"}
                if action.nargs != 0:
                    how = {"metavar": action.metavar, "choices": action.choices}
                group.add_argument(*flags, help=text, **how)
        write(shown.format_help())
        parser.exit()


def _negatives(action: Action) -> list[str]:
    is_boolean = isinstance(action, BooleanOptionalAction)
    return [flag for flag in action.option_strings if is_boolean and flag.startswith("--no-")]


class _HelpAll(Action):
    """Prints the help of all options, and ends the process."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,  # noqa: ARG002
        values: Any,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Print it."""
        write(self.const().format_help())
        parser.exit()


def add_help(
    parser: ArgumentParser,
    brief: tuple[str, Brief, str],
    whole: Callable[[], ArgumentParser],
) -> None:
    """Add `--help`, with a description, options and an end in `brief`, and `--help-all`."""
    help_ = parser.add_argument_group("help")
    how: dict[str, Any] = {"nargs": 0, "default": SUPPRESS}
    text = "Show the options that most users need."
    help_.add_argument("-h", "--help", action=_Help, const=brief, help=text, **how)
    help_.add_argument("--help-all", action=_HelpAll, const=whole, help="Show all options.", **how)


class _PrintCompletion(Action):
    """Prints a script that completes the parser's options, and ends the process."""

    def __call__(
        self,
        parser: ArgumentParser,
        namespace: Namespace,  # noqa: ARG002
        values: Any,
        option_string: str | None = None,  # noqa: ARG002
    ) -> NoReturn:
        """Print the script for the shell `values`."""
        complete: Callable[[str], str] = self.const
        write(complete(values))
        parser.exit()


def add_version(parser: ArgumentParser) -> None:
    """Add `--version`."""
    parser.add_argument("--version", action="version", version=f"dicom-send {__version__}")


def add_completion(parser: ArgumentParser, script: Callable[[str], str]) -> None:
    """Add the option that prints the `script` for a shell."""
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        const=script,
        choices=SHELLS,
        default=SUPPRESS,
        help="Print a completion script for a shell.",
    )


def add_group(
    parser: ArgumentParser,
    title: str,
    names: Iterable[str],
    words: Mapping[str, str] | None = None,
    *,
    short: bool = False,
) -> None:
    """Add a group of the manifest's options, with `words` instead of what it says of them."""
    fill(parser.add_argument_group(title), names, words, short=short)


def fill(
    group: _ArgumentGroup,
    names: Iterable[str],
    words: Mapping[str, str] | None = None,
    *,
    short: bool = False,
) -> None:
    """Add options of the manifest to a group, with their `short` forms where they have one."""
    known = {option.name: option for option in options(manifest())}
    for name in names:
        option = known[name]
        text = _with_flags({**_WORDS, **(words or {})}.get(name, option.description), known)
        flags = [_SHORT[name], flag(name)] if short and name in _SHORT else [flag(name)]
        group.add_argument(*flags, dest=name, help=_help(text, option), **_how(option))


def _with_flags(text: str, names: Iterable[str]) -> str:
    """Return a text in which options that are named have dashes."""
    for name in names:
        if "_" in name:
            text = re.sub(rf"\b{name}\b", flag(name), text)
    return text


def add_tls(parser: ArgumentParser) -> None:
    """Add the options for TLS and identity, and those that name files, the gear's inputs."""
    group = parser.add_argument_group("TLS and identity")
    fill(group, TLS)
    for name, text in _FILES.items():
        file = group.add_argument(flag(name), metavar="FILE", type=Path, dest=name, help=text)
        file.complete = COMPLETE_FILE  # type: ignore[attr-defined]


def add_server(parser: ArgumentParser, words: Mapping[str, str] | None = None) -> None:
    """Add the options that name the server."""
    group = parser.add_argument_group("DICOM server")
    group.add_argument(
        "--server",
        metavar="SERVER",
        help="AE@host:port, or a name in servers.toml. Same as the last argument.",
    )
    fill(group, CONNECTION, words, short=True)


def as_inputs(paths: Mapping[str, Path | None], origins: Mapping[str, str]) -> dict[str, Any]:
    """Return files as the gear's inputs; raise UsageError for one that is not there."""
    for name, path in paths.items():
        if path and not path.is_file():
            raise UsageError(f"{origins.get(name, flag(name))}: {path}: there is no such file")
    return {name: {"location": {"path": str(path)}} for name, path in paths.items() if path}


def add_report_folder(parser: ArgumentParser, what: str) -> None:
    """Add the option that says where to write `what`."""
    parser.add_argument(
        "--report-folder",
        metavar="FOLDER",
        type=Path,
        default=Path(),
        help=f"Folder for {what}. Default: the current folder.",
    ).complete = COMPLETE_FOLDER  # type: ignore[attr-defined]


def report_folder(namespace: Namespace) -> Path:
    """Return the folder for reports, made if it is not there; raise UsageError if it cannot be."""
    folder: Path = namespace.report_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"--report-folder: {exc.strerror}") from exc
    return folder


def given(namespace: Namespace) -> dict[str, Any]:
    """Return those of the manifest's options that were given."""
    values = {option.name: getattr(namespace, option.name, None) for option in options(manifest())}
    joined = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return {name: value for name, value in joined.items() if value is not None}


def flag(name: str) -> str:
    """Return an option as it is on the command line."""
    return f"--{name.replace('_', '-')}"


def as_usage(error: ConfigError, origins: Mapping[str, str]) -> UsageError:
    """Return an error that names the option by its origin, or as it is on the command line."""
    name = origins.get(error.option, flag(error.option))
    if error.given is None:
        return UsageError(f"{name} is needed: {error.allowed}")
    return UsageError(f"{name}: {error.given!r} was given; allowed: {error.allowed}")


def _how(option: Option) -> dict[str, Any]:
    if option.type == "boolean":
        return {"action": BooleanOptionalAction, "default": None}
    how: dict[str, Any] = {"metavar": _METAVARS.get(option.name)}
    if option.name in _SEVERAL:
        how["action"] = "append"
    if option.type in _NUMBERS:
        how["type"] = _NUMBERS[option.type]
    if option.choices:
        how["choices"] = option.choices
    return how


def _help(text: str, option: Option) -> str:
    words = text.replace("%", "%%")
    is_hidden = option.choices and option.name in _METAVARS
    choices = f" One of: {'; '.join(option.choices)}." if is_hidden else ""
    if option.default is None:
        return f"{words}{choices} Needed."
    default = json.dumps(option.default) if option.type == "boolean" else option.default
    if option.name in _SEVERAL:
        return f"{words} Repeatable."
    if option.default == "":
        return f"{words}{choices}"
    return f"{words}{choices} Default: {default}."
