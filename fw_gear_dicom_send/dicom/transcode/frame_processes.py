"""Pool of processes that decode or encode frames, shared by threads and kept for a run."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import Self

from ...reasons import Kind
from ...values import frozen
from .capacity import max_processes, usable_cores
from .frame_decoder import ANSWER, MEMORY_ERROR, READY, SECONDS, FrameOutcome
from .recoding import TooLargeError, UnconvertibleError

MAX_SMALL_FRAME = 2 << 20
MEBIBYTE = 1 << 20
PATIENCE = 4
"""Seconds to wait for a second of CPU time, as other programs may use the machine."""
FREE = 0.1
"""Seconds to wait for any frame that are not overtime."""
OTHER_SIZE = "the size of a frame differs from the dataset"
_KILLED, _LATE = (-getattr(signal, name, 256) for name in ("SIGKILL", "SIGXCPU"))


@frozen
class FrameTimeouts:
    """Timeouts in seconds: to start a process, and CPU time for a frame and for each MiB of it.

    `overtime` is the time that a run waits for slow frames in total, before it gives up.

    Measured at 2.6 GHz, the slowest real frames take 0.24 s for each MiB: 16-bit noise that is
    encoded as JPEG 2000 and compared. Decoding takes up to 0.14 s.
    """

    start: float = 60
    frame: float = 5
    mebibyte: float = 1
    overtime: float = 60

    def cpu_time(self, size: int) -> float:
        """Return the maximum CPU time for a frame of `size` bytes."""
        return self.frame + self.mebibyte * size / MEBIBYTE

    def overtime_of_start(self, waited: float) -> float:
        """Return the overtime of a process that took so long to start."""
        return min(max(0, waited - self.start / 2), self.start / 2)

    def overtime_of(self, size: int, waited: float) -> float:
        """Return the overtime of a frame of `size` bytes that took so long.

        It is at most the CPU time of the frame: the machine may have been paused.
        """
        overtime = waited - FREE - PATIENCE * self.mebibyte * size / MEBIBYTE
        return min(max(0, overtime), self.cpu_time(size))


DEFAULT_TIMEOUTS = FrameTimeouts()


@frozen
class FrameProgram:
    """Command of a process, and the words for its error messages.

    `arguments` are the arguments of Python; the process id of the gear is added. `done` is a
    participle, such as "decoded". `failure` is the message for a frame that fails, and `shortage`
    the message for a frame that needs too much memory.
    """

    name: str
    arguments: tuple[str, ...]
    done: str
    failure: str
    shortage: str


class UnsuitableError(UnconvertibleError):
    """A frame is intact, but the transfer syntax cannot represent it."""


def _too_slow(limit: str) -> UnconvertibleError:
    return UnconvertibleError(f"a frame takes more than {limit}", Kind.CONVERSION_TOO_SLOW)


class _ProcessEndedError(Exception):
    """A process has ended, or must be ended because it takes too long."""


class FrameProcesses:
    """Pool of processes, no more than cores and memory allow.

    The first process gets all frames over 2 MiB. The mutable state is the processes, the numbers
    of the free ones, the overtime of all frames, and whether the pool is closed; `_changed` guards
    it.
    """

    def __init__(self, program: FrameProgram, work: Path, timeouts: FrameTimeouts) -> None:
        """Start no process yet; `work` is the folder for small temporary files."""
        self._program = program
        self._work = work
        self._timeouts = timeouts
        self._changed = Condition()
        number = max_processes(usable_cores(), Path("/"))
        self._processes: list[_Process | None] = [None] * number
        self._free = set(range(len(self._processes)))
        self._overtime = 0.0
        self._is_closed = False
        # A process ends with the thread that started it; these threads end with the pool.
        self._starters = ThreadPoolExecutor(number, f"{program.name}s")

    def __enter__(self) -> Self:
        """Return the pool."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close the pool."""
        self.close()

    def close(self) -> None:
        """End all processes; frames in progress fail."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            for number, process in enumerate(self._processes):
                if process and number in self._free:
                    process.end()
                elif process:  # the thread that uses it gets an error
                    process.popen.kill()
        self._starters.shutdown()

    @contextmanager
    def answer(
        self, request: bytes, data: Iterable[bytes], size: int, max_answer: int
    ) -> Iterator[Iterator[bytes]]:
        """Send a request and a frame in chunks, and yield the answer in chunks.

        `size` is the length of the pixels, `max_answer` the maximum length of the answer, in bytes.
        If the caller leaves early, the process is ended. Raises UnconvertibleError if the frame
        fails, also while the chunks are read.
        """
        number = self._acquire(is_large=size > MAX_SMALL_FRAME)
        try:
            yield self._answer(self._process(number), request, data, size, max_answer)
        finally:
            self._release(number)

    def _answer(
        self, process: "_Process", request: bytes, data: Iterable[bytes], size: int, max_answer: int
    ) -> Iterator[bytes]:
        try:
            yield from process.answer(request, data, self._timeouts.cpu_time(size), max_answer)
        except _ProcessEndedError as error:
            raise self._cancelled() if self._is_closed else process.failure() from error
        finally:
            with self._changed:
                self._overtime += self._timeouts.overtime_of(size, process.waited)

    def _cancelled(self) -> UnconvertibleError:
        return UnconvertibleError(f"the run ended before it was {self._program.done}")

    def _acquire(self, *, is_large: bool) -> int:
        """Wait for a free process, and return its number."""
        with self._changed:
            while not self._is_closed and not (0 in self._free if is_large else self._free):
                self._changed.wait()
            if self._is_closed:
                raise self._cancelled()
            if self._overtime >= self._timeouts.overtime:
                cause = f"too many frames took too long to be {self._program.done}"
                raise UnconvertibleError(cause, Kind.CONVERSION_STOPPED)
            number = 0 if is_large else max(self._free)
            self._free.remove(number)
        return number

    def _process(self, number: int) -> "_Process":
        """Return a process; start it if it has not been started or has ended."""
        if process := self._processes[number]:
            if process.popen.poll() is None:
                return process
            process.end()
        with self._changed:
            if self._is_closed:
                raise self._cancelled()
            starting = self._starters.submit(_Process, self._program, self._work, self._timeouts)
        begin = monotonic()
        try:
            started = starting.result()
        finally:
            with self._changed:
                self._overtime += self._timeouts.overtime_of_start(monotonic() - begin)
        with self._changed:
            self._processes[number] = started
            if self._is_closed:
                started.popen.kill()
        return started

    def _release(self, number: int) -> None:
        with self._changed:
            process = self._processes[number]
            if process and (self._is_closed or not process.is_idle):
                process.end()
                self._processes[number] = None
            self._free.add(number)
            self._changed.notify_all()


class _Process:
    """A process that handles one frame after another; used by one thread at a time."""

    def __init__(self, program: FrameProgram, work: Path, timeouts: FrameTimeouts) -> None:
        """Start the process; raises UnconvertibleError if that fails."""
        self._program = program
        self._seconds = 0.0
        self._max_wait = timeouts.start
        self._is_late = False
        self.waited = 0.0
        self.is_idle = False
        self._stderr = tempfile.TemporaryFile(dir=work)
        self._channel, remote = socket.socketpair()
        try:
            with remote:
                self.popen = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-IB", *program.arguments, str(os.getpid())],
                    stdin=remote.fileno(),
                    stdout=remote.fileno(),
                    stderr=self._stderr,
                    env={},
                )
        except OSError as error:  # too many processes, or not a POSIX system
            self._channel.close()
            self._stderr.close()
            raise UnconvertibleError(f"the {program.name} does not start") from error
        try:
            self._receive(len(READY))
        except _ProcessEndedError as error:
            self.end()
            raise UnconvertibleError(f"the {program.name} does not start") from error

    def answer(
        self, request: bytes, data: Iterable[bytes], seconds: float, max_answer: int
    ) -> Iterator[bytes]:
        """Yield the answer to a frame, which takes at most `seconds` of CPU time, in chunks.

        Raises UnconvertibleError if the frame fails, and _ProcessEndedError if the process does.
        """
        self.is_idle = False
        self._seconds, self._max_wait, self.waited = seconds, PATIENCE * seconds, 0.0
        self._send(SECONDS.pack(seconds) + request)
        for chunk in data:
            self._send(chunk)
        total = 0
        while length := self._length():
            total += length
            if total > max_answer:
                raise UnconvertibleError(OTHER_SIZE)
            yield self._receive(length)
        self.is_idle = True

    def _length(self) -> int:
        """Receive the length of a chunk; raises UnconvertibleError if the frame failed."""
        code, length = ANSWER.unpack(self._receive(ANSWER.size))
        if (outcome := FrameOutcome(code)) is not FrameOutcome.DONE:
            self.is_idle = True
            raise self._error_for(outcome)
        return int(length)

    def failure(self) -> UnconvertibleError:
        """Return the error that explains why the process ended."""
        if self._is_late:
            return _too_slow(f"{self._max_wait:.0f} s")
        status = self.popen.wait(self._max_wait)
        if status == _LATE:
            return _too_slow(f"{self._seconds:.0f} s of CPU time")
        self._stderr.seek(0)
        # The system kills processes that use too much memory.
        is_short = status == _KILLED or MEMORY_ERROR.search(self._stderr.read())
        return self._error_for(FrameOutcome.OUT_OF_MEMORY if is_short else FrameOutcome.DAMAGED)

    def end(self) -> None:
        """Kill the process, and close its files."""
        self.popen.kill()
        self.popen.wait()
        self._channel.close()
        self._stderr.close()

    def _send(self, data: bytes) -> None:
        with self._in_time():
            self._channel.sendall(data)

    def _receive(self, size: int) -> bytes:
        parts = []
        while size:
            with self._in_time():
                received = self._channel.recv(size)
            if not received:
                raise _ProcessEndedError
            parts.append(received)
            size -= len(received)
        return b"".join(parts)

    @contextmanager
    def _in_time(self) -> Iterator[None]:
        """Limit a call on the socket to the time that remains for waiting."""
        self._channel.settimeout(max(self._max_wait - self.waited, 0.001))
        begin = monotonic()
        try:
            yield
        except OSError as error:
            self._is_late = isinstance(error, TimeoutError)
            raise _ProcessEndedError from error
        finally:
            self.waited += monotonic() - begin

    def _error_for(self, outcome: FrameOutcome) -> UnconvertibleError:
        if outcome is FrameOutcome.OUT_OF_MEMORY:
            return TooLargeError(self._program.shortage)
        if outcome is FrameOutcome.UNSUITABLE:
            return UnsuitableError("a sample exceeds Bits Stored")
        if outcome is FrameOutcome.MISMATCH:
            return UnconvertibleError("an encoded frame does not decode to its original pixels")
        return UnconvertibleError(self._program.failure)
