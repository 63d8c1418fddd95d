"""Processes forked from an interpreter that has imported the gear and the commands.

An interpreter takes 0.6 s to start and import them, a fork takes 0.03 s. The tests of start-up,
bounds and signals start real interpreters instead: see the fixture `real_starts`.

The process of the tests adopts each forked process, so that it can wait for it and signal it as
if `subprocess.Popen` had started it.
"""

import atexit
import ctypes
import gc
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

REPOSITORY = Path(__file__).resolve().parents[2]
COVERAGE_VARIABLES = ("COVERAGE_PROCESS_CONFIG", "COVERAGE_PROCESS_START")
PR_SET_CHILD_SUBREAPER = 36
MODULES = (
    "run",
    "fw_gear_dicom_send.batch.main",
    "fw_gear_dicom_send.cli.progress_bar",
    "fw_gear_dicom_send.cli.main",
    "fw_gear_dicom_send.network.query",
    "fw_gear_dicom_send.network.commitment",
    "pynetdicom",
)
STANDARD_FILES = 3


def unmeasured() -> dict[str, str]:
    """Return this environment for a program with limits, which coverage would exceed."""
    return {name: value for name, value in os.environ.items() if name not in COVERAGE_VARIABLES}


class ForkedProcess:
    """Process forked from the interpreter; its methods are those of `subprocess.Popen`."""

    def __init__(self, pid: int, args: Sequence[str]) -> None:
        self.pid = pid
        self.args = args
        self.returncode: int | None = None
        self._lock = threading.Lock()

    def poll(self) -> int | None:
        """Return the exit code, or None while the process runs."""
        with self._lock:
            if self.returncode is None:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
                self.returncode = os.waitstatus_to_exitcode(status) if pid else None
            return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """Wait for the end; after `timeout` seconds raise `subprocess.TimeoutExpired`."""
        with self._lock:
            ended = None if self.returncode is not None else os.pidfd_open(self.pid)
        if ended is not None:
            try:
                select.select([ended], [], [], timeout)
            finally:
                os.close(ended)
        if (code := self.poll()) is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return code

    def send_signal(self, number: int) -> None:
        """Send a signal if the process has not ended."""
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        """Send SIGTERM if the process has not ended."""
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Send SIGKILL if the process has not ended."""
        self.send_signal(signal.SIGKILL)


class Interpreter:
    """Interpreter without threads that forks a process for each request.

    The mutable state is the server process and its socket, which exist after the first request.
    """

    def __init__(self) -> None:
        self.is_allowed = sys.platform == "linux"
        self._lock = threading.Lock()
        self._control: socket.socket | None = None

    def start(
        self,
        args: Sequence[str],
        *,
        cwd: Path,
        env: Mapping[str, str],
        files: Sequence[int],
    ) -> ForkedProcess:
        """Run a script, or a function of a module, in a session of its own.

        Args:
            args: Path of the script or `module:function`, and the arguments.
            cwd: Its current folder.
            env: Its environment.
            files: Descriptors of its standard input, output and error.
        """
        with tempfile.TemporaryFile("w+") as request:
            json.dump({"args": args, "cwd": str(cwd), "env": dict(env)}, request)
            request.flush()
            with self._lock:
                control = self._control = self._control or _started()
                socket.send_fds(control, [b"."], [request.fileno(), *files])
                return ForkedProcess(int.from_bytes(control.recv(8)), args)


INTERPRETER = Interpreter()


def _started() -> socket.socket:
    """Start the server; it ends when the socket is closed."""
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    control, its_end = socket.socketpair()
    path = f"{Path(sys.executable).parent}:/usr/bin:/bin"
    fixed = {"PYTHONPATH": str(REPOSITORY), "PYTHONDONTWRITEBYTECODE": "1"}
    measured = {name: os.environ[name] for name in COVERAGE_VARIABLES if name in os.environ}
    server = subprocess.Popen(
        [sys.executable, "-m", __name__, str(its_end.fileno())],
        cwd=REPOSITORY,
        env={"PATH": path, "OPENBLAS_NUM_THREADS": "1", **fixed, **measured},
        stdin=subprocess.DEVNULL,
        pass_fds=[its_end.fileno()],
        start_new_session=True,
    )
    its_end.close()

    def end() -> None:
        control.close()
        server.wait()

    atexit.register(end)
    return control


def _serve(control: socket.socket) -> dict[str, Any] | None:
    """Fork for each request; return it in the forked process, and None at the end."""
    while True:
        _, files, _, _ = socket.recv_fds(control, 1, STANDARD_FILES + 1)
        if not files:
            return None
        pid_reader, pid_writer = os.pipe()
        if child := os.fork():
            os.waitpid(child, 0)  # The forked process now belongs to the process of the tests.
            control.send(os.read(pid_reader, 8))
            for number in (pid_reader, pid_writer, *files):
                os.close(number)
        elif pid := os.fork():
            os.write(pid_writer, pid.to_bytes(8))
            os._exit(0)
        else:
            control.close()
            os.close(pid_reader)
            os.close(pid_writer)
            return _become(files)


def _become(files: Sequence[int]) -> dict[str, Any]:
    """Turn this process into that of the request, as if it had just started."""
    with open(files[0], encoding="utf-8") as file:
        file.seek(0)
        request: dict[str, Any] = json.load(file)
    for number, descriptor in enumerate(files[1:]):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.setsid()
    os.chdir(request["cwd"])
    os.environ.clear()
    os.environ.update(request["env"])
    time.tzset()
    tempfile.tempdir = None
    sys.stdin = sys.__stdin__ = _opened(0, "r", sys.stdin)  # type: ignore[misc]
    sys.stdout = sys.__stdout__ = _opened(1, "w", sys.stdout)  # type: ignore[misc]
    sys.stderr = sys.__stderr__ = _opened(2, "w", sys.stderr)  # type: ignore[misc]
    if coverage := sys.modules.get("coverage"):  # It has measured the imports.
        coverage.Coverage.current().stop()
        coverage.process_startup(force=True)
    return request


def _opened(number: int, mode: str, like: Any) -> Any:
    return open(
        number,
        mode,
        buffering=1 if number == 2 or os.isatty(number) else -1,
        encoding=like.encoding,
        errors=like.errors,
        closefd=False,
    )


def _run(args: Sequence[str]) -> None:
    """Run a script, or a function of a module, and end the process like the interpreter does.

    The interpreter would also delete all modules, which takes longer than most runs.
    """
    target, *_ = sys.argv = list(args)
    module, colon, function = target.partition(":")
    code: object = None
    try:
        if colon:
            sys.argv[0], sys.path[0] = "-c", ""
            code = getattr(import_module(module), function)()
        else:
            sys.path[0] = os.getcwd()
            runpy.run_path(target, run_name="__main__")
    except SystemExit as end:
        code = end.code
    except BaseException:
        traceback.print_exc()
        code = 1
    if isinstance(code, str):
        sys.stderr.write(f"{code}\n")
    for thread in threading.enumerate():
        if not (thread.daemon or thread is threading.main_thread()):
            thread.join()
    atexit._run_exitfuncs()
    sys.stdout.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))


def _main() -> None:
    for name in MODULES:
        import_module(name)
    gc.collect()
    gc.freeze()
    assert threading.active_count() == len(os.listdir("/proc/self/task")) == 1
    if request := _serve(socket.socket(fileno=int(sys.argv[1]))):
        _run(request["args"])


if __name__ == "__main__":
    _main()
