"""Installed console scripts, each run in a separate process."""

import os
import pty
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.gear import MAX_RUN_SECONDS, SYSTEM_PATH
from tests.support.preloaded import COVERAGE_VARIABLES, INTERPRETER, REPOSITORY, ForkedProcess

TERMINAL_WIDTH = 80


@dataclass(frozen=True)
class CommandResult:
    """Exit code and output of a command."""

    exit_code: int
    stdout: str
    stderr: str


def place_of(script: str) -> str:
    """Return module and function of a script of pyproject.toml."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return str(project["scripts"][script])


def arguments_of(script: str, *arguments: object) -> list[str]:
    """Return the command line for a script of pyproject.toml."""
    module, function = place_of(script).split(":")
    code = f"import sys; from {module} import {function}; sys.exit({function}())"
    return [sys.executable, "-c", code, *map(str, arguments)]


def run(
    script: str,
    *arguments: object,
    cwd: Path,
    given: str = "",
    timeout: float = MAX_RUN_SECONDS,
    variables: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run a script without a terminal, with `given` on its standard input.

    `variables` are added to its environment.
    """
    with (
        tempfile.TemporaryFile("w+") as stdin,
        tempfile.TemporaryFile("w+") as stdout,
        tempfile.TemporaryFile("w+") as stderr,
    ):
        stdin.write(given)
        stdin.seek(0)
        process = _started(
            script,
            arguments,
            cwd=cwd,
            env=environment() | dict(variables or {}),
            files=(stdin.fileno(), stdout.fileno(), stderr.fileno()),
        )
        try:
            process.wait(timeout)
        finally:
            process.kill()
        for file in (stdout, stderr):
            file.seek(0)
        return CommandResult(process.wait(), stdout.read(), stderr.read())


def run_on_terminal(
    script: str,
    *arguments: object,
    cwd: Path,
    interrupt_at: Callable[[str], bool] = lambda _: False,
    typed: str = "",
    columns: int = TERMINAL_WIDTH,
    variables: Mapping[str, str] | None = None,
) -> CommandResult:
    """Run a script on a terminal; all its output is returned as `stdout`.

    `variables` are added to its environment. `typed` is the user's input. SIGINT is sent once, as
    soon as `interrupt_at` returns true for the output so far.
    """
    master, slave = pty.openpty()
    process = _started(
        script,
        arguments,
        cwd=cwd,
        env={**environment(), "TERM": "xterm", "COLUMNS": str(columns), **(variables or {})},
        files=(slave, slave, slave),
    )
    os.close(slave)
    os.write(master, typed.encode())
    printed, is_interrupted = "", False
    try:
        while data := _read(master):
            printed += data.decode(errors="replace")
            if not is_interrupted and interrupt_at(printed):
                is_interrupted = True
                process.send_signal(signal.SIGINT)
        return CommandResult(process.wait(timeout=MAX_RUN_SECONDS), printed, "")
    finally:
        process.kill()
        process.wait()
        os.close(master)


def start(script: str, *arguments: object, cwd: Path) -> "subprocess.Popen[str]":
    """Start a script without a terminal."""
    return subprocess.Popen(
        arguments_of(script, *arguments),
        cwd=cwd,
        env=environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def environment() -> dict[str, str]:
    """Return a minimal environment, so that the tester's variables have no effect.

    It prevents writing compiled modules: with a file size limit they would be incomplete. Reports
    are written to the current folder.
    """
    kept = {name: os.environ[name] for name in COVERAGE_VARIABLES if name in os.environ}
    path = f"{Path(sys.executable).parent}:{SYSTEM_PATH}"
    fixed = {"PYTHONPATH": str(REPOSITORY), "HOME": "/nonexistent", "PYTHONDONTWRITEBYTECODE": "1"}
    return {"PATH": path, "DICOM_SEND_REPORT_FOLDER": ".", **fixed, **kept}


def _started(
    script: str,
    arguments: Sequence[object],
    *,
    cwd: Path,
    env: Mapping[str, str],
    files: Sequence[int],
) -> "subprocess.Popen[str] | ForkedProcess":
    """Start a script in a session of its own; an option of Python needs a real start."""
    if INTERPRETER.is_allowed and "PYTHONIOENCODING" not in env:
        args = [place_of(script), *map(str, arguments)]
        return INTERPRETER.start(args, cwd=cwd, env=env, files=files)
    stdin, stdout, stderr = files
    return subprocess.Popen(
        arguments_of(script, *arguments),
        cwd=cwd,
        env=env,
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # The other side is closed.
        return b""
