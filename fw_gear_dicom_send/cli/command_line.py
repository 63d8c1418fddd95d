"""Command line of `dicom-send`."""

from argparse import SUPPRESS
from functools import partial
from importlib import import_module

from ..option_types import Group, Place
from ..options import OPTIONS
from .command_options import COMMAND_OPTIONS
from .help import add_completion, add_help, add_version
from .parser import Parser

SUBCOMMANDS = ("check", "echo", "servers")
"""Words that are also modules with a `parser` and a `main`."""
DESCRIPTION = """\
Send DICOM files to a DICOM server (a PACS, an archive, a workstation) by
C-STORE, or to a DICOMweb server by STOW-RS.

Give any number of files, folders and archives (zip; tar, also compressed).
Subfolders are included. Files that are not DICOM are skipped. Each image is
sent unchanged, in its original transfer syntax. Reports list the result for
each image.

The last argument is the server: AE@host:port, the URL of a DICOMweb server, or
a name in servers.toml (see dicom-send servers --help). Environment variables
set options that are not on the command line: DICOM_SEND_VERIFY=find is
--verify find. They have priority over servers.toml.
"""
EPILOG = """\
Test the connection first:

    dicom-send echo ARCHIVE@pacs.example.org:104

exit codes (the first that applies; a signal comes first):
  0  all images were sent, and verified with --verify
  1  some images were not sent, or a report could not be written
  2  the command line or the configuration is invalid, or there is no image
  3  no association, no service for --verify or --skip-existing, or gave up
  4  all images were sent, but not all were verified
  130, 143  stopped by SIGINT, SIGTERM

examples:
  dicom-send /data/study ARCHIVE@pacs.example.org:104
  dicom-send *.zip PACS@192.0.2.7:104 --verify find
  dicom-send cd/ PACS@[2001:db8::7]:2762 --tls-enabled --key k.pem --cert c.pem
  dicom-send /data/study https://pacs.example.org/dicom-web
  dicom-send /data/study archive --dry-run
  dicom-send /data/study archive --include '*.dcm'
  find . -mtime -1 -print0 | dicom-send --files-from - --from0 archive
"""
_BRIEF_DESCRIPTION = """\
Send DICOM files, folders and archives to a PACS by C-STORE or DICOMweb.
"""
_BRIEF_EPILOG = """\
dicom-send --help-all shows all options, dicom-send echo --help those of echo.

exit codes: 0 sent, 1 not all sent, 2 wrong usage, 3 no server, 4 not verified

example: dicom-send /data/study ARCHIVE@pacs.example.org:104
"""


def parser() -> Parser:
    """Return the parser of the command line, without the subcommands."""
    command = Parser(
        "dicom-send",
        DESCRIPTION,
        EPILOG,
        add_help=False,
        usage="dicom-send PATH... AE@HOST:PORT [options]\n"
        "       dicom-send PATH... NAME [options]          NAME is in servers.toml\n"
        "       dicom-send check PATH... AE@HOST:PORT      compares, sends nothing\n"
        "       dicom-send echo AE@HOST:PORT [options]\n"
        "       dicom-send servers [--test] [NAME...]",
    )
    command.add_paths()
    rows = [row for row in (*OPTIONS, *COMMAND_OPTIONS) if row.where & Place.COMMAND]
    for group in Group:
        command.add_options(group.title, [row for row in rows if row.group is group])
    command.add_argument(
        "--no-reports",
        dest="report_files",
        action="store_const",
        const="none",
        default=SUPPRESS,
        help="Write no reports. Same as --report-files none.",
    )
    add_help(command, _BRIEF_DESCRIPTION, _BRIEF_EPILOG)
    add_version(command)
    add_completion(command, parser, {name: partial(_parser_of, name) for name in SUBCOMMANDS})
    return command


def _parser_of(subcommand: str) -> Parser:
    made: Parser = import_module(f".{subcommand}", __package__).parser()
    return made
