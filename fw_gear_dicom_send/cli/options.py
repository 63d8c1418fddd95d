"""The manifest's options on a command line: in groups, with dashes."""

import json
import logging
import os
import re
import stat
from argparse import ArgumentParser, BooleanOptionalAction, Namespace, _ArgumentGroup
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from ..config import Option, manifest, options
from ..errors import ConfigError, UsageError
from ..text import printable
from .shells import COMPLETE_FILE, COMPLETE_FOLDER

log = logging.getLogger(__name__)

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
"""Names of the manifest's options, in groups."""

_FILES = {
    "key": "Private key of this computer, an unencrypted PEM file.",
    "cert": "Certificate of this computer, a PEM file, with its chain if it has one.",
    "add_cert_file": "A PEM file with additional CA certificates to trust. Needed if the server's "
    "certificate is not signed by a public CA.",
    "identity": "A JSON file with a user identity for the server: username, username and password, "
    "jwt, saml or kerberos.",
}
INPUTS = tuple(_FILES)
"""Inputs of the gear, which are files on the command line."""
_SECRETS = ("key", "identity")
_TEXTS = {
    "tls_enabled": "Encrypt all connections to the server with TLS. Add --key and --cert if "
    "the server asks for a certificate.",
    "tls_require_peer_cert": "Send only to a server whose certificate is signed by a trusted CA: a "
    "public one, or one in --add-cert-file. If false, any certificate is accepted.",
    "tls_check_hostname": "With --add-cert-file, also check that the server's certificate matches "
    "HOST. Certificates of public CAs are always checked.",
}
"""Help texts that replace the manifest's descriptions for the gear."""
COMMAND_DEFAULTS = {"calling_ae": "DICOM_SEND"}
"""Defaults of `dicom-send` that differ from the gear's: a local command is not Flywheel."""
_SERVER_TEXTS = {
    "destination": "Host name or IP address of the DICOM server, if no argument names it.",
    "called_ae": "AE title of the DICOM server, 1 to 16 characters.",
    "calling_ae": "AE title of this computer. The server may need to know it.",
}
_SERVER_DEFAULTS = {**COMMAND_DEFAULTS, "destination": "", "called_ae": ""}
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
"""Short options of `dicom-send`. Those that DCMTK also has mean the same as there."""
REPEATABLE = (*NAMES, "modality", "file_tags")
"""Options that can be repeated; this has the same effect as commas in one value."""
_NUMBERS = {"integer": int, "number": float}


def add_group(
    parser: ArgumentParser,
    title: str,
    names: Iterable[str],
    texts: Mapping[str, str] | None = None,
    *,
    short: bool = False,
) -> _ArgumentGroup:
    """Add a group of the manifest's options, and return it.

    `texts` replace the manifest's descriptions.
    """
    group = parser.add_argument_group(title)
    add_options(group, names, texts, short=short)
    return group


def add_options(
    group: _ArgumentGroup,
    names: Iterable[str],
    texts: Mapping[str, str] | None = None,
    defaults: Mapping[str, str] | None = None,
    *,
    short: bool = False,
) -> None:
    """Add options of the manifest to a group, with their `short` forms if they have one.

    `texts` and `defaults` replace the manifest's in the help.
    """
    known = {option.name: option for option in options(manifest())}
    for name in names:
        option = known[name]
        if defaults and name in defaults:
            option = replace(option, default=defaults[name])
        text = _with_flags({**_TEXTS, **(texts or {})}.get(name, option.description), known)
        flags = [_SHORT[name], flag(name)] if short and name in _SHORT else [flag(name)]
        group.add_argument(*flags, dest=name, help=_help(text, option), **_arguments(option))


def _with_flags(text: str, names: Iterable[str]) -> str:
    """Return a text in which the names of options are flags."""
    for name in names:
        if "_" in name:
            text = re.sub(rf"\b{name}\b", flag(name), text)
    return text


def add_tls(parser: ArgumentParser) -> None:
    """Add the options for TLS and identity, and the files that are inputs of the gear."""
    group = parser.add_argument_group("TLS and identity")
    add_options(group, TLS)
    for name, text in _FILES.items():
        file = group.add_argument(flag(name), metavar="FILE", type=Path, dest=name, help=text)
        file.complete = COMPLETE_FILE  # type: ignore[attr-defined]


def add_server(parser: ArgumentParser) -> None:
    """Add the options that name the server."""
    group = parser.add_argument_group("DICOM server")
    group.add_argument(
        "--server",
        metavar="SERVER",
        help="AE@host:port, or a name in servers.toml. Same as the last argument.",
    )
    add_options(group, CONNECTION, _SERVER_TEXTS, _SERVER_DEFAULTS, short=True)


def as_inputs(paths: Mapping[str, Path | None], origins: Mapping[str, str]) -> dict[str, Any]:
    """Return files as the gear's inputs; raise UsageError for a missing file.

    A warning names each secret that other users can read.
    """
    for name, path in paths.items():
        origin = origins.get(name, flag(name))
        # Path.is_file raises an error for a name that is too long.
        if path and not os.path.isfile(path):
            raise UsageError(f"{origin}: {path}: file not found")
        if path and name in _SECRETS:
            warn_of_readers(origin, path)
    return {name: {"location": {"path": str(path)}} for name, path in paths.items() if path}


def warn_of_readers(origin: str, path: Path) -> None:
    """Log a warning if other users can read a secret file. Windows has no such permissions."""
    if os.name == "posix" and path.stat().st_mode & (stat.S_IRGRP | stat.S_IROTH):
        name = printable(str(path))
        log.warning("%s: other users can read %s; protect it with chmod 600", origin, name)


def add_report_folder(parser: ArgumentParser | _ArgumentGroup, what: str) -> None:
    """Add the option for the folder of `what`."""
    parser.add_argument(
        "--report-folder",
        metavar="FOLDER",
        type=Path,
        default=Path(),
        help=f"Folder for {what}. Default: the current folder.",
    ).complete = COMPLETE_FOLDER  # type: ignore[attr-defined]


def report_folder(namespace: Namespace) -> Path:
    """Create the folder for reports if it is missing, and return it. Raises UsageError."""
    folder: Path = namespace.report_folder
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as exc:
        raise UsageError(f"--report-folder: cannot create {folder}: {exc.strerror}") from exc
    return folder


def given(namespace: Namespace) -> dict[str, Any]:
    """Return the manifest's options that have a value."""
    values = {option.name: getattr(namespace, option.name, None) for option in options(manifest())}
    joined = {
        name: ",".join(value) if isinstance(value, list) else value
        for name, value in values.items()
    }
    return {name: value for name, value in joined.items() if value is not None}


def flag(name: str) -> str:
    """Return the flag of an option: `--tls-enabled` for `tls_enabled`."""
    return f"--{name.replace('_', '-')}"


def as_usage(error: ConfigError, origins: Mapping[str, str]) -> UsageError:
    """Return an error that names the option by its origin, or else by its flag."""
    name = origins.get(error.option, flag(error.option))
    if error.given is None:
        return UsageError(f"{name} is required: {error.allowed}")
    return UsageError(f"{name}: {error.given!r} was given; allowed: {error.allowed}")


def _arguments(option: Option) -> dict[str, Any]:
    """Return the arguments of `add_argument` for an option."""
    if option.type == "boolean":
        return {"action": BooleanOptionalAction, "default": None}
    arguments: dict[str, Any] = {"metavar": _METAVARS.get(option.name)}
    if option.name in REPEATABLE:
        arguments["action"] = "append"
    if option.type in _NUMBERS:
        arguments["type"] = _NUMBERS[option.type]
    if option.choices:
        arguments["choices"] = option.choices
    return arguments


def _help(text: str, option: Option) -> str:
    """Return a help text with the allowed values and the default."""
    text = text.replace("%", "%%")
    is_hidden = option.choices and option.name in _METAVARS
    choices = f" One of: {'; '.join(option.choices)}." if is_hidden else ""
    if option.default is None:
        return f"{text}{choices} Required."
    default = json.dumps(option.default) if option.type == "boolean" else option.default
    if option.name in REPEATABLE:
        return f"{text} Repeatable."
    if option.default == "":
        return f"{text}{choices}"
    return f"{text}{choices} Default: {default}."
