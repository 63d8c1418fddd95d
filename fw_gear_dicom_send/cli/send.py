"""`dicom-send`: sends files and folders to a DICOM server through the gear's pipeline."""

import logging
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import replace
from functools import partial
from pathlib import Path
from time import monotonic
from typing import TYPE_CHECKING

from ..config import MAX_PORT, manifest, parse_sending
from ..errors import ConfigError, DicomSendError, UsageError
from ..exit_codes import exit_code, log_details, log_errors, silence_pydicom
from ..models import SendConfig
from ..reasons import Program
from ..report.events import ObserverGroup
from ..report.progress import Progress
from ..report.summary import summary
from ..report_names import time_in
from . import echo, options, server_words, servers, settings
from .command_line import JSON, LOG_JSON, STAMP, parser
from .console import begin_logging, write_json
from .environment import is_on, unknown_variables
from .json_log import JSONEvents, JSONFormatter, log_event
from .local_source import LocalSource
from .parser import Arguments
from .path_list import read_paths
from .result_line import log_result
from .results import Results

if TYPE_CHECKING:
    from ..network.commitment_listener import CommitmentListener

log = logging.getLogger(__name__)

_SUBCOMMANDS = {"echo": echo.run, "servers": servers.run}


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, or that of the process; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    begin_logging(JSONFormatter() if is_on(LOG_JSON, words) else None)
    silence_pydicom()
    return exit_code(partial(_command, words))


def _command(argv: list[str]) -> int:
    if argv and argv[0] in _SUBCOMMANDS:
        _warn_of_path(argv[0])
        return _SUBCOMMANDS[argv[0]](argv[1:])
    results = Results()
    started = monotonic()
    try:
        results.exit_code = _parse_and_run(argv, results)
    except DicomSendError as exc:
        results.error, results.exit_code = str(exc), exc.exit_code
        # Once the run has started, the pipeline has logged the error before its consequences.
        if not results.has_started:
            raise
    finally:
        _show(results, argv, monotonic() - started)
    return results.exit_code


def _warn_of_path(subcommand: str) -> None:
    """Log how to send a file or folder that has the name of a subcommand."""
    if os.path.lexists(subcommand):
        path = os.path.join(os.curdir, subcommand)
        log.warning(
            "Running the subcommand %s. To send the file or folder %s instead: dicom-send %s %s",
            subcommand,
            subcommand,
            path,
            server_words.FORM,
        )


def _parse_and_run(argv: list[str], results: Results) -> int:
    known = parser()
    arguments = known.read(argv)
    if arguments.values.debug:
        log_details()
    if arguments.values.quiet:
        log_errors()
    actions = [action for group in known.groups() for action in group.actions]
    for name in unknown_variables(actions):
        log.warning("%s: unknown option; see dicom-send --help-all", name)
    return _run(arguments, results)


def _show(results: Results, argv: Sequence[str], seconds: float) -> None:
    """Log the closing line, and write the summary for programs if an option asks for it."""
    if is_on(LOG_JSON, argv):
        log_event("summary", **summary(results.facts()))
    elif results.has_started:
        log_result(results.facts(), seconds)
    if is_on(JSON, argv):
        write_json(summary(results.facts()))


def _run(arguments: Arguments, results: Results) -> int:
    values = arguments.values
    words: list[str] = values.paths or []
    if not words and values.files_from is None:
        raise UsageError("PATH or --files-from is required; see dicom-send --help")
    chosen = settings.read(arguments, words)
    if not chosen.paths and values.files_from is None:
        raise UsageError(f"{words[-1]} is the server; write a PATH before it, or use --files-from")
    listed: Sequence[Path] = ()
    if values.files_from is not None:
        listed = read_paths(values.files_from, ends_with_nul=values.from0)
    try:
        config = results.config = _config(chosen, arguments)
        _check_paths(chosen.paths)
        source = LocalSource(
            chosen.paths, config.names, listed=listed, shows_names=config.show_member_names
        )
        results.left_out = source.left_out
        earlier = _earlier_reports(values)
        folder = options.report_folder(values)
        # The pipeline takes long to import, and neither --help nor an error above needs it.
        from .. import senders
        from ..run import run

        with ExitStack() as stack:
            listener = _listener(values, config)
            if listener:
                stack.enter_context(listener)
            sender = senders.of(config, values.work_folder, listener=listener)
            outcome = run(
                config,
                source,
                stack.enter_context(sender),
                results.reports,
                work=values.work_folder,
                output=folder,
                observer=ObserverGroup([results, JSONEvents()]) if values.log_json else results,
                make_progress=_progress(is_bar=not (values.log_json or values.quiet)),
                conclude=results.conclude,
                earlier_reports=(lambda _: earlier) if earlier else None,
            )
        return outcome.exit_code
    except ConfigError as exc:
        raise chosen.as_usage(exc) from exc


def _check_paths(paths: Sequence[Path]) -> None:
    """Raise UsageError for a missing path that looks like a server."""
    for path in paths:
        word = str(path)
        if not os.path.lexists(word) and (hint := server_words.hint(word)):
            raise UsageError(f"{word}: not found; {hint}")


def _earlier_reports(values: Namespace) -> list[Path]:
    """Return the reports of earlier runs, the oldest first by the times in their names.

    Raises UsageError for a missing file.
    """
    reports: list[Path] = sorted(values.earlier_reports, key=lambda path: time_in(path.name))
    for path in reports:
        if not os.path.isfile(path):
            raise UsageError(f"--resume: {path}: file not found")
    return reports


def _listener(values: Namespace, config: SendConfig) -> "CommitmentListener | None":
    """Return the listener for storage commitment reports, or None if the run needs none.

    Raises UsageError for a port that is invalid or without effect.
    """
    port: int | None = values.commit_port
    if port is None:
        return None
    if not 1 <= port <= MAX_PORT:
        raise UsageError(f"--commit-port: {port} was given; allowed: a port from 1 to {MAX_PORT}")
    if config.verify != "commit":
        raise UsageError("--commit-port needs --verify commit")
    if config.tls and not config.tls.certificate:
        raise UsageError("--commit-port with --tls-enabled needs --key and --cert")
    if config.dry_run:
        return None
    # pynetdicom takes long to import, and few runs listen.
    from ..network.commitment_listener import CommitmentListener

    return CommitmentListener(port, config.query_peer or config.peer, config.tls)


def _progress(*, is_bar: bool) -> Callable[..., Progress]:
    """Return the factory of the progress: a bar on a terminal, or else lines in the log."""
    if not is_bar or not sys.stderr.isatty():
        return partial(Progress, noun=Program.COMMAND.row_noun)
    # rich takes 0.03 s to import.
    from .progress_bar import ProgressBar

    return ProgressBar


def _config(chosen: settings.Settings, arguments: Arguments) -> SendConfig:
    """Return the checked configuration; raise ConfigError or UsageError."""
    config = parse_sending(chosen.options, chosen.inputs, manifest())
    is_stamped = chosen.options["stamp"]
    if not isinstance(is_stamped, bool):
        raise ConfigError("stamp", is_stamped, "true or false")
    unused = [name for name in options.TAG if name in arguments.typed and not is_stamped]
    if unused:
        raise UsageError(f"{options.flag(unused[0])} needs {STAMP}")
    return config if is_stamped else replace(config, tag=None)


if __name__ == "__main__":
    sys.exit(main())
