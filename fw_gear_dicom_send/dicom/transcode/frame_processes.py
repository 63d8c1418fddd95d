"""Processes that decode or encode frames, lent to threads and kept for a run."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import Self

from .frame_decoder import ANSWER, MEMORY_TROUBLE, READY, Outcome
from .recoding import TooLargeError, UnconvertibleError

MAX_PROCESSES = 2
MAX_SMALL_FRAME = 2 << 20
OTHER_SIZE = "a frame has another size than the dataset says"
_KILLED = (-signal.SIGKILL,) if hasattr(signal, "SIGKILL") else ()


@dataclass(frozen=True)
class FrameTimeouts:
    """How long a process may take, in seconds: to start, and for a frame."""

    start: float = 60
    frame: float = 60


DEFAULT_TIMEOUTS = FrameTimeouts()


@dataclass(frozen=True)
class Program:
    """What a process runs, and what it does, in words.

    `arguments` are those of Python, before the process id of the gear. `done` is a participle;
    `failure` and `shortage` are what a frame fails for, the latter where memory is short.
    """

    name: str
    arguments: tuple[str, ...]
    done: str
    failure: str
    shortage: str


class UnsuitableError(UnconvertibleError):
    """A frame is sound, and cannot be encoded as is wanted."""


class _ProcessEndedError(Exception):
    """A process has ended, or is to be ended as it takes too long."""


class FrameProcesses:
    """Lends processes to threads: one for each core, and two at most.

    Frames over 2 MiB all go to the first. The mutable state is the processes, which of them
    nobody has, and whether this is closed; `_changed` guards it.
    """

    def __init__(self, program: Program, work: Path, timeouts: FrameTimeouts) -> None:
        """Start none yet; `work` is the folder for small temporary files."""
        self._program = program
        self._work = work
        self._timeouts = timeouts
        self._changed = Condition()
        self._processes: list[_Process | None] = [None] * min(MAX_PROCESSES, os.cpu_count() or 1)
        self._free = set(range(len(self._processes)))
        self._is_closed = False
        # A process ends with the thread that starts it, so that this one does nothing else.
        self._starter = ThreadPoolExecutor(1, f"{program.name}s")

    def __enter__(self) -> Self:
        """Return them."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """End all processes; what one is at fails."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            for number, process in enumerate(self._processes):
                if process and number in self._free:
                    process.end()
                elif process:
                    process.kill()
        self._starter.shutdown()

    @contextmanager
    def answer(
        self, request: bytes, data: Iterable[bytes], size: int, max_answer: int
    ) -> Iterator[Iterator[bytes]]:
        """Give a process a frame.

        Args:
            request: What the program is told before the frame.
            data: The frame, in chunks.
            size: Length of its pixels.
            max_answer: Length of an answer that is too long.

        Yields:
            What comes back, in chunks; one who leaves before their end, ends the process.

        Raises:
            UnconvertibleError: It cannot be done; raised by the chunks as well.
        """
        number = self._take(is_large=size > MAX_SMALL_FRAME)
        try:
            yield self._answer(self._process(number), request, data, max_answer)
        finally:
            self._give_back(number)

    def _answer(
        self, process: "_Process", request: bytes, data: Iterable[bytes], max_answer: int
    ) -> Iterator[bytes]:
        try:
            yield from process.answer(request, data, max_answer)
        except _ProcessEndedError as error:
            raise self._ended() if self._is_closed else process.failure() from error

    def _ended(self) -> UnconvertibleError:
        return UnconvertibleError(f"the run ended before it was {self._program.done}")

    def _take(self, *, is_large: bool) -> int:
        """Wait for a process, which takes no longer than its frames do."""
        with self._changed:
            while not self._is_closed and not (0 in self._free if is_large else self._free):
                self._changed.wait()
            if self._is_closed:
                raise self._ended()
            number = 0 if is_large else max(self._free)
            self._free.remove(number)
        return number

    def _process(self, number: int) -> "_Process":
        """Return a process, which is started the first time, or where it has ended meanwhile."""
        if process := self._processes[number]:
            if process.is_running:
                return process
            process.end()
        with self._changed:
            if self._is_closed:
                raise self._ended()
            starting = self._starter.submit(_Process, self._program, self._work, self._timeouts)
        started = starting.result()
        with self._changed:
            self._processes[number] = started
            if self._is_closed:
                started.kill()
        return started

    def _give_back(self, number: int) -> None:
        with self._changed:
            process = self._processes[number]
            if process and (self._is_closed or not process.is_idle):
                process.end()
                self._processes[number] = None
            self._free.add(number)
            self._changed.notify_all()


class _Process:
    """A process that is given one frame after the other; used by one thread at a time."""

    def __init__(self, program: Program, work: Path, timeouts: FrameTimeouts) -> None:
        """Start it; raises UnconvertibleError if it does not start."""
        self._program = program
        self._timeouts = timeouts
        self._deadline = monotonic() + timeouts.start
        self._is_late = False
        self.is_idle = False
        self._complaints = tempfile.TemporaryFile(dir=work)
        self._channel, far = socket.socketpair()
        try:
            with far:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-I", *program.arguments, str(os.getpid())],
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=self._complaints,
                    env={},
                )
        except OSError as error:  # too many processes, or no POSIX system
            self._channel.close()
            self._complaints.close()
            raise UnconvertibleError(f"the {program.name} does not start") from error
        try:
            self._receive(len(READY))
        except _ProcessEndedError as error:
            self.end()
            raise UnconvertibleError(f"the {program.name} does not start") from error

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def answer(self, request: bytes, data: Iterable[bytes], max_answer: int) -> Iterator[bytes]:
        """Yield what comes back for a frame.

        Raises UnconvertibleError if it is damaged, and _ProcessEndedError.
        """
        self.is_idle = False
        self._deadline = monotonic() + self._timeouts.frame
        self._send(request)
        for chunk in data:
            self._send(chunk)
        total = 0
        while length := self._length():
            total += length
            if total > max_answer:
                raise UnconvertibleError(OTHER_SIZE)
            yield self._receive(length)
            self._deadline = monotonic() + self._timeouts.frame
        self.is_idle = True

    def _length(self) -> int:
        """Take the length of a chunk; raises UnconvertibleError if there is no answer."""
        code, length = ANSWER.unpack(self._receive(ANSWER.size))
        if (outcome := Outcome(code)) is not Outcome.DONE:
            self.is_idle = True
            raise self._refusal(outcome)
        return int(length)

    def failure(self) -> UnconvertibleError:
        """Tell why it was ended."""
        if self._is_late:
            return UnconvertibleError(f"a frame takes more than {self._timeouts.frame:g} s")
        status = self._process.wait(self._timeouts.start)
        self._complaints.seek(0)
        # The system kills what takes too much memory.
        is_short = status in _KILLED or MEMORY_TROUBLE.search(self._complaints.read())
        return self._refusal(Outcome.OUT_OF_MEMORY if is_short else Outcome.DAMAGED)

    def kill(self) -> None:
        """Kill the process, from any thread; the one that uses it will see that."""
        self._process.kill()

    def end(self) -> None:
        """Kill the process, and close all."""
        self._process.kill()
        self._process.wait()
        self._channel.close()
        self._complaints.close()

    def _send(self, data: bytes) -> None:
        with self._in_time():
            self._channel.sendall(data)

    def _receive(self, size: int) -> bytes:
        data = bytearray()
        while len(data) < size:
            with self._in_time():
                received = self._channel.recv(size - len(data))
            if not received:
                raise _ProcessEndedError
            data += received
        return bytes(data)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Let a call on the socket take no longer than there is time for."""
        self._channel.settimeout(max(self._deadline - monotonic(), 0.001))
        try:
            yield
        except OSError as error:
            self._is_late = isinstance(error, TimeoutError)
            raise _ProcessEndedError from error

    def _refusal(self, outcome: Outcome) -> UnconvertibleError:
        if outcome is Outcome.OUT_OF_MEMORY:
            return TooLargeError(self._program.shortage)
        if outcome is Outcome.UNSUITABLE:
            return UnsuitableError("a frame cannot be held")
        if outcome is Outcome.DIFFERENT:
            return UnconvertibleError("a frame differs once it is decoded again")
        return UnconvertibleError(self._program.failure)
