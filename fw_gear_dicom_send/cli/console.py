"""What the commands tell people on standard error, line by line, and print as their result."""

import json
import logging
import os
import sys
from typing import Any


class _StandardError(logging.Handler):
    """Writes to whatever standard error is now, so that a progress bar can stand in for it."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201


def begin_logging() -> None:
    """Log to standard error: on a terminal the bare words, else with the time."""
    handler = _StandardError()
    layout = "%(message)s" if sys.stderr.isatty() else "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(logging.Formatter(layout))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def write(text: str) -> None:
    """Write a result to standard output; whoever reads it may leave before its end."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        # Python writes what is left once more when it ends.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def write_json(result: Any) -> None:
    """Write a result to standard output as JSON."""
    # In ASCII, so that it can be written whatever the locale is.
    write(json.dumps(result, indent=2) + "\n")
