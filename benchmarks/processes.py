"""Time, CPU seconds and memory of a process that is run to its end."""

import contextlib
import os
import re
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

SECONDS_BETWEEN_SAMPLES = 0.05


@dataclass(frozen=True)
class ProcessRun:
    """Result of a process and its descendants; `output` is the output of the process."""

    exit_code: int
    seconds: float
    cpu_seconds: float
    peak_bytes: int
    output: str


def measure(
    command: Sequence[str], *, folder: Path, environment: Mapping[str, str], timeout: float
) -> ProcessRun:
    """Run a command in a new session; kill it after `timeout` seconds."""
    with tempfile.TemporaryFile() as printed:
        started = time.monotonic()
        process = subprocess.Popen(  # noqa: S603 - the benchmark's own commands
            command,
            cwd=folder,
            env=dict(environment),
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        timer = threading.Timer(timeout, _kill, [process.pid])
        timer.start()
        try:
            with _PeakMemory(process.pid) as memory:
                _, status, usage = os.wait4(process.pid, 0)
                seconds = time.monotonic() - started
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            timer.cancel()
            _kill(process.pid)
        printed.seek(0)
        output = printed.read().decode(errors="replace")
    cpu_seconds = usage.ru_utime + usage.ru_stime
    return ProcessRun(process.returncode, seconds, cpu_seconds, memory.bytes, output)


def _kill(session: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.killpg(session, signal.SIGKILL)


class _PeakMemory:
    """Watches the memory of a session's processes.

    `bytes` is the maximum sum of the peaks of concurrent processes. The rusage of a process is not
    suitable: until its exec it includes the memory of its parent.
    """

    def __init__(self, session: int) -> None:
        self.bytes = 0
        self._session = session
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch)

    def __enter__(self) -> "_PeakMemory":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._ended.wait(SECONDS_BETWEEN_SAMPLES):
            self.bytes = max(self.bytes, sum(map(_peak_bytes, self._processes())))

    def _processes(self) -> Iterable[int]:
        for process in (int(name) for name in os.listdir("/proc") if name.isdecimal()):
            with contextlib.suppress(ProcessLookupError):
                if os.getsid(process) == self._session:
                    yield process


def _peak_bytes(process: int) -> int:
    """Return the peak resident memory of a process, or 0 if it has ended."""
    try:
        status = Path(f"/proc/{process}/status").read_text()
    except OSError:
        return 0
    found = re.search(r"^VmHWM:\s+(\d+) kB$", status, re.MULTILINE)
    return int(found[1]) * 1024 if found else 0
