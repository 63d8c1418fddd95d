"""Progress bar of a run on a terminal of any width."""

from collections import deque
from collections.abc import Iterable, Sequence
from copy import copy
from typing import Self

from rich.console import Console, ConsoleOptions, RenderResult
from rich.live import Live
from rich.text import Text

from ..delivery.sender import Sender
from ..models import FileEntry
from ..report.events import surviving
from ..report.progress import Count, Progress
from ..report.wording import not_sent_again
from ..text import MEGABYTE, quantity

_NAME = "The progress bar"
INTERVAL = 0.2
"""Seconds between two updates of the bar."""

_MIN_BAR = 8
"""Minimum width of the bar in columns; with less room there is no bar."""
_GAP = "  "
_SAMPLES = 50
"""Number of updates that the rate is averaged over: ten seconds."""


class ProgressBar(Progress):
    """Progress bar on standard error, below the lines of the log."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        sender: Sender,
        *,
        is_dry: bool = False,
    ) -> None:
        """Expect `entries`, which `sender` sends. A dry run sends nothing."""
        super().__init__(entries, sender, is_dry=is_dry)
        self._samples = deque([(self._clock.now(), 0)], maxlen=_SAMPLES)
        self._live = Live(self, console=Console(stderr=True), auto_refresh=False)

    def __enter__(self) -> Self:
        """Show the bar."""
        with surviving(_NAME):
            self._live.start(refresh=True)
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        """Show the final state, and leave it on the terminal."""
        super().__exit__(*exception)
        with surviving(_NAME):
            self._live.refresh()
            self._live.stop()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        """Yield lines with a bar and numbers; no number is split between lines."""
        now = self._clock.now()
        with self._lock:
            count = copy(self._count)
        self._samples.append((now, count.bytes))
        done, total = count.read, self._file_bytes
        percent = [f"{min(100 * done // total, 100):3d}%"] if total else []
        size = f"{_megabytes(done)} of {_megabytes(total)} MB" if total else ""
        numbers = [
            Text(number) for number in (*percent, size, f"{self._rate():.1f} MB/s") if number
        ]
        step = self._step_now()
        if done < total and not step and (left := self._time_left(count, now)):
            numbers.append(Text(f"{left} left"))
        first, *rest = _packed(numbers, options.max_width)
        room = options.max_width - len(first) - len(_GAP)
        if total and not rest and room >= _MIN_BAR:
            first = Text(_GAP).join([_bar(count, done / total, room, options.ascii_only), first])
        yield first
        yield from rest
        yield from _packed(self._counts(count), options.max_width)
        if step:
            yield Text(step)

    def _counts(self, count: Count) -> list[Text]:
        """Return the numbers of images, with failures in red, of associations and of retries."""
        done = count.planned if self._is_dry else count.sent
        found = done + count.already_stored + count.duplicates + count.not_sent
        verb = "would be sent" if self._is_dry else "sent"
        parts = [Text(f"{done:,} of {quantity(found, 'image')} {verb}")]
        parts += map(Text, not_sent_again(count.already_stored, count.duplicates))
        if count.not_sent:
            parts.append(Text(f"{count.not_sent:,} failed", style="bold red"))
        return [*parts, Text(self._retries() if self._is_over.is_set() else self._connections())]

    def _rate(self) -> float:
        """Return the rate of the last seconds in MB/s."""
        (start, before), (now, sent) = self._samples[0], self._samples[-1]
        return (sent - before) / MEGABYTE / max(now - start, INTERVAL)

    def _show_progress(self) -> None:
        while not self._is_over.wait(INTERVAL):
            self._live.refresh()


def _megabytes(size: float) -> str:
    megabytes = size / MEGABYTE
    return f"{megabytes:,.0f}" if megabytes >= 100 else f"{megabytes:.1f}"


def _packed(parts: Iterable[Text], width: int) -> list[Text]:
    """Distribute the parts over lines of a width without splitting any."""
    lines: list[Text] = []
    for part in parts:
        if lines and len(lines[-1]) + len(_GAP) + len(part) <= width:
            lines[-1] = Text(_GAP).join([lines[-1], part])
        else:
            lines.append(part)
    return lines


def _bar(count: Count, share: float, width: int, is_ascii: bool) -> Text:
    colour = "red" if count.has_failures else "green"
    done, rest = ("#", "-") if is_ascii else ("━", "─")
    filled = min(int(share * width), width)
    return Text.assemble((done * filled, colour), (rest * (width - filled), "dim"))
