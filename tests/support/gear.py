"""Folder in which Flywheel's engine runs a gear, and the gear's run in it."""

import compileall
import contextlib
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import IO, Any

from tests.support.preloaded import (
    COVERAGE_VARIABLES,
    INTERPRETER,
    REPOSITORY,
    ForkedProcess,
)

IN_THE_IMAGE = ("run.py", "manifest.json", "fw_gear_dicom_send")
MOUNTED = ("input", "output", "work", "config.json", "manifest.json")
SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
MAX_START_SECONDS = 300.0
"""Seconds to wait for an action of a gear that has just started, on a very slow machine."""
MAX_RUN_SECONDS = 600.0


def manifest() -> dict[str, Any]:
    """Return the gear's manifest."""
    found: dict[str, Any] = json.loads((REPOSITORY / "manifest.json").read_text())
    return found


def ignores_sigterm(pid: int) -> bool:
    """Return whether a process ignores SIGTERM, as it does after the first signal."""
    status = Path(f"/proc/{pid}/status").read_text()
    ignored = int(re.findall(r"SigIgn:\s*(\w+)", status)[0], 16)
    return bool(ignored >> (signal.SIGTERM - 1) & 1)


@dataclass(frozen=True)
class GearResult:
    """Exit code and output of a gear run; `output` is the content of its output folder.

    `metadata` is the file for the engine in that folder, which does not count as output.
    """

    exit_code: int
    stdout: str
    stderr: str
    seconds: float
    output: tuple[Path, ...]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    @property
    def log(self) -> str:
        """All output of the gear."""
        return self.stdout + self.stderr


class RunningGear:
    """Running gear; `pid` is the process that the engine would signal."""

    def __init__(
        self,
        folder: Path,
        process: "subprocess.Popen[str] | ForkedProcess",
        stdout: IO[str],
        stderr: IO[str],
    ) -> None:
        self.pid = process.pid
        self._folder = folder
        self._process = process
        self._started = time.monotonic()
        self._stdout, self._stderr = _Output(stdout), _Output(stderr)

    @property
    def log(self) -> str:
        """All output of the gear so far."""
        return self._stdout.text() + self._stderr.text()

    @property
    def seconds(self) -> float:
        """Seconds since the start of the gear."""
        return time.monotonic() - self._started

    def is_ending(self) -> bool:
        """Return whether the gear has received a signal to end; it then ignores further ones."""
        if self._process.poll() is not None:
            return True
        return ignores_sigterm(self.pid)

    def cancel(self) -> None:
        """Send SIGTERM, as the engine does when a job is cancelled."""
        self._process.terminate()

    def finish(self, timeout: float = MAX_RUN_SECONDS) -> GearResult:
        """Wait for the gear's end; after `timeout` seconds kill it and raise TimeoutExpired."""
        deadline = time.monotonic() + timeout
        try:
            for output in (self._stdout, self._stderr):
                if not output.is_closed(deadline - time.monotonic()):
                    raise subprocess.TimeoutExpired(self._process.args, timeout)
            self._process.wait(timeout=max(deadline - time.monotonic(), 0))
        finally:
            self.kill()
        metadata = self._folder / "output" / ".metadata.json"
        left = sorted(path for path in (self._folder / "output").rglob("*") if path.is_file())
        return GearResult(
            self._process.returncode,
            self._stdout.text(),
            self._stderr.text(),
            self.seconds,
            tuple(path for path in left if path != metadata),
            json.loads(metadata.read_text()) if metadata in left else {},
        )

    def kill(self) -> None:
        """Kill the gear and all its child processes."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.pid, signal.SIGKILL)
        self._process.wait()
        for output in (self._stdout, self._stderr):  # Until none of them has the pipes open.
            output.is_closed()


class _Output:
    """Output of a process to a pipe, read continuously."""

    def __init__(self, pipe: IO[str]) -> None:
        self._lines: list[str] = []
        self._thread = threading.Thread(target=self._read, args=(pipe,), daemon=True)
        self._thread.start()

    def text(self) -> str:
        """Return all lines so far."""
        return "".join(self._lines)

    def is_closed(self, seconds: float | None = None) -> bool:
        """Wait until no process has the pipe open, up to a time limit; return success."""
        self._thread.join(None if seconds is None else max(seconds, 0))
        return not self._thread.is_alive()

    def _read(self, pipe: IO[str]) -> None:
        with pipe:
            for line in pipe:
                self._lines.append(line)


class GearFolder:
    """`/flywheel/v0` as created by the engine: the image's files, config.json, inputs, outputs.

    `environment` has variables in addition to those of the manifest.

    Args:
        folder: Parent folder; created if it does not exist.
        config: Options of the gear; the manifest's defaults are used for missing ones.
        api_key: The `api-key` input, or None.
        destination_id: Id of the container on which the gear runs.
        destination_type: Type of that container.
    """

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, object],
        *,
        api_key: str | None,
        destination_id: str,
        destination_type: str = "session",
    ) -> None:
        self.folder = folder
        self.environment: dict[str, str] = {}
        for name in ("input", "output", "work"):
            (folder / name).mkdir(parents=True)
        for name in IN_THE_IMAGE:
            source = REPOSITORY / name
            if source.is_dir():
                (folder / name).symlink_to(source)  # Its modules are compiled once.
            else:
                shutil.copy2(source, folder / name)
        self._manifest = json.loads((folder / "manifest.json").read_text())
        defaults = {
            name: option["default"]
            for name, option in self._manifest.get("config", {}).items()
            if "default" in option
        }
        self.config: dict[str, Any] = {
            "config": defaults | dict(config),
            "inputs": {},
            "destination": {"type": destination_type, "id": destination_id},
            "job": {"id": "66f0aa11bb22cc33dd44ee55"},
        }
        if api_key is not None:
            self.config["inputs"]["api-key"] = {"base": "api-key", "key": api_key}

    def compile(self) -> None:
        """Compile all Python files, as the image build does."""
        compileall.compile_dir((self.folder / "fw_gear_dicom_send").resolve(), quiet=1)

    def give(
        self,
        name: str,
        content: bytes | Path,
        *,
        parent_id: str,
        parent_type: str = "acquisition",
        input_name: str = "file",
        file_type: str | None = "dicom",
        record: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        """Provide a Flywheel file as an input; its parent is the container that holds the file.

        The `record` is that of the file when the job is created. Old sites have no version in it.
        """
        path = self.folder / "input" / input_name / name
        path.parent.mkdir()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            shutil.copyfile(content, path)
        self.config["inputs"][input_name] = {
            "base": "file",
            "hierarchy": {"type": parent_type, "id": parent_id},
            "location": {"name": name, "path": str(path)},
            "object": {
                "type": file_type,
                "mimetype": "application/octet-stream",
                "modality": None,
                "size": path.stat().st_size,
                "info": {},
                "tags": [],
                "classification": {},
                **{key: record[key] for key in ("file_id", "version") if key in record},
            },
        }

    def start(self) -> RunningGear:
        """Start the manifest's command as the engine does, with a minimal environment."""
        (self.folder / "config.json").write_text(json.dumps(self.config))
        (stdout, its_stdout), (stderr, its_stderr) = os.pipe(), os.pipe()
        process: subprocess.Popen[str] | ForkedProcess
        match shlex.split(self._manifest["command"]):
            case ["exec", "python", *args] if INTERPRETER.is_allowed:
                with open(os.devnull) as empty:
                    process = INTERPRETER.start(
                        args,
                        cwd=self.folder,
                        env=self._environment(),
                        files=(empty.fileno(), its_stdout, its_stderr),
                    )
            case _:
                process = subprocess.Popen(
                    ["/bin/sh", "-c", self._manifest["command"]],
                    cwd=self.folder,
                    env=self._environment(),
                    stdin=subprocess.DEVNULL,
                    stdout=its_stdout,
                    stderr=its_stderr,
                    text=True,
                    start_new_session=True,
                )
        os.close(its_stdout)
        os.close(its_stderr)
        return RunningGear(self.folder, process, open(stdout), open(stderr))

    def run(self, timeout: float = MAX_RUN_SECONDS) -> GearResult:
        """Run the gear to its end; after `timeout` seconds kill it and raise TimeoutExpired."""
        return self.start().finish(timeout)

    def _environment(self) -> dict[str, str]:
        environment: dict[str, str] = self._manifest.get("environment", {}) | self.environment
        path = environment.get("PATH", SYSTEM_PATH)
        environment["PATH"] = f"{Path(sys.executable).parent}:{path}"
        for name in COVERAGE_VARIABLES:
            if name in os.environ:
                environment[name] = os.environ[name]
        return environment
