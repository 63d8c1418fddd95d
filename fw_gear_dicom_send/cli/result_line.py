"""Closing line of the command: the result, the page, and how to continue a run that ended early."""

import logging
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from ..account import Account
from ..errors import ExitCode
from ..report.result_line import result_line
from ..report_names import Report
from ..server_url import is_url, without_secrets
from ..text import printable
from . import server_words
from .console import command_line

log = logging.getLogger(__name__)
# --quiet hides all other lines of this level.
log.setLevel(logging.INFO)


def log_result(account: Account, argv: Sequence[str], resumed: Sequence[Path]) -> None:
    """Log the result of the command line `argv`; `resumed` are the reports of earlier runs."""
    is_good = account.exit_code == ExitCode.SUCCESS
    log.log(logging.INFO if is_good else logging.ERROR, "%s", closing_line(account, argv, resumed))


def closing_line(account: Account, argv: Sequence[str], resumed: Sequence[Path]) -> str:
    """Return the result as one line."""
    host, port, called_ae = account.server.key
    line = result_line(account, server_words.word_of(called_ae, host, port))
    if command := _continuing(account, argv, resumed):
        has_list = {"-", "--files-from=-"} & {*argv}
        paths = ", with the same paths on standard input" if has_list else ""
        return f"{line}. To continue{paths}: {command}"
    report = account.report(Report.PAGE) or next(iter(account.reports), "")
    return f"{line}; see {printable(_short(report))}" if report else line


def _continuing(account: Account, argv: Sequence[str], resumed: Sequence[Path]) -> str:
    """Return the command line that sends the rest of a run that ended early, or empty text."""
    if not account.cause or account.is_complete or account.is_dry:
        return ""
    words = [*(without_secrets(word) if is_url(word) else word for word in argv)]
    if images := account.report(Report.IMAGES):
        # `--resume last` in these words means the new report from now on.
        reports = [*(path for path in map(str, resumed) if path not in argv), images]
        words += [word for path in reports for word in ("--resume", _short(path))]
    elif account.sent:  # without that report, all images would be sent again
        return ""
    return command_line(words)


def _short(path: str) -> str:
    """Return a path relative to the current folder if it is below it, and not like an option."""
    with suppress(ValueError):
        path = str(Path(path).relative_to(Path.cwd()))
    return os.path.join(os.curdir, path) if path.startswith("-") else path
