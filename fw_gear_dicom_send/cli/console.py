"""Output of the commands: log lines on standard error, results on standard output."""

import logging
import os
import re
import sys
from collections.abc import Sequence
from typing import Any, TextIO

from ..errors import DicomSendError


class _StandardError(logging.Handler):
    """Handler that looks up standard error for each line, as a progress bar replaces it.

    If writing fails, because the reader has left or the disk is full, the run continues silently.
    """

    def emit(self, record: logging.LogRecord) -> None:
        """Write a line."""
        try:
            print(self.format(record), file=sys.stderr, flush=True)  # noqa: T201
        except OSError:
            _discard(sys.stderr)


def begin_logging(formatter: logging.Formatter | None = None) -> None:
    """Log to standard error, with time and level unless it is a terminal.

    A `formatter` replaces this format. If standard error is closed, it becomes the null device.
    """
    if not sys.stderr:
        sys.stderr = open(os.devnull, "w", encoding="utf-8")
    handler = _StandardError()
    layout = "%(message)s" if sys.stderr.isatty() else "%(asctime)s %(levelname)s %(message)s"
    handler.setFormatter(formatter or logging.Formatter(layout))
    logging.basicConfig(handlers=[handler], level=logging.INFO)


def command_line(words: Sequence[str]) -> str:
    """Return a command line of this program, ready to copy, in one printable line."""
    line = ["dicom-send", *words]
    if os.name == "nt":
        from subprocess import list2cmdline

        return list2cmdline(line)
    return " ".join(map(_quoted, line))


def _quoted(word: str) -> str:
    """Return a word for a shell, with escapes that Bash and Zsh know where it needs any."""
    if word.isprintable():
        import shlex

        return shlex.quote(word)
    shown = (
        re.sub(r"[\\']", r"\\\g<0>", char)
        if char.isprintable()
        else "".join(f"\\x{byte:02x}" for byte in os.fsencode(char))
        for char in word
    )
    return f"$'{''.join(shown)}'"


def write(text: str) -> None:
    """Write a result to standard output, in its encoding; ignore a reader that has left.

    Raises DicomSendError if writing fails for another reason: a full disk, a closed stream.
    """
    if not sys.stdout:
        raise DicomSendError("Cannot write to standard output: it is closed")
    encoding = sys.stdout.encoding or "utf-8"
    try:
        sys.stdout.write(text.encode(encoding, "backslashreplace").decode(encoding))
        sys.stdout.flush()
    except BrokenPipeError:
        _discard(sys.stdout)
    except OSError as exc:
        _discard(sys.stdout)
        raise DicomSendError(f"Cannot write to standard output: {exc.strerror}") from exc


def _discard(stream: TextIO) -> None:
    """Redirect a stream to the null device, as Python flushes its buffer again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), stream.fileno())


def write_json(result: Any) -> None:
    """Write a result to standard output as JSON."""
    import json

    # ASCII can be written in any locale.
    write(json.dumps(result, indent=2) + "\n")
