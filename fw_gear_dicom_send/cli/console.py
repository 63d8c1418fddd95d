"""What the commands tell people: on standard error, line by line."""

import logging
import sys


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
