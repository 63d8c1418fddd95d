"""Progress of a run as lines in the log."""

import logging
from collections.abc import Sequence
from copy import copy
from threading import Event, Lock, Thread
from typing import Self

from ..delivery.results import AlreadyStored, NotSent, Planned, Sent
from ..delivery.sender import Sender
from ..models import FileEntry, FileReport, ImageRecord
from ..retry import CLOCK, MonotonicClock
from ..text import MEGABYTE, quantity
from ..values import frozen, mutable
from .events import Observer, surviving
from .wording import file_result, not_sent_again

log = logging.getLogger(__name__)

MAX_FILE_LINES = 100
"""Maximum number of files that each get a line; with more, only incomplete files get one."""


_MIN_ELAPSED = 3.0
"""Seconds before a remaining time is estimated."""


@frozen
class Intervals:
    """Seconds between two lines: `early` during the first `early_time` seconds, then `later`."""

    early: float = 10.0
    later: float = 60.0
    early_time: float = 600.0


DEFAULT_INTERVALS = Intervals()


@mutable
class Count:
    """Current counts of images, files and bytes."""

    sent: int = 0
    already_stored: int = 0
    duplicates: int = 0
    planned: int = 0
    not_sent: int = 0
    bytes: int = 0
    files: int = 0
    file_bytes: int = 0
    position: int = 0
    lines: int = 0
    failed_files: int = 0

    @property
    def has_failures(self) -> bool:
        """Whether an image or a file failed."""
        return bool(self.not_sent or self.failed_files)

    @property
    def read(self) -> int:
        """Number of bytes read from files."""
        return self.file_bytes + self.position

    def add(self, record: ImageRecord) -> None:
        """Count an image; `bytes` counts only sent images."""
        match record.result:
            case Sent():
                self.sent += 1
                self.bytes += record.sent_size
            case AlreadyStored() as known:
                self.already_stored += not known.is_duplicate
                self.duplicates += known.is_duplicate
            case Planned():
                self.planned += 1
            case NotSent():
                self.not_sent += 1


class Progress(Observer):
    """Counter of images and files that logs progress lines on its own thread.

    The mutable state is the counts, the files that are done, the positions in the others, and the
    step after the first pass.
    """

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
        self._done: set[FileEntry] = set()
        self._positions: dict[FileEntry, int] = {}
        self._step = ""
        self._is_resending = False
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
        if self._is_resending:
            return
        entry = record.entry
        with self._lock:
            self._count.add(record)
            # Several files may be open, and images in quarantine come last.
            before = self._positions.get(entry, 0)
            position = min(record.position, entry.size or 0)
            if position > before and entry not in self._done:
                self._positions[entry] = position
                self._count.position += position - before

    def start_resending(self) -> None:
        """Stop counting: all further images are resent and already counted."""
        self._is_resending = True

    def note(self, step: str) -> None:
        """Show a step after the first pass, or none if `step` is empty."""
        self._step = step

    def file(self, report: FileReport) -> None:
        """Count a file, and log its result."""
        entry = report.entry
        if self._is_resending or entry in self._done:
            return
        with self._lock:
            self._done.add(entry)
            self._count.files += 1
            self._count.failed_files += not (report.is_complete or report.has_no_image)
            self._count.file_bytes += entry.size or 0
            self._count.position -= self._positions.pop(entry, 0)
            is_shown = self._files <= MAX_FILE_LINES or (
                not report.is_complete and self._count.lines < MAX_FILE_LINES
            )
            self._count.lines += is_shown
        if log.isEnabledFor(level := logging.INFO if is_shown else logging.DEBUG):
            log.log(level, "%s: %s", entry.name, file_result(report))

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
            *not_sent_again(count.already_stored, count.duplicates),
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
        if step := self._step_now():
            parts.append(step)
        parts.append(self._connections())
        return "Progress: " + "; ".join(parts)

    def _step_now(self) -> str:
        """Return what the run waits for, or empty text while it sends."""
        return self._step or ("waiting for the server" if self._sender.facts().is_away else "")

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
        done, elapsed = count.read, now - self._begun
        if not 0 < done < self._file_bytes or elapsed < _MIN_ELAPSED:
            return ""
        seconds = elapsed * (self._file_bytes - done) / done
        minutes, seconds = divmod(round(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours} h {minutes} min" if hours else f"{minutes} min {seconds} s"

    def _run(self) -> None:
        with surviving(type(self).__name__):
            self._show_progress()

    def _show_progress(self) -> None:
        """Log progress lines until the end."""
        while not self._is_over.wait(self.interval):
            log.info("%s", self.line())
