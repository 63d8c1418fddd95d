"""Start of `dicom-send`: imports only what its subcommand, or a text that it prints, needs."""

import logging
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from importlib import import_module

from ..errors import ExitCode, UsageError
from ..exit_codes import exit_code, silence_pydicom
from . import server_words
from .command_line import SUBCOMMANDS, parser
from .command_options import ROWS
from .console import begin_logging
from .parser import is_on
from .suggestions import check_subcommand

log = logging.getLogger(__name__)

_TEXTS = {"-h", "--help", "--help-all", "--version"}
"""Options that print a text and end the process."""


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line `argv`, or that of the process; return the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    formatter = None
    if is_on(ROWS["log_json"], words):
        from .json_log import JSONFormatter

        formatter = JSONFormatter()
    begin_logging(formatter)
    silence_pydicom()
    return exit_code(partial(_command, words))


def _command(argv: list[str]) -> int:
    if argv and argv[0] in SUBCOMMANDS:
        _warn_of_path(argv[0])
        return int(import_module(f".{argv[0]}", __package__).main(argv[1:]))
    if not argv and not os.environ.keys() & {ROWS["files_from"].variable}:
        sys.stderr.write(f"{parser().format_usage()}See dicom-send --help\n")
        return ExitCode.USAGE
    if _TEXTS & {*argv}:
        with suppress(UsageError):  # it follows
            check_subcommand(argv[0], SUBCOMMANDS)
            parser().read(argv)
    from .send import send  # it takes 0.1 s to import

    return send(argv)


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


if __name__ == "__main__":
    sys.exit(main())
