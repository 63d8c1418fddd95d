"""Command line of `dicom-send`."""

from argparse import BooleanOptionalAction
from pathlib import Path
from tempfile import gettempdir

from . import echo, options, servers
from .help import BriefOptions, add_completion, add_help, add_version
from .parser import Parser
from .shells import COMPLETE_FILE, COMPLETE_FIRST, COMPLETE_FOLDER

JSON = "--json"
LOG_JSON = "--log-json"
STAMP = "--stamp"

DESCRIPTION = """\
Send DICOM files to a DICOM server (a PACS, an archive, a workstation) by
C-STORE.

Give any number of files, folders and archives (zip; tar, also compressed).
Subfolders are included. Files that are not DICOM are skipped. Each image is
sent unchanged, in its original transfer syntax. Reports list the result for
each image.

The last argument is the server: AE@host:port, or a name in servers.toml (see
dicom-send servers --help). Environment variables set options that are not on
the command line: DICOM_SEND_VERIFY=find is --verify find. They have priority
over servers.toml.
"""
EPILOG = """\
Test the connection first:

    dicom-send echo ARCHIVE@pacs.example.org:104

exit codes (the first that applies; a signal comes first):
  0  all images were sent, and verified with --verify
  1  some images were not sent, or a report could not be written
  2  the command line or the configuration is invalid, or selects no file
  3  no connection, association rejected, or gave up on the server: try later
  4  all images were sent, but not all were verified
  130, 143  stopped by SIGINT, SIGTERM

examples:
  dicom-send /data/study ARCHIVE@pacs.example.org:104
  dicom-send *.zip PACS@192.0.2.7:104 --verify find
  dicom-send cd/ PACS@[2001:db8::7]:2762 --tls-enabled --key k.pem --cert c.pem
  dicom-send /data/study archive --dry-run
  dicom-send /data/study archive --include '*.dcm'
  find . -mtime -1 -print0 | dicom-send --files-from - --from0 archive
"""
_BRIEF_DESCRIPTION = """\
Send DICOM files, folders and archives to a DICOM server (a PACS) by C-STORE.
"""
_BRIEF_OPTIONS: BriefOptions = {
    "server": {
        "--server": "AE@host:port, or a name in servers.toml",
        "-aet": "AE title of this computer (default: DICOM_SEND)",
        "--tls-enabled": "Use TLS; see --key, --cert, --add-cert-file",
    },
    "files": {
        "--include": "Send only files with matching names: '*.dcm'",
        "--exclude": "Skip files with matching names",
        "--files-from": "Read paths from a file; - is standard input",
    },
    "sending": {
        "-n": "Do everything except sending",
        "--verify": "Check delivery after sending",
        "--skip-existing": "Send only missing images",
        "--resume": "Skip images that an earlier run has sent",
        "-j": "Parallel associations, 1 to 16 (default: 4)",
        "--stamp": "Mark images, so that Flywheel skips them",
    },
    "results": {
        "--report-folder": "Folder for reports (default: current)",
        "--no-report": "Write no reports",
        "--json": "Print a summary as JSON",
        "-q": "Print only errors and the result",
        "-v": "Log in detail",
    },
}
_BRIEF_EPILOG = """\
dicom-send --help-all shows all options, dicom-send echo --help those of echo.

exit codes: 0 sent, 1 not all sent, 2 wrong usage, 3 no server, 4 not verified

example: dicom-send /data/study ARCHIVE@pacs.example.org:104
"""
_TEXTS = {
    "report": "Write a report with a row for each folder and archive (CSV). Without it, the three "
    "other reports are off too.",
    "instance_report": "Write a report with a row for each image (CSV). Needs --report.",
    "html_report": "Write a page with the results of the run (HTML). Needs --report.",
    "summary_report": "Write a summary of the run for programs (JSON). Needs --report.",
    "show_member_names": "Show the names of files in folders and archives in the log and the "
    "per-image report. These names may identify patients. If false, files appear by number.",
    "associations": "Number of parallel associations (1-16). If the server allows fewer, those are "
    "used, with a warning. With 1, images are sent in the order of their names or their archive.",
    "include": "In folders, send only files whose names match one of these patterns, such as "
    "'*.dcm'. Separate patterns with commas. Case is ignored.",
    "exclude": "In folders, skip files whose names match one of these patterns. Separate patterns "
    "with commas. Case is ignored.",
    "verify": "Confirm delivery after sending. find: query the server (C-FIND) and resend missing "
    "images. commit: request storage commitment. If an image is not confirmed, the exit code is 4.",
    "debug": "Log details: associations, presentation contexts, images, waits.",
}


def parser() -> Parser:
    """Return the parser of the command line, without the subcommands."""
    command = Parser(
        "dicom-send",
        DESCRIPTION,
        EPILOG,
        add_help=False,
        usage="dicom-send PATH... AE@HOST:PORT [options]\n"
        "       dicom-send PATH... NAME [options]          NAME is in servers.toml\n"
        "       dicom-send echo AE@HOST:PORT [options]\n"
        "       dicom-send servers [--test] [NAME...]",
    )
    command.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="A file, a folder or an archive. The last argument is the server: AE@HOST:PORT, or a "
        "name in servers.toml.",
    ).complete = COMPLETE_FIRST  # type: ignore[attr-defined]
    _add_files(command)
    options.add_server(command)
    options.add_tls(command)
    _add_private_element(command)
    _add_sending(command)
    _add_proof(command)
    _add_reports(command)
    _add_messages(command)
    add_help(command, _BRIEF_DESCRIPTION, _BRIEF_OPTIONS, _BRIEF_EPILOG, parser)
    add_version(command)
    add_completion(command, _completion)
    return command


def _add_files(command: Parser) -> None:
    files = command.add_argument_group("files")
    files.add_argument(
        "--files-from",
        metavar="LIST",
        help="A file with one path per line; - is standard input. Relative paths start at the "
        "current folder. It can be combined with PATH.",
    ).complete = COMPLETE_FILE  # type: ignore[attr-defined]
    files.add_argument(
        "--from0", action="store_true", help="Paths in the list end with NUL, as from find -print0."
    )
    options.add_options(files, options.NAMES, _TEXTS)


def _add_private_element(command: Parser) -> None:
    tag = command.add_argument_group("private element")
    tag.add_argument(
        STAMP,
        action=BooleanOptionalAction,
        default=None,
        help="Add the private element to each dataset, so that Flywheel does not import it again. "
        "Default: datasets stay unchanged.",
    )
    options.add_options(tag, options.TAG)


def _add_proof(command: Parser) -> None:
    proof = command.add_argument_group("proof of delivery")
    options.add_options(proof, options.PROOF, _TEXTS, short=True)
    proof.add_argument(
        "--resume",
        metavar="REPORT",
        type=Path,
        action="append",
        default=[],
        dest="earlier_reports",
        help="Skip images that an earlier run has sent to the same server, according to its "
        "per-image report (..._instances.csv). Repeatable.",
    ).complete = COMPLETE_FILE  # type: ignore[attr-defined]
    proof.add_argument(
        "--commit-port",
        metavar="N",
        type=int,
        help="With --verify commit: local port to listen on, for servers that report over a new "
        "association. Enter this computer's AE title, address and port on the server.",
    )


def _add_sending(command: Parser) -> None:
    sending = options.add_group(command, "sending", options.SENDING, _TEXTS, short=True)
    sending.add_argument(
        "--work-folder",
        metavar="FOLDER",
        type=Path,
        default=Path(gettempdir()),
        help="Folder for unpacking archives, one image at a time. Default: the system's folder for "
        "temporary files.",
    ).complete = COMPLETE_FOLDER  # type: ignore[attr-defined]


def _add_reports(command: Parser) -> None:
    reports = options.add_group(command, "reports", options.REPORTS, _TEXTS)
    options.add_report_folder(reports, "the reports")
    reports.add_argument(
        JSON,
        action="store_true",
        help="Print a summary as JSON on standard output at the end, also after a failure.",
    )


def _add_messages(command: Parser) -> None:
    messages = command.add_argument_group("messages")
    options.add_options(messages, ("debug",), _TEXTS, short=True)
    messages.add_argument(
        "-q", "--quiet", action="store_true", help="Log only errors and the result."
    )
    messages.add_argument(
        LOG_JSON,
        action="store_true",
        help="Log as JSON, one event per line: images, files, log messages, and the summary at "
        "the end.",
    )


def _completion(shell: str) -> str:
    """Return the completion script for a shell, with those of the subcommands."""
    # shtab takes 0.04 s to import, and only this needs it.
    from .completion import script

    return script(parser(), shell, {"echo": echo.parser(), "servers": servers.parser()})
