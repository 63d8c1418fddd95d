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
from time import monotonic
from typing import TYPE_CHECKING

from ..config import MAX_PORT, manifest, parse_sending
from ..errors import ConfigError, DicomSendError, ExitCode, UsageError
from ..exit_codes import exit_code, log_details, log_errors, silence_pydicom
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
from .result_line import log_result

if TYPE_CHECKING:
    from ..network.commitment_listener import CommitmentListener

log = logging.getLogger(__name__)

_JSON = "--json"
_LOG_JSON = "--log-json"
_STAMP = "--stamp"

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
BRIEF_EPILOG = """\
dicom-send --help-all shows all options; dicom-send echo --help those of echo.

exit codes: 0 sent, 1 not all sent, 2 wrong usage, 3 no server, 4 not verified

example: dicom-send /data/study ARCHIVE@pacs.example.org:104
"""
_WORDS = {
    "calling_ae": "AE title of this computer. The server may have to know it.",
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
    "debug": "Log details: associations, presentation contexts, images, waits.",
}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, or that of the process; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    begin_logging(JSONFormatter() if options.is_on(_LOG_JSON, words) else None)
    silence_pydicom()
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
        help="A file, a folder or an archive. The last argument is the server: AE@HOST:PORT, or a "
        "name in servers.toml.",
    )
    paths.complete = options.COMPLETE_FIRST  # type: ignore[attr-defined]
    _add_files(made)
    options.add_server(made, _WORDS)
    options.add_tls(made)
    tag = made.add_argument_group("private element")
    tag.add_argument(
        _STAMP,
        action=BooleanOptionalAction,
        default=None,
        help="Add the private element to each dataset, so that Flywheel does not import it again. "
        "Default: datasets stay as they are.",
    )
    options.fill(tag, options.TAG)
    options.add_group(made, "sending", options.SENDING, _WORDS, short=True)
    proof = made.add_argument_group("proof of delivery")
    options.fill(proof, options.PROOF, short=True)
    proof.add_argument(
        "--resume",
        metavar="REPORT",
        type=Path,
        action="append",
        default=[],
        dest="earlier_reports",
        help="Skip images that an earlier run has sent to the same server, according to its "
        "per-image report (..._instances.csv). Repeatable.",
    ).complete = options.COMPLETE_FILE  # type: ignore[attr-defined]
    proof.add_argument(
        "--commit-port",
        metavar="N",
        type=int,
        help="With --verify commit: local port to listen on, for servers that report over a new "
        "association. Enter this computer's AE title, address and port on the server.",
    )
    options.add_group(made, "reports", options.REPORTS, _WORDS)
    options.add_report_folder(made, "the reports")
    made.add_argument(
        "--work-folder",
        metavar="FOLDER",
        type=Path,
        default=Path(gettempdir()),
        help="Folder for unpacking archives, one image at a time. Default: the system's folder for "
        "temporary files.",
    ).complete = options.COMPLETE_FOLDER  # type: ignore[attr-defined]
    made.add_argument(
        _JSON,
        action="store_true",
        help="Print a summary as JSON on standard output at the end, also after a failure.",
    )
    messages = made.add_argument_group("messages")
    options.fill(messages, ("debug",), _WORDS, short=True)
    messages.add_argument(
        "-q", "--quiet", action="store_true", help="Log errors and the result only."
    )
    messages.add_argument(
        _LOG_JSON,
        action="store_true",
        help="Log as JSON, one event per line: images, files, log messages, and the summary at "
        "the end.",
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
        help="A file with one path per line; - is standard input. Relative paths start at the "
        "current folder. Use it with or without PATH.",
    ).complete = options.COMPLETE_FILE  # type: ignore[attr-defined]
    files.add_argument(
        "--from0", action="store_true", help="Paths in the list end with NUL, as from find -print0."
    )
    options.fill(files, options.NAMES, _WORDS)


def _command(argv: list[str]) -> int:
    for word, run in (("echo", echo.run), ("servers", servers.run)):
        if argv[:1] == [word]:
            return run(argv[1:])
    told = _Told()
    started = monotonic()
    try:
        known = parser()
        arguments = known.read(argv)
        if arguments.values.debug:
            log_details()
        if arguments.values.quiet:
            log_errors()
        for name in options.unknown_variables(known):
            log.warning("%s: there is no such option; dicom-send --help-all shows all", name)
        code = told.exit_code = _run(arguments, told)
    except DicomSendError as exc:
        told.error, told.exit_code = str(exc), exc.exit_code
        if not told.is_begun:
            raise
        # The log has it, before all that it led to.
        return exc.exit_code
    finally:
        if told.is_begun and not options.is_on(_LOG_JSON, argv):
            log_result(told.facts(), monotonic() - started)
        if options.is_on(_LOG_JSON, argv):
            tell("summary", **summary(told.facts()))
        if options.is_on(_JSON, argv):
            write_json(summary(told.facts()))
    return code


def _run(arguments: options.Arguments, told: "_Told") -> int:
    values = arguments.values
    words: list[str] = values.paths or []
    if not words and values.files_from is None:
        raise UsageError("required: PATH or --files-from; see dicom-send --help")
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

    @property
    def is_begun(self) -> bool:
        """Whether the run came to its first image, or to an end without one."""
        return bool(self.outcome and (self.outcome.images or not self.error))

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
