"""`dicom-send`: sends files and folders to a DICOM server through the gear's pipeline."""

import logging
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import TYPE_CHECKING

from ..account import Account
from ..config import SendConfig
from ..errors import DicomSendError, ExitCode, UsageError
from ..exit_codes import log_details
from ..models import Origin
from ..option_types import check_all
from ..option_values import ConversionMode
from ..options import OPTIONS
from ..reasons import Program
from ..report.events import Observer, ObserverGroup
from ..report.progress import Progress
from ..report.schemas import summary
from ..server_url import ServerURL
from ..values import field, mutable, replace
from . import options, server_words, settings
from .command_line import SUBCOMMANDS, parser
from .command_options import COMMAND_OPTIONS, ROWS, CommandOptions
from .console import write_json
from .failed_list import FailedList
from .json_log import JSONEvents, log_event
from .local_source import LocalReports, LocalSource, read_paths
from .parser import Arguments, is_on
from .report_folder import folder_for_run, reports_to_resume
from .result_line import log_result
from .suggestions import check_subcommand, own_form

if TYPE_CHECKING:
    from ..network.commitment_listener import CommitmentListener

log = logging.getLogger(__name__)


@mutable
class _Results:
    """Results of the command so far."""

    account: Account = field(default_factory=Account)
    reports: LocalReports = field(default_factory=LocalReports)
    failed: FailedList | None = None
    resumed: Sequence[Path] = ()

    def conclude(self, account: Account) -> None:
        """Keep the account of the run, and complete the list of failed files."""
        self.account = account
        if self.failed:
            self.failed.conclude(account)


REASONS_LOG = f"{__package__.rpartition('.')[0]}.report.publish"
"""Logger of the reasons why images were not sent. It takes long to import."""


def send(argv: list[str]) -> int:
    """Send what a command line says; return the exit code. Raises DicomSendError."""
    results = _Results()
    code: int = ExitCode.NOT_ALL_SENT
    error: DicomSendError | None = None
    try:
        with own_form(argv):
            code = _parse_and_run(argv, results)
    except DicomSendError as exc:
        error, code = exc, exc.exit_code
        # Once the run has started, the pipeline has logged the error before its consequences.
        if not replace(results.account, error=error).has_started:
            raise
    finally:
        reports = [str(path) for path in results.reports.paths]
        known = replace(results.account, error=error, error_code=code, reports=reports)
        _show(known, argv, results.resumed)
    return code


def _parse_and_run(argv: list[str], results: _Results) -> int:
    if argv:
        check_subcommand(argv[0], SUBCOMMANDS)
    known = parser()
    arguments = known.read(argv)
    known.warn_of_variables()
    if arguments.values.get("debug"):
        log_details()
    if arguments.values.get("quiet"):
        logging.getLogger().setLevel(logging.ERROR)
        logging.getLogger(REASONS_LOG).setLevel(logging.WARNING)
    return _run(arguments, results)


def _show(account: Account, argv: Sequence[str], resumed: Sequence[Path]) -> None:
    """Log the closing line, and write the summary for programs if an option asks for it."""
    if is_on(ROWS["log_json"], argv):
        log_event("summary", **summary(account))
    elif account.has_started:
        log_result(account, argv, resumed)
    if is_on(ROWS["json"], argv):
        write_json(summary(account))


def _run(arguments: Arguments, results: _Results) -> int:
    values = arguments.values
    has_list = "files_from" in values
    if not (arguments.words or has_list):
        raise UsageError("PATH or --files-from is required; see dicom-send --help")
    chosen = settings.read(arguments)
    if not chosen.paths and not has_list:
        word = arguments.words[-1]
        raise UsageError(f"{word} is the server; write a PATH before it, or use --files-from")
    with options.naming(chosen.origins):
        command = CommandOptions(**check_all(COMMAND_OPTIONS, values))
        listed: Sequence[str] = ()
        if command.files_from is not None:
            listed = read_paths(command.files_from, ends_with_nul=command.from0)
        config = chosen.config()
        results.account = Account(
            server=config.server, options=tuple(config.in_effect()), origin=Origin(Program.COMMAND)
        )
        _check(config, arguments, chosen.paths)
        source = LocalSource(chosen.paths, config.names, listed=listed)
        results.resumed = earlier = reports_to_resume(
            command.earlier_reports, command.report_folder, config.server.key
        )
        # The pipeline takes long to import, and neither --help nor an error above needs it.
        from .. import senders
        from ..run import run

        work = command.work_folder or Path(gettempdir())
        with (
            folder_for_run(command.report_folder, is_needed=bool(config.report_files)) as folder,
            _listener(command.commit_port, config) or nullcontext() as listener,
            senders.of(config, work, listener=listener) as sender,
        ):
            observers: list[Observer] = [JSONEvents()] if command.log_json else []
            if command.failed_list:
                results.failed = FailedList(command.failed_list, ends_with_nul=command.from0)
                observers.append(results.failed)
            account = run(
                config,
                source,
                sender,
                results.reports,
                work=work,
                output=folder,
                observer=ObserverGroup(observers) if observers else None,
                make_progress=_progress(is_bar=not (command.log_json or command.quiet)),
                conclude=results.conclude,
                earlier_reports=(lambda _: earlier) if earlier else None,
            )
        return account.exit_code


def _check(config: SendConfig, arguments: Arguments, paths: Sequence[str]) -> None:
    """Raise UsageError for a missing path like a server, or for an option without the element."""
    for row in OPTIONS:
        if row.needs == "stamp" and row.name in arguments.typed and not config.stamp:
            raise UsageError(f"{row.flag} needs --stamp")
    if config.conversion is ConversionMode.LOSSLESS:
        options.require("compression", "imagecodecs", "--conversion lossless")
    for word in paths:
        if not os.path.lexists(word) and (hint := server_words.hint(word)):
            raise UsageError(f"{word}: not found; {hint}")


def _listener(port: int | None, config: SendConfig) -> "CommitmentListener | None":
    """Return the listener for storage commitment reports, or None if the run needs none.

    Raises UsageError for a port without effect.
    """
    if port is None:
        return None
    if config.verify != "commit" or isinstance(config.address, ServerURL):
        raise UsageError("--commit-port needs --verify commit")
    if config.tls and not config.tls.certificate:
        raise UsageError("--commit-port with --tls-enabled needs --key and --cert")
    if config.dry_run:
        return None
    # pynetdicom takes long to import, and few runs listen.
    from ..network.commitment_listener import CommitmentListener

    return CommitmentListener(port, config.query_peer or config.address, config.tls)


def _progress(*, is_bar: bool) -> Callable[..., Progress]:
    """Return the factory of the progress: a bar on a terminal, or else lines in the log."""
    if not is_bar or not sys.stderr.isatty():
        return partial(Progress, noun=Program.COMMAND.row_noun)
    # rich takes 0.03 s to import.
    from .progress_bar import ProgressBar

    return ProgressBar
