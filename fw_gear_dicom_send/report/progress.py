"""Progress of a run as lines in the log."""

import logging
from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from threading import Event, Lock, Thread
from typing import Self

from ..delivery.results import AlreadyStored, NotSent, Planned, Sent
from ..delivery.sender import Sender
from ..models import FileEntry, FileReport, ImageRecord
from ..retry import CLOCK, MonotonicClock
from ..text import MEGABYTE, quantity
from .events import Observer, surviving
from .wording import image_counts

log = logging.getLogger(__name__)

MAX_FILE_LINES = 100
"""Maximum number of files that each get a line; with more, only incomplete files get one."""


@dataclass(frozen=True)
class Intervals:
    """Seconds between two lines: `early` during the first `early_time` seconds, then `later`."""

    early: float = 10.0
    later: float = 60.0
    early_time: float = 600.0


DEFAULT_INTERVALS = Intervals()


@dataclass
class Count:
    """Current counts of images, files and bytes."""

    sent: int = 0
    already_stored: int = 0
    planned: int = 0
    not_sent: int = 0
    bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    position: int = 0
    lines: int = 0

    @property
    def read(self) -> int:
        """Number of bytes read from files."""
        return self.file_bytes + self.position

    def add(self, record: ImageRecord) -> None:
        """Count an image; `bytes` counts only sent images."""
        if record.entry.size:
            self.position = min(record.position, record.entry.size)
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


class Progress(Observer):
    """Counter of images and files that logs progress lines on its own thread."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        sender: Sender,
        intervals: Intervals = DEFAULT_INTERVALS,
        clock: MonotonicClock = CLOCK,
        *,
        is_dry: bool = False,
        noun: str = "file",
    ) -> None:
        """Create the counter for a run that sends `entries`, each a `noun`, with `sender`."""
        self._is_dry = is_dry
        self._noun = noun
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
        """Start the thread."""
        self._begun = self._last_at = self._clock.now()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        """Stop the thread."""
        self._is_over.set()
        self._thread.join()

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        with self._lock:
            self._count.add(record)

    def file(self, report: FileReport) -> None:
        """Count a file, and log its result."""
        with self._lock:
            self._count.files += 1
            self._count.file_bytes += report.entry.size or 0
            self._count.position = 0
            is_shown = self._files <= MAX_FILE_LINES or (
                not report.is_complete and self._count.lines < MAX_FILE_LINES
            )
            self._count.lines += is_shown
        log.log(
            logging.INFO if is_shown else logging.DEBUG,
            "%s: %s",
            report.entry.name,
            image_counts(report),
        )

    def line(self) -> str:
        """Return the progress line, with the rate since the previous one."""
        now = self._clock.now()
        with self._lock:
            count, last = copy(self._count), self._last
            seconds = max(now - self._last_at, 0.001)
            self._last, self._last_at = count, now
        done = f"{quantity(count.sent, 'image')} sent ({count.bytes / MEGABYTE:.0f} MB)"
        if self._is_dry:
            done = f"{quantity(count.planned, 'image')} would be sent"
        parts = [
            done,
            *([f"{count.already_stored:,} already there"] if count.already_stored else ()),
            f"{count.not_sent:,} failed",
            f"{count.files:,} of {quantity(self._files, self._noun)} done",
        ]
        if self._file_bytes:
            read, whole = count.read / MEGABYTE, self._file_bytes / MEGABYTE
            parts.append(f"{read:.0f} of {whole:.0f} MB read")
        parts.append(
            f"{(count.sent - last.sent) / seconds:.1f} images/s, "
            f"{(count.bytes - last.bytes) / MEGABYTE / seconds:.1f} MB/s"
        )
        if left := self._time_left(count, now):
            parts.append(f"{left} left")
        parts.append(self._connections())
        return "Progress: " + "; ".join(parts)

    def _connections(self) -> str:
        """Return the number of connections and of retries."""
        facts = self._sender.facts()
        limit = f", limited to {facts.max_rate / MEGABYTE:g} MB/s" if facts.max_rate else ""
        return f"{quantity(facts.connections, facts.noun)}, {self._retries()}{limit}"

    def _retries(self) -> str:
        """Return the number of retries."""
        retries = self._sender.facts().retries
        return "1 retry" if retries == 1 else f"{retries:,} retries"

    @property
    def interval(self) -> float:
        """Seconds until the next line."""
        intervals = self._intervals
        is_early = self._clock.now() - self._begun < intervals.early_time
        return intervals.early if is_early else intervals.later

    def _time_left(self, count: Count, now: float) -> str:
        done = count.read
        if not 0 < done < self._file_bytes:
            return ""
        seconds = (now - self._begun) * (self._file_bytes - done) / done
        minutes, seconds = divmod(round(max(seconds, 0)), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"

    def _run(self) -> None:
        with surviving(type(self).__name__):
            self._show_progress()

    def _show_progress(self) -> None:
        """Log progress lines until the end."""
        while not self._is_over.wait(self.interval):
            log.info("%s", self.line())
