"""What the user is asked for: the API key, where `fw login` keeps none, and whether to go on."""

import getpass
import json
import logging
import sys
from pathlib import Path

from ..errors import UsageError

log = logging.getLogger(__name__)

DEFAULT = Path("~/.config/flywheel/user.json")


def read_key(given: Path | None) -> str:
    """Return the key in a file, or in that of `fw login`; ask for it where there is none.

    Raises UsageError, in which the key is not shown.
    """
    path = given or DEFAULT.expanduser()
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        if given:
            raise UsageError(f"--api-key-file: {path}: there is no such file") from None
        return _asked()
    except (OSError, ValueError):
        raise UsageError(f"--api-key-file: {path}: it cannot be read") from None
    try:
        key = json.loads(text)["key"]
    except (KeyError, TypeError, ValueError):
        key = None
    if not isinstance(key, str) or not key:
        # The cause quotes what the file holds.
        raise UsageError(f'--api-key-file: {path}: it is not {{"key": "<host>:<key>"}}') from None
    return key


def _asked() -> str:
    if not sys.stdin.isatty():
        raise UsageError(f"no API key: there is no {DEFAULT}; see --api-key-file")
    try:
        return getpass.getpass("API key: ").strip()
    except EOFError:
        raise UsageError("no API key was given") from None


def confirmed(question: str, is_sure: bool) -> bool:
    """Return whether the user, who may be sure already, says yes; raise UsageError for nobody."""
    if is_sure:
        return True
    if not sys.stdin.isatty():
        raise UsageError("there is no terminal to ask on whether to go on; see --yes")
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() in ("y", "yes"):
        return True
    log.info("Nothing was done")
    return False
