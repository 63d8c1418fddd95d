"""Server program that listens on 127.0.0.1 and leaves nothing behind."""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Self

from tests.support.programs import ServerError, path_of

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 3


def free_port() -> int:
    """Return a free TCP port of 127.0.0.1."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class ServerProcess:
    """Server program in a process group and a temporary folder of its own."""

    program: str

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    def _prepare(self) -> list[str]:
        """Choose ports, write the program's files into `_folder`, and return its arguments."""
        raise NotImplementedError

    def _ports(self) -> list[int]:
        return [self.port]

    def __enter__(self) -> Self:
        """Start the program, at another port if necessary, and wait until it answers."""
        program = path_of(self.program)
        for _ in range(START_ATTEMPTS):
            try:
                self._start(program)
                return self
            except ServerError as error:
                failure = error
        raise failure

    def _start(self, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{Path(self.program).name}-"))
        try:
            arguments = self._prepare()
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [program, *arguments],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._wait_until_it_answers(self._process)
        except BaseException:
            self._end()
            raise

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        waiting = self._ports()
        while waiting:
            if process.poll() is not None:
                raise ServerError(
                    f"{self.program} ended during its start with this output:\n{self.output()}"
                )
            if time.monotonic() > deadline:
                raise ServerError(f"{self.program} does not answer. Its output:\n{self.output()}")
            try:
                socket.create_connection((HOST, waiting[0]), timeout=1).close()
                waiting = waiting[1:]
            except OSError:
                time.sleep(0.02)

    def __exit__(self, *exception: object) -> None:
        """Kill the program and remove its folder."""
        self._end()

    def _end(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server abruptly, like a power cut."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def output(self) -> str:
        """Return the output of the server."""
        return (self._folder / "log").read_text(errors="replace")
