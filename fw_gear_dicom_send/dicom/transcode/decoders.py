"""The processes that decode frames, kept for a run."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import Condition
from time import monotonic
from typing import BinaryIO, Self

from . import frame_decoder
from .frame_decoder import ANSWER, CHUNK, MEMORY_TROUBLE, READY, Frame, Outcome
from .recoding import TooLargeError, UnconvertibleError

MAX_DECODERS = 2
MAX_SMALL_FRAME = 2 << 20
ENDED = "the run ended before it was decoded"
_KILLED = (-signal.SIGKILL,) if hasattr(signal, "SIGKILL") else ()


@dataclass(frozen=True)
class DecodingTimeouts:
    """How long a decoder may take, in seconds: to start, and for a frame."""

    start: float = 60
    frame: float = 60


DEFAULT_TIMEOUTS = DecodingTimeouts()


class _DecoderEndedError(Exception):
    """A decoder has ended, or is to be ended as it takes too long."""


class FrameDecoders:
    """Lends decoder processes to threads: one for each core, and two at most.

    Each takes 30 MB, and 14 bytes for each sample of a frame while it decodes it; frames over
    2 MiB all go to the first. The mutable state is the decoders, which of them nobody has, and
    whether this is closed; `_changed` guards it.
    """

    def __init__(self, work: Path, timeouts: DecodingTimeouts = DEFAULT_TIMEOUTS) -> None:
        """Start none yet; `work` is the folder for small temporary files."""
        self._work = work
        self._timeouts = timeouts
        self._changed = Condition()
        self._decoders: list[_Decoder | None] = [None] * min(MAX_DECODERS, os.cpu_count() or 1)
        self._free = set(range(len(self._decoders)))
        self._is_closed = False
        # A decoder ends with the thread that starts it, so that this one does nothing else.
        self._starter = ThreadPoolExecutor(1, "decoders")

    def __enter__(self) -> Self:
        """Return the decoders."""
        return self

    def __exit__(self, *exception: object) -> None:
        """Close them."""
        self.close()

    def close(self) -> None:
        """End all decoders; what one is decoding fails."""
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
            for number, decoder in enumerate(self._decoders):
                if decoder and number in self._free:
                    decoder.end()
                elif decoder:
                    decoder.kill()
        self._starter.shutdown()

    @contextmanager
    def decoded(self, frame: Frame, coded: BinaryIO, size: int) -> Iterator[Iterator[bytes]]:
        """Decode a frame.

        Args:
            frame: What it is.
            coded: A file with its bit stream, read from its start.
            size: Length of the bit stream, in bytes.

        Yields:
            Its pixels, in chunks; one who leaves before their end, ends the decoder.

        Raises:
            UnconvertibleError: It cannot be decoded; raised by the chunks as well.
        """
        number = self._take(is_large=frame.size > MAX_SMALL_FRAME)
        try:
            yield self._pixels(self._decoder(number), frame, coded, size)
        finally:
            self._give_back(number)

    def _pixels(
        self, decoder: "_Decoder", frame: Frame, coded: BinaryIO, size: int
    ) -> Iterator[bytes]:
        try:
            yield from decoder.decode(frame, coded, size)
        except _DecoderEndedError as error:
            raise UnconvertibleError(ENDED) if self._is_closed else decoder.failure() from error

    def _take(self, *, is_large: bool) -> int:
        """Wait for a decoder, which takes no longer than its frames do."""
        with self._changed:
            while not self._is_closed and not (0 in self._free if is_large else self._free):
                self._changed.wait()
            if self._is_closed:
                raise UnconvertibleError(ENDED)
            number = 0 if is_large else max(self._free)
            self._free.remove(number)
        return number

    def _decoder(self, number: int) -> "_Decoder":
        """Return a decoder, which is started the first time, or where it has ended meanwhile."""
        if decoder := self._decoders[number]:
            if decoder.is_running:
                return decoder
            decoder.end()
        with self._changed:
            if self._is_closed:
                raise UnconvertibleError(ENDED)
            starting = self._starter.submit(_Decoder, self._work, self._timeouts)
        started = starting.result()
        with self._changed:
            self._decoders[number] = started
            if self._is_closed:
                started.kill()
        return started

    def _give_back(self, number: int) -> None:
        with self._changed:
            decoder = self._decoders[number]
            if decoder and (self._is_closed or not decoder.is_idle):
                decoder.end()
                self._decoders[number] = None
            self._free.add(number)
            self._changed.notify_all()


class _Decoder:
    """A process that decodes one frame after the other; used by one thread at a time."""

    def __init__(self, work: Path, timeouts: DecodingTimeouts) -> None:
        """Start it; raises UnconvertibleError if it does not start."""
        self._timeouts = timeouts
        self._deadline = monotonic() + timeouts.start
        self._is_late = False
        self.is_idle = False
        self._complaints = tempfile.TemporaryFile(dir=work)
        self._channel, far = socket.socketpair()
        try:
            with far:
                self._process = subprocess.Popen(  # noqa: S603
                    [sys.executable, "-I", str(frame_decoder.__file__), str(os.getpid())],
                    stdin=far.fileno(),
                    stdout=far.fileno(),
                    stderr=self._complaints,
                    env={},
                )
        except OSError as error:  # too many processes, or no POSIX system
            self._channel.close()
            self._complaints.close()
            raise UnconvertibleError("the decoder does not start") from error
        try:
            self._receive(len(READY))
        except _DecoderEndedError as error:
            self.end()
            raise UnconvertibleError("the decoder does not start") from error

    @property
    def is_running(self) -> bool:
        """Whether the process has not ended."""
        return self._process.poll() is None

    def decode(self, frame: Frame, coded: BinaryIO, size: int) -> Iterator[bytes]:
        """Yield the pixels of a frame.

        Raises UnconvertibleError if it is damaged, and _DecoderEndedError.
        """
        self.is_idle = False
        self._deadline = monotonic() + self._timeouts.frame
        self._send(frame.request(size))
        coded.seek(0)
        while chunk := coded.read(CHUNK):
            self._send(chunk)
        total = 0
        while length := self._answer():
            total += length
            if total > frame.size:
                break
            yield self._receive(length)
            self._deadline = monotonic() + self._timeouts.frame
        if total != frame.size:
            raise UnconvertibleError("a frame has another size than the dataset says")
        self.is_idle = True

    def _answer(self) -> int:
        """Take the length of a chunk; raises UnconvertibleError if the frame is not decoded."""
        code, length = ANSWER.unpack(self._receive(ANSWER.size))
        if (outcome := Outcome(code)) is not Outcome.DECODED:
            self.is_idle = True
            raise _refusal(outcome)
        return int(length)

    def failure(self) -> UnconvertibleError:
        """Tell why it was ended."""
        if self._is_late:
            return UnconvertibleError(f"a frame takes more than {self._timeouts.frame:g} s")
        status = self._process.wait(self._timeouts.start)
        self._complaints.seek(0)
        # The system kills what takes too much memory.
        is_short = status in _KILLED or MEMORY_TROUBLE.search(self._complaints.read())
        return _refusal(Outcome.OUT_OF_MEMORY if is_short else Outcome.DAMAGED)

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
                raise _DecoderEndedError
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
            raise _DecoderEndedError from error


def _refusal(outcome: Outcome) -> UnconvertibleError:
    if outcome is Outcome.OUT_OF_MEMORY:
        return TooLargeError("decoding a frame takes too much memory")
    return UnconvertibleError("a frame is damaged")
