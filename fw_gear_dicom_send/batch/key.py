"""The user's own API key: from where `fw login` keeps it, or asked for."""

import getpass
import json
import sys
from pathlib import Path

from ..errors import UsageError

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
