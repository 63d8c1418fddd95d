"""Programs that tests start: servers, DCMTK's tools, OpenSSL, a browser.

Tests locate each program here. With `pytest --no-servers`, every test that needs a program is
skipped, whether it is installed or not. Servers in Python run in the process of the tests.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn


class ServerError(Exception):
    """A server is not installed or does not start."""


@dataclass
class _Permission:
    is_given: bool = True


_permission = _Permission()


def withhold() -> None:
    """From now on, skip each test that locates a program."""
    _permission.is_given = False


def skip_outside_ci(reason: str) -> NoReturn:
    """Skip the test on a machine that lacks something. In CI, fail it unless MAY_SKIP is set."""
    import pytest

    if os.environ.get("CI") and not os.environ.get("MAY_SKIP"):
        pytest.fail(reason)
    pytest.skip(reason)


def path_of(program: str) -> str:
    """Return the path of an installed program.

    Raises:
        ServerError: The program is not installed.
        pytest.skip.Exception: The tests may not start programs.
    """
    if not _permission.is_given:
        import pytest  # The demo also starts servers but has no pytest.

        pytest.skip(f"--no-servers: the test needs {program}")
    # An active environment has pynetdicom programs with the same names as DCMTK's.
    own = str(Path(sys.prefix) / "bin")
    folders = [one for one in os.environ.get("PATH", "").split(os.pathsep) if one != own]
    path = shutil.which(program, path=os.pathsep.join([*folders, "/usr/sbin", "/sbin"]))
    if path is None:
        raise ServerError(f"{program} is not installed")
    return path
