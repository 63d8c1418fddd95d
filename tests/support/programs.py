"""Programs that tests start beside the gear: servers, DCMTK's tools, OpenSSL, a browser.

The tests ask here for each of them. So `pytest --no-servers` skips every test that needs one,
whether the machine has it or not; and every test that listens on a port itself.
"""

import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path


class ServerError(Exception):
    """A server is not installed or does not start."""


@dataclass
class _Permission:
    is_given: bool = True


_permission = _Permission()


def withhold() -> None:
    """Skip each test that asks for a program, or starts a server, from now on."""
    import pytest

    def skip_servers(event: str, _: tuple[object, ...]) -> None:
        if event == "socket.bind":
            pytest.skip("--no-servers: no server is started")

    _permission.is_given = False
    sys.addaudithook(skip_servers)


def path_of(program: str) -> str:
    """Return where a program is installed.

    Raises:
        ServerError: The program is not installed.
        pytest.skip.Exception: The tests start no programs.
    """
    if not _permission.is_given:
        import pytest  # the demo, which starts servers as well, has no pytest

        pytest.skip(f"--no-servers: {program} is not started")
    # An environment that is active has programs of pynetdicom, which are named like DCMTK's.
    own = str(Path(sys.prefix) / "bin")
    folders = [one for one in os.environ.get("PATH", "").split(os.pathsep) if one != own]
    path = shutil.which(program, path=os.pathsep.join([*folders, "/usr/sbin", "/sbin"]))
    if path is None:
        raise ServerError(f"{program} is not installed")
    return path
