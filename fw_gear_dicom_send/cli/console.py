"""What the commands tell people on standard error, line by line, and print as their result."""

import json
import logging
import os
import sys
from typing import Any, TextIO


class _StandardError(logging.Handler):
    """Writes to whatever standard error is now, so that a progress bar can stand in for it.

    If nobody reads it any more, or its disk is full, the run goes on without it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201
        except OSError:
            _discard(sys.stderr)


def begin_logging(formatter: logging.Formatter | None = None) -> None:
    """Log to standard error: on a terminal the bare words, else with the time.

    A `formatter` makes other lines of it.
    """
    handler = _StandardError()
    layout = "%(message)s" if sys.stderr.isatty() else "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(formatter or logging.Formatter(layout))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def write(text: str) -> None:
    """Write a result to standard output; whoever reads it may leave before its end."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)


def _discard(stream: TextIO) -> None:
    """Let what is left of a stream go nowhere: Python writes it once more when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(result: Any) -> None:
    """Write a result to standard output as JSON."""
    # In ASCII, so that it can be written whatever the locale is.
    write(json.dumps(result, indent=2) + "\n")
