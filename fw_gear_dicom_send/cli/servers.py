"""`dicom-send servers`: lists, tests and changes the servers of `servers.toml`."""

import logging
from collections.abc import Iterator, Mapping, Sequence

from ..errors import DicomSendError, ExitCode, UsageError
from ..option_types import Group, Option
from ..option_values import SWITCH
from ..server_url import ServerURL, without_users
from ..text import printable
from . import options, server_changes, server_words, settings
from .completion import COMPLETE_SERVER
from .console import write
from .echo import SUCCESS, echo_result
from .help import add_version
from .parser import Parser
from .web_echo import examine

log = logging.getLogger(__name__)

DESCRIPTION = """\
List the named servers, or test each with a C-ECHO. To change the list:

    dicom-send servers add NAME AE@HOST:PORT [options]
    dicom-send servers remove NAME

The servers are in the file servers.toml in $XDG_CONFIG_HOME/dicom-send (by
default ~/.config/dicom-send; on Windows %APPDATA%\\dicom-send):

    [archive]
    host = "pacs.example.org"
    port = 104
    called_ae = "ARCHIVE"
    calling_ae = "WORKSTATION"
    tls_enabled = true
    add_cert_file = "ca.pem"
    associations = 8

The keys of a table are options of dicom-send with underscores. Relative paths
start at the folder of servers.toml.
"""
EPILOG = """\
exit codes (the highest that applies):
  0  all tables are valid, and with --test all C-ECHOs succeeded
  1  a C-ECHO failed
  2  the command line or a table is invalid
  3  no connection, or association rejected
"""
_CHANGES = {"add": server_changes.add, "remove": server_changes.remove}
_TEST = Option("test", SWITCH, False, Group.SERVER, "Send a C-ECHO to each server.")


def main(argv: Sequence[str]) -> int:
    """Run the command line after `servers`; return the exit code."""
    if argv and (change := _CHANGES.get(argv[0])):
        return change(argv[1:])
    arguments = parser().read(argv)
    known = settings.tables()
    names = arguments.words or sorted(known)
    if not names:
        log.warning("No servers in %s; see dicom-send servers --help", settings.servers_file())
        return ExitCode.SUCCESS
    chosen: dict[str, settings.Settings] = {}
    codes = [ExitCode.SUCCESS]
    for name in names:
        try:
            chosen[name] = settings.of_server(name, known)
        except UsageError as exc:
            log.error("%s", exc)
            codes.append(ExitCode.USAGE)
    if arguments.values.get("test"):
        codes.append(_test(chosen))
    else:
        write("".join(f"{line}\n" for line in _lines(chosen)))
    return max(codes)


def parser() -> Parser:
    """Return the parser of the command line after `servers`."""
    command = Parser("dicom-send servers", DESCRIPTION, EPILOG)
    command.add_argument(
        "words", nargs="*", metavar="NAME", help="Name of a server. Default: all servers."
    ).complete = COMPLETE_SERVER  # type: ignore[attr-defined]
    command.add_options("test", [_TEST])
    add_version(command)
    return command


def _lines(chosen: Mapping[str, settings.Settings]) -> Iterator[str]:
    """Yield a line for each server: its name, its address, and `TLS` if that is on."""
    rows = []
    for name, server in chosen.items():
        title, host, port, tls = (
            server.values.get(key) for key in ("called_ae", "destination", "port", "tls_enabled")
        )
        address = server_words.word_of(title, str(host), port)
        is_secure = tls is True or address.lower().startswith("https:")
        shown = printable(without_users(address))
        rows.append((printable(name), shown, "TLS" if is_secure else ""))
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        yield "  ".join(map(str.ljust, row, widths)).rstrip()


def _test(chosen: Mapping[str, settings.Settings]) -> ExitCode:
    """Test each server and write a line about it; return the exit code."""
    from .. import senders
    from ..network import preflight

    codes = [ExitCode.SUCCESS]
    for line, server in zip(_lines(chosen), chosen.values(), strict=True):
        try:
            with options.naming(server.origins):
                config, context = senders.connected(server.config())
                if isinstance(config.address, ServerURL):
                    result, is_success = examine(config, config.address, context).result, True
                else:
                    server_info = preflight.check(config.address, context)
                    is_success = server_info.echo_status == SUCCESS
                    result = f"C-ECHO: {echo_result(server_info)}"
            codes.append(ExitCode.SUCCESS if is_success else ExitCode.NOT_ALL_SENT)
        except DicomSendError as exc:
            codes.append(ExitCode(exc.exit_code))
            result = f"failed: {exc}"
        write(f"{line}  {result}\n")
    return max(codes)
