"""`dicom-send`: sends files and folders to a DICOM server, by the gear's own pipeline."""

import logging
import os
import sys
from argparse import BooleanOptionalAction, Namespace
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from ..config import MAX_PORT, manifest, parse_sending
from ..errors import ConfigError, DicomSendError, ExitCode, UsageError
from ..exit_codes import exit_code, keep_quiet, log_details, log_errors
from ..left_out import LeftOutFiles
from ..models import FileReport, Outcome, SendConfig
from ..report.events import Observer, Observers
from ..report.progress import Progress
from ..report.skipped import SkippedFiles
from ..report.summary import RunFacts, summary
from ..report.verification import VerificationSummary
from . import echo, options, server_words, servers, settings
from .console import begin_logging, write_json
from .json_log import JSONEvents, JSONFormatter, tell
from .local_source import LocalReports, LocalSource
from .path_list import read_paths

if TYPE_CHECKING:
    from ..network.commitment_listener import CommitmentListener

log = logging.getLogger(__name__)

_JSON = "--json"
_LOG_JSON = "--log-json"
_STAMP = "--stamp"

DESCRIPTION = """\
Send DICOM files to a DICOM server (a PACS, an archive, a workstation) by
C-STORE.

Give files, folders and archives (zip; tar, also compressed) in any number. All
that is below a folder is searched; files that are not DICOM are skipped. Each
image is sent as it is, in its own transfer syntax. Reports say what became of
each image.

The last argument is the server: AE@host:port, or a name in servers.toml (see
dicom-send servers --help). An environment variable gives an option that the
command line lacks: DICOM_SEND_VERIFY=find is --verify find. It goes before
servers.toml.
"""
EPILOG = """\
To find out first whether the server answers, and what it takes:

    dicom-send echo ARCHIVE@pacs.example.org:104

exit codes (the first that applies, after that of a signal):
  0  all images were sent, and verified if you ask for that
  1  some images were not sent, or a report could not be written
  2  the command line or the configuration cannot be used, or selects nothing
  3  the server was not reached, refused or was given up: try later
  4  all images were sent, but not all were verified
  130, 143  the run was ended by SIGINT, SIGTERM

examples:
  dicom-send /data/study ARCHIVE@pacs.example.org:104
  dicom-send *.zip PACS@192.0.2.7:104 --verify find
  dicom-send cd/ PACS@[2001:db8::7]:2762 --tls-enabled --key k.pem --cert c.pem
  dicom-send /data/study archive --dry-run
  dicom-send /data/study archive --include '*.dcm'
  find . -mtime -1 -print0 | dicom-send --files-from - --from0 archive
"""
BRIEF_DESCRIPTION = """\
Send DICOM files, folders and archives to a DICOM server (a PACS) by C-STORE.
"""
BRIEF: options.Brief = {
    "server": {
        "--server": "AE@host:port, or a name in servers.toml",
        "-aet": "AE title of this computer (default: flywheel)",
        "--tls-enabled": "Use TLS; see --key, --cert, --add-cert-file",
    },
    "files": {
        "--include": "Send only files with such names, as '*.dcm'",
        "--exclude": "Do not send files with such names",
        "--files-from": "Read paths from a file; - is standard input",
    },
    "sending": {
        "-n": "Do everything but send",
        "--verify": "Query the server for the images after sending",
        "--skip-existing": "Send only images that the server does not have",
        "--resume": "Skip what an earlier run's report has as sent",
        "-j": "Parallel associations, 1 to 16 (default: 4)",
        "--stamp": "Mark images, so that Flywheel skips them",
    },
    "results": {
        "--report-folder": "Where to write reports (default: here)",
        "--no-report": "Write no reports",
        "--json": "Print a summary as JSON",
        "-q": "Print only errors and the result",
        "-v": "Log in detail",
    },
}
BRIEF_EPILOG = """\
dicom-send --help-all shows all options, dicom-send echo --help those of echo.

exit codes: 0 sent, 1 not all sent, 2 wrong usage, 3 no server, 4 not verified

example: dicom-send /data/study ARCHIVE@pacs.example.org:104
"""
_WORDS = {
    "calling_ae": "AE title that this computer calls itself, as the server may have to know it.",
    "report": "Write a report (CSV) that has a row for each folder and archive.",
    "instance_report": "With the report, write one that has a row for each image (CSV).",
    "html_report": "With the report, write a page that shows what became of it all (HTML).",
    "summary_report": "With the report, write a summary for programs (JSON).",
    "show_member_names": "Show the names of files in folders and archives in the log and in the "
    "report on images. They may name the patient, so that a file is shown by its number otherwise.",
    "associations": "How many associations to send over at once, 1 to 16. With 1, images go in the "
    "order of their names, or in that of their archive.",
    "include": "Of the files in folders, send only those whose names match a pattern, as in "
    "'*.dcm'. Commas separate patterns; upper and lower case are the same.",
    "exclude": "Of the files in folders, do not send those whose names match a pattern. Commas "
    "separate patterns; upper and lower case are the same.",
    "debug": "Log in detail: associations with their presentation contexts, each image, waits.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, or that of the process; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    begin_logging(JSONFormatter() if options.is_on(_LOG_JSON, words) else None)
    keep_quiet()
    return exit_code(partial(_command, words))


def parser() -> options.Parser:
    """Return what understands the command line, but for that of `dicom-send echo`."""
    made = options.Parser(
        "dicom-send",
        DESCRIPTION,
        EPILOG,
        add_help=False,
        usage="dicom-send PATH... AE@HOST:PORT [options]\n"
        "       dicom-send PATH... NAME [options]          NAME is in servers.toml\n"
        "       dicom-send echo AE@HOST:PORT [options]\n"
        "       dicom-send servers [--test] [NAME...]",
    )
    paths = made.add_argument(
        "paths",
        nargs="*",
        metavar="PATH",
        help="A file, a folder or an archive. The last one is the server: AE@HOST:PORT, or a name "
        "in servers.toml.",
    )
    paths.complete = options.COMPLETE_FIRST  # type: ignore[attr-defined]
    _add_files(made)
    options.add_server(made, _WORDS)
    options.add_tls(made)
    tag = made.add_argument_group("private element that marks an image as sent")
    tag.add_argument(
        _STAMP,
        action=BooleanOptionalAction,
        default=None,
        help="Add the private element to each dataset, so that Flywheel does not import it again. "
        "Default: datasets stay as they are.",
    )
    options.fill(tag, options.TAG)
    options.add_group(made, "sending", options.SENDING, _WORDS, short=True)
    proof = made.add_argument_group("proof")
    options.fill(proof, options.PROOF, short=True)
    proof.add_argument(
        "--resume",
        metavar="REPORT",
        type=Path,
        action="append",
        default=[],
        dest="earlier_reports",
        help="Skip images that a per-image report (..._instances.csv) of an earlier run has as "
        "sent to the same server. May be given repeatedly.",
    ).complete = options.COMPLETE_FILE  # type: ignore[attr-defined]
    proof.add_argument(
        "--commit-port",
        metavar="N",
        type=int,
        help="With --verify commit: a port of this computer to listen on while the run waits, for "
        "servers that report on an association of their own. The server has to know this computer "
        "and the port by its AE title.",
    )
    options.add_group(made, "reports", options.REPORTS, _WORDS)
    options.add_report_folder(made, "the reports")
    made.add_argument(
        "--work-folder",
        metavar="FOLDER",
        type=Path,
        default=Path(gettempdir()),
        help="Where to unpack archives, one image at a time. Default: the system's folder for "
        "temporary files.",
    ).complete = options.COMPLETE_FOLDER  # type: ignore[attr-defined]
    made.add_argument(
        _JSON,
        action="store_true",
        help="Print a summary as JSON on standard output, at the end, whatever the end is.",
    )
    messages = made.add_argument_group("messages")
    options.fill(messages, ("debug",), _WORDS, short=True)
    messages.add_argument("-q", "--quiet", action="store_true", help="Log errors only.")
    messages.add_argument(
        _LOG_JSON,
        action="store_true",
        help="Log as JSON, one event a line: each image, each file, what is logged else, and "
        "the summary at the end.",
    )
    options.add_help(made, (BRIEF_DESCRIPTION, BRIEF, BRIEF_EPILOG), parser)
    options.add_version(made)
    options.add_completion(made, _completion)
    return made


def _completion(shell: str) -> str:
    """Return the script that completes all that a user may type."""
    # shtab takes 0.04 s to import, and only this needs it.
    from .completion import script

    return script(parser(), shell, {"echo": echo.parser(), "servers": servers.parser()})


def _add_files(made: options.Parser) -> None:
    """Add the options that say which files to send."""
    files = made.add_argument_group("files")
    files.add_argument(
        "--files-from",
        metavar="LIST",
        help="A file with one path a line, relative ones to the current folder; - is standard "
        "input. May be given instead of PATH, or with it.",
    ).complete = options.COMPLETE_FILE  # type: ignore[attr-defined]
    files.add_argument(
        "--from0", action="store_true", help="Paths in the list end with NUL, as of find -print0."
    )
    options.fill(files, options.NAMES, _WORDS)


def _command(argv: list[str]) -> int:
    for word, run in (("echo", echo.run), ("servers", servers.run)):
        if argv[:1] == [word]:
            return run(argv[1:])
    told = _Told()
    try:
        arguments = parser().read(argv)
        if arguments.values.debug:
            log_details()
        if arguments.values.quiet:
            log_errors()
        code = told.exit_code = _run(arguments, told)
    except DicomSendError as exc:
        told.error, told.exit_code = str(exc), exc.exit_code
        raise
    finally:
        if options.is_on(_LOG_JSON, argv):
            tell("summary", **summary(told.facts()))
        if options.is_on(_JSON, argv):
            write_json(summary(told.facts()))
    return code


def _run(arguments: options.Arguments, told: "_Told") -> int:
    values = arguments.values
    words: list[str] = values.paths or []
    if not words and values.files_from is None:
        raise UsageError("required: PATH or --files-from; dicom-send --help tells more")
    chosen = settings.read(arguments, words)
    if not chosen.paths and values.files_from is None:
        raise UsageError(f"{words[-1]} is the server. Give a PATH before it, or --files-from")
    listed: Sequence[Path] = ()
    if values.files_from is not None:
        listed = read_paths(values.files_from, ends_with_nul=values.from0)
    try:
        config = told.config = _config(chosen, arguments)
        _check_paths(chosen.paths)
        source = LocalSource(
            chosen.paths, config.names, listed=listed, shows_names=config.show_member_names
        )
        told.left_out = source.left_out
        earlier = _earlier_reports(values)
        folder = options.report_folder(values)
        # What sends takes long to import, and neither --help nor an error above needs it.
        from ..run import run

        with ExitStack() as stack:
            listener = _listener(values, config)
            outcome = run(
                config,
                source,
                told.reports,
                values.work_folder,
                folder,
                observer=Observers([told, JSONEvents()]) if values.log_json else told,
                make_progress=_progress(is_bar=not (values.log_json or values.quiet)),
                conclude=told.conclude,
                earlier_reports=(lambda _: earlier) if earlier else None,
                listener=stack.enter_context(listener) if listener else None,
            )
        return outcome.exit_code
    except ConfigError as exc:
        raise chosen.as_usage(exc) from exc


def _check_paths(paths: Sequence[Path]) -> None:
    """Raise UsageError for a path that is not there, but was meant as a server."""
    for path in paths:
        word = str(path)
        if not os.path.lexists(word) and (meant := server_words.hint(word)):
            raise UsageError(f"{word}: not found; {meant}")


def _earlier_reports(values: Namespace) -> list[Path]:
    """Return the reports of earlier runs; raise UsageError for one that is not there."""
    reports: list[Path] = values.earlier_reports
    for path in reports:
        if not path.is_file():
            raise UsageError(f"--resume: {path}: there is no such file")
    return reports


def _listener(values: Namespace, config: SendConfig) -> "CommitmentListener | None":
    """Return what is to listen for storage commitment reports, None where nothing is.

    Raises UsageError where that cannot be, or is of no use.
    """
    port: int | None = values.commit_port
    if port is None:
        return None
    if not 1 <= port <= MAX_PORT:
        raise UsageError(f"--commit-port: {port} was given; allowed: a port from 1 to {MAX_PORT}")
    if config.verify != "commit":
        raise UsageError("--commit-port needs --verify commit")
    if config.tls:
        raise UsageError("--commit-port takes reports without TLS, so not with --tls-enabled")
    if config.dry_run:
        return None
    # pynetdicom takes long to import, and few runs listen.
    from ..network.commitment_listener import CommitmentListener

    peer = config.query_peer or config.peer
    return CommitmentListener(port, peer.calling_ae, peer.called_ae)


def _progress(*, is_bar: bool) -> type[Progress]:
    """Return what shows how far the run is: a bar on a terminal, else lines in the log."""
    if not is_bar or not sys.stderr.isatty():
        return Progress
    # rich takes 0.03 s to import.
    from .progress_bar import ProgressBar

    return ProgressBar


def _config(chosen: settings.Settings, arguments: options.Arguments) -> SendConfig:
    config = parse_sending(chosen.options, chosen.inputs, manifest())
    is_stamped = chosen.options["stamp"]
    if not isinstance(is_stamped, bool):
        raise ConfigError("stamp", is_stamped, "true or false")
    unused = [name for name in options.TAG if name in arguments.typed and not is_stamped]
    if unused:
        raise UsageError(f"{options.flag(unused[0])} is of use with {_STAMP} only")
    return config if is_stamped else replace(config, tag=None)


class _Told(Observer):
    """What the command prints for programs, as far as it is known."""

    def __init__(self) -> None:
        self.error = ""
        self.exit_code: int = ExitCode.NOT_ALL_SENT
        self.reports = LocalReports()
        self.left_out = LeftOutFiles()
        self.config: SendConfig | None = None
        self.outcome: Outcome | None = None
        self._rows: Sequence[FileReport] = ()
        self._verification: VerificationSummary | None = None
        self._skipped = SkippedFiles()

    def verified(self, summary: VerificationSummary) -> None:
        self._verification = summary

    def file(self, report: FileReport) -> None:
        self._skipped.file(report)

    def done(self, rows: Sequence[FileReport]) -> None:
        self._rows = rows

    def conclude(self, outcome: Outcome) -> None:
        """Take what came of the run."""
        self.outcome = outcome

    def facts(self) -> RunFacts:
        """Return all of it."""
        return RunFacts(
            exit_code=self.exit_code,
            config=self.config,
            outcome=self.outcome,
            rows=self._rows,
            verification=self._verification,
            skipped=self._skipped.by_name(),
            left_out=self.left_out.counted(),
            reports=[str(path) for path in self.reports.paths],
            error=self.error,
        )
