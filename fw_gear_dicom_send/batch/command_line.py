"""Command line of `dicom-send-batch`."""

import re
from argparse import ArgumentTypeError, Namespace
from collections.abc import Callable
from datetime import date
from itertools import takewhile
from pathlib import Path
from typing import Any

from ..cli.completion import COMPLETE_FILE, COMPLETE_FOLDER
from ..cli.help import add_completion, add_version
from ..cli.parser import Parser
from ..option_types import Group, Place
from ..option_values import FILE
from ..options import OPTIONS
from ..values import replace

DESCRIPTION = """\
Run the gear dicom-send on many sessions of a Flywheel site, with one job for
each session.

The jobs run on Flywheel, and continue if you stop this command. The command
starts and follows them, and merges their reports into one table and one page.
"""
EPILOG = """\
examples:
  dicom-send-batch start --project lab/Study --destination pacs --called-ae ARCHIVE
  dicom-send-batch follow 66f0aa11bb22cc33dd44ee55
  dicom-send-batch stop 66f0aa11bb22cc33dd44ee55
  dicom-send-batch retry 66f0aa11bb22cc33dd44ee55
  dicom-send-batch gather 66f0aa11bb22cc33dd44ee55
  dicom-send-batch list

exit codes of start, follow, retry and gather:
  0  the newest job of each session is complete and has sent all images
  1  a job failed, is still active, or has not sent all images
  2  the command line is invalid

The command uses the API key that `fw login` stores in
~/.config/flywheel/user.json. Without that file, it asks for the key.
"""
_EXAMPLES = {
    "start": """\
examples:
  dicom-send-batch start --project lab/Study --destination pacs --called-ae ARCHIVE
  dicom-send-batch start --project lab/Study --since 2024-01-01 --tag ready --not-yet-sent \\
      --destination pacs --called-ae ARCHIVE --verify find
  dicom-send-batch start --sessions-file ids.txt --destination pacs --called-ae ARCHIVE --dry-run
""",
    "list": "example:\n  dicom-send-batch list\n",
    "gather": "example:\n  dicom-send-batch gather 66f0aa11bb22cc33dd44ee55 --report-folder out\n",
}
_USAGE = {
    "start": "dicom-send-batch start --project GROUP/PROJECT --destination HOST\n"
    "                              --port N --called-ae AE [options]",
}
_FILE_NAME = replace(FILE, metavar="NAME")
_OPTIONS = [
    replace(row, type=_FILE_NAME) if row.type is FILE else row
    for row in OPTIONS
    if row.where & Place.BATCH
]
_TITLES = {Group.FILES: "files of the sessions"}


class _Parser(Parser):
    """Parser of this command and its subcommands."""

    place = Place.BATCH

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Parse the words of a subcommand. An unknown option is named before a missing one."""
        words = takewhile(lambda word: word != "--", args or ())
        names = [word.partition("=")[0] for word in words]
        known = self._option_string_actions
        unknown = [name for name in names if name.startswith("--") and name not in known]
        if unknown and not self._subparsers:
            self.error(self.unknown(unknown))
        return super().parse_known_args(args, namespace)


def parser() -> Parser:
    """Return the parser of the command line."""
    command = _Parser("dicom-send-batch", DESCRIPTION, EPILOG)
    add_version(command)
    add_completion(command, parser, {})
    commands = command.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", required=True, parser_class=_Parser
    ).add_parser
    _add_start(_command(commands, "start", "Start a job for each session, and follow the jobs."))
    _command(commands, "follow", "Follow the jobs of an earlier batch.")
    stop = _command(commands, "stop", "Cancel the queued jobs of a batch.")
    stop.add_argument("--running", action="store_true", help="Also cancel running jobs.")
    _command(commands, "retry", "Retry the failed jobs of a batch, and follow them.")
    _command(commands, "gather", "Merge the reports of a batch.")
    _command(commands, "list", "List your newest batches. Admins see those of all users.")
    return command


def files(namespace: Namespace) -> dict[str, str]:
    """Return the names of the project's files by input."""
    names = [row.name for row in _OPTIONS if row.type is _FILE_NAME and row.name in namespace]
    return {name: getattr(namespace, name) for name in names}


def jobs_at_once(namespace: Namespace, default: int | None = None) -> int | None:
    """Return the maximum number of active jobs. Without following, none can start later."""
    given: int | None = getattr(namespace, "jobs_at_once", None)
    if given is None:
        return 0 if getattr(namespace, "no_follow", False) else default
    return given


def _command(add_parser: Callable[..., Parser], name: str, text: str) -> Parser:
    example = f"example:\n  dicom-send-batch {name} 66f0aa11bb22cc33dd44ee55\n"
    command = add_parser(
        name,
        help=text,
        description=text,
        epilog=_EXAMPLES.get(name, example),
        usage=_USAGE.get(name),
    )
    command.add_argument(
        "--api-key-file",
        metavar="FILE",
        type=Path,
        help='A JSON file with your API key: {"key": "<host>:<key>"}. '
        "Default: ~/.config/flywheel/user.json.",
    ).complete = COMPLETE_FILE  # type: ignore[attr-defined]
    if name != "list":
        command.add_argument(
            "--report-folder",
            metavar="FOLDER",
            type=Path,
            default=Path(),
            help="Folder for the table, the page, and the list of waiting sessions. "
            "Default: the current folder.",
        ).complete = COMPLETE_FOLDER  # type: ignore[attr-defined]
    if name not in ("gather", "list"):
        command.add_argument("--yes", action="store_true", help="Do not ask for confirmation.")
    if name not in ("stop", "gather", "list"):
        command.add_argument(
            "--interval",
            metavar="SECONDS",
            type=_seconds,
            default=5.0,
            help="Time between status queries to the site. Default: 5.",
        )
        command.add_argument(
            "--jobs-at-once",
            metavar="N",
            type=_count,
            help="Maximum number of queued and running jobs. The others start as these end. "
            "0: no maximum. Default: 50, or as given to start; with --no-follow 0.",
        )
    if name in ("start", "retry"):
        command.add_argument(
            "--no-follow", action="store_true", help="Exit after starting the jobs."
        )
    if name not in ("start", "list"):
        command.add_argument("batch", metavar="BATCH", help="Id of the batch, as printed by start.")
    return command


def _add_start(command: Parser) -> None:
    where = command.add_argument_group("sessions (choose one)")
    chosen = where.add_mutually_exclusive_group(required=True)
    chosen.add_argument(
        "--project",
        metavar="GROUP/PROJECT",
        help="All sessions of a project, by path or id.",
    )
    chosen.add_argument(
        "--subject",
        metavar="GROUP/PROJECT/SUBJECT",
        help="All sessions of a subject, by path or id.",
    )
    chosen.add_argument(
        "--session", metavar="ID", action="append", help="A session by id. Repeatable."
    )
    chosen.add_argument(
        "--sessions-file",
        metavar="FILE",
        help="A file with one session id per line. # starts a comment. - is standard input.",
    ).complete = COMPLETE_FILE  # type: ignore[attr-defined]
    fits = command.add_argument_group("filters (a session must match all)")
    fits.add_argument(
        "--label",
        metavar="REGEX",
        type=_pattern,
        help="Regular expression that matches a part of the session's label.",
    )
    fits.add_argument(
        "--since", metavar="DATE", type=_day, help="First day of the scan, such as 2024-01-31."
    )
    fits.add_argument("--until", metavar="DATE", type=_day, help="Last day of the scan.")
    fits.add_argument(
        "--tag",
        action="append",
        default=[],
        help="Tag of the session. Repeatable; a session needs all tags.",
    )
    fits.add_argument(
        "--not-yet-sent",
        action="store_true",
        help="Skip sessions that a complete, running or pending job sends to this server, unless "
        "they have newer files. Without a job, the mark of the last complete run counts.",
    )
    for group in Group:
        rows = [row for row in _OPTIONS if row.group is group]
        command.add_options(_TITLES.get(group, group.title), rows)
    jobs = command.add_argument_group("jobs")
    jobs.add_argument(
        "--gear-version", metavar="V", help="Version of the gear. Default: the site's newest."
    )
    jobs.add_argument(
        "--job-tag",
        metavar="TAG",
        action="append",
        default=[],
        help="Tag for the jobs. Repeatable. A site can use tags to choose where jobs run.",
    )


def _pattern(text: str) -> re.Pattern[str]:
    try:
        return re.compile(text)
    except re.error as exc:
        raise ArgumentTypeError(f"invalid regular expression {text!r}: {exc}") from exc


def _day(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise ArgumentTypeError(f"invalid date {text!r} (expected YYYY-MM-DD)") from None


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text):
        raise ArgumentTypeError(f"{text!r} was given; allowed: a whole number, 0 for no maximum")
    return int(text)


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1
    if not 0 < seconds <= 3600:
        raise ArgumentTypeError(f"{text!r} was given; allowed: more than 0, up to 3600 seconds")
    return seconds
