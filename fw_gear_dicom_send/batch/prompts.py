"""Prompts for the API key, if `fw login` has stored none, and for confirmation."""

import getpass
import json
import logging
import sys
from pathlib import Path

from ..cli.options import warn_of_readers
from ..errors import UsageError

log = logging.getLogger(__name__)

DEFAULT = Path("~/.config/flywheel/user.json")


def read_key(given: Path | None) -> str:
    """Return the API key in a file, by default that of `fw login`, or ask for the key.

    Raises UsageError, which never shows the key.
    """
    path = given or DEFAULT.expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if given:
            raise UsageError(f"--api-key-file: {path}: file not found") from None
        if not sys.stdin.isatty():
            problem = f"{DEFAULT} not found; run fw login or use --api-key-file"
            raise UsageError(f"no API key: {problem}") from None
        try:
            return getpass.getpass("API key: ").strip()
        except EOFError:
            raise UsageError("no API key was entered") from None
    except (OSError, ValueError):
        raise UsageError(f"--api-key-file: cannot read {path}") from None
    warn_of_readers("--api-key-file" if given else "API key", path)
    try:
        key = json.loads(text)["key"]
    except (KeyError, TypeError, ValueError, RecursionError):
        key = None
    if not isinstance(key, str) or not key:
        # The original exception quotes the file.
        raise UsageError(
            f'--api-key-file: {path} is invalid (expected {{"key": "<host>:<key>"}})'
        ) from None
    return key


def confirmed(question: str, assume_yes: bool) -> bool:
    """Return whether the user confirms; raise UsageError without a terminal."""
    if assume_yes:
        return True
    if not sys.stdin.isatty():
        raise UsageError("cannot ask for confirmation without a terminal; use --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    log.info("Cancelled; nothing was changed")
    return False
