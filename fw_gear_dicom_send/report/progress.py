"""How far a run is, in the log: a line every now and then."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Protocol, Self

from ..models import FileEntry, FileReport, ImageRecord
from ..network.types import AlreadyStored, NotSent, Planned, Sent
from ..retry import CLOCK, MonotonicClock
from .events import Observer, surviving
from .wording import counted

log = logging.getLogger(__name__)

MAX_FILE_LINES = 100
"""Files, of which each has a line of its own; of more only those have that are not complete."""

_MEGABYTE = 1e6


@dataclass(frozen=True)
class Intervals:
    """Seconds between two lines, in the first `early_time` seconds of a run and later."""

    early: float = 10.0
    later: float = 60.0
    early_time: float = 600.0


DEFAULT_INTERVALS = Intervals()


@dataclass
class Count:
    """What became of images, files and bytes by now."""

    sent: int = 0
    already_stored: int = 0
    planned: int = 0
    not_sent: int = 0
    bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    position: int = 0
    told: int = 0

    @property
    def read(self) -> int:
        """Bytes of files that were read."""
        return self.file_bytes + self.position

    def add(self, record: ImageRecord) -> None:
        """Count an image; bytes are only those that were sent."""
        match record.result:
            case Sent():
                self.sent += 1
                self.bytes += record.sent_size
            case AlreadyStored():
                self.already_stored += 1
            case Planned():
                self.planned += 1
            case NotSent():
                self.not_sent += 1


class Sender(Protocol):
    """What sends the images, as far as progress tells of it."""

    @property
    def open_associations(self) -> int:
        """How many there are."""

    @property
    def retries(self) -> int:
        """How often an image was sent again."""

    @property
    def max_rate(self) -> float:
        """How many bytes it may send a second, 0 where there is no limit."""


class Progress(Observer):
    """Counts, and tells the count from a thread of its own."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        sender: Sender,
        intervals: Intervals = DEFAULT_INTERVALS,
        clock: MonotonicClock = CLOCK,
        *,
        is_dry: bool = False,
    ) -> None:
        """Expect `entries`, which `sender` sends. A dry run sends nothing."""
        self._is_dry = is_dry
        self._intervals = intervals
        self._clock = clock
        sizes = [entry.size for entry in entries]
        self._files = len(sizes)
        self._file_bytes = sum(size for size in sizes if size) if all(sizes) else 0
        self._sender = sender
        self._count = Count()
        self._last = Count()
        self._lock = Lock()
        self._begun = self._last_at = self._clock.now()
        self._is_over = Event()
        self._thread = Thread(target=self._run, name="progress", daemon=True)

    def __enter__(self) -> Self:
        """Begin to tell."""
        self._begun = self._last_at = self._clock.now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End it."""
        self._is_over.set()
        self._thread.join()

    def reading(self, entry: FileEntry, position: int) -> None:
        """Note how much of a file has been read."""
        if entry.size:
            with self._lock:
                self._count.position = min(position, entry.size)

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        with self._lock:
            self._count.add(record)

    def file(self, report: FileReport) -> None:
        """Count a file, and tell what became of it."""
        with self._lock:
            self._count.files += 1
            self._count.file_bytes += report.entry.size or 0
            self._count.position = 0
            is_told = self._files <= MAX_FILE_LINES or (
                not report.is_complete and self._count.told < MAX_FILE_LINES
            )
            self._count.told += is_told
        log.log(
            logging.INFO if is_told else logging.DEBUG,
            "%s: %s",
            report.entry.name,
            counted(report),
        )

    def line(self) -> str:
        """Return how far it is, and how fast since the last time."""
        now = self._clock.now()
        with self._lock:
            count, last = Count(**vars(self._count)), self._last
            seconds = max(now - self._last_at, 0.001)
            self._last, self._last_at = count, now
        parts = [
            *self._images(count, f" ({count.bytes / _MEGABYTE:.0f} MB)"),
            f"{count.files} of {self._files} files done",
        ]
        if self._file_bytes:
            done, whole = count.read, self._file_bytes
            parts.append(f"{done / _MEGABYTE:.0f} of {whole / _MEGABYTE:.0f} MB read")
        parts.append(
            f"{(count.sent - last.sent) / seconds:.0f} images/s, "
            f"{(count.bytes - last.bytes) / _MEGABYTE / seconds:.1f} MB/s"
        )
        if left := self._time_left(count, now):
            parts.append(f"{left} left")
        parts.append(self._associations())
        return "Progress: " + "; ".join(parts)

    def _associations(self) -> str:
        """Return how many associations there are, and how often an image was sent again."""
        sender = self._sender
        limit = f", limited to {sender.max_rate / _MEGABYTE:g} MB/s" if sender.max_rate else ""
        return f"{sender.open_associations} associations, {sender.retries} retries{limit}"

    def _images(self, count: Count, size: str = "") -> list[str]:
        """Return what became of the images; `size` is that of those that were sent."""
        done = f"{count.sent} images sent{size}"
        if self._is_dry:
            done = f"{count.planned} images would be sent"
        already = [f"{count.already_stored} already there"] if count.already_stored else []
        return [done, *already, f"{count.not_sent} not"]

    @property
    def interval(self) -> float:
        """Seconds until the next line."""
        intervals = self._intervals
        is_early = self._clock.now() - self._begun < intervals.early_time
        return intervals.early if is_early else intervals.later

    def _time_left(self, count: Count, now: float) -> str:
        done = count.read
        if not (self._file_bytes and done):
            return ""
        seconds = (now - self._begun) * (self._file_bytes - done) / done
        minutes, seconds = divmod(round(max(seconds, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"

    def _run(self) -> None:
        with surviving(type(self).__name__):
            self._tell()

    def _tell(self) -> None:
        """Tell how far it is until the end."""
        while not self._is_over.wait(self.interval):
            log.info("%s", self.line())
