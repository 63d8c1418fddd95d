"""How far a run is, as a bar on a terminal."""

from collections.abc import Iterator, Sequence
from typing import Self

from rich.console import Console, RenderableType
from rich.progress import (
    BarColumn,
    DownloadColumn,
    TaskID,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from ..models import FileEntry
from ..report.events import surviving
from ..report.progress import Progress, Sender

_NAME = "The progress bar"
INTERVAL = 0.2
"""Seconds between two states of the bar."""


class _BarAndWords(Bar):
    """A bar that leaves its numbers whole, and words on a line of their own."""

    def __init__(self) -> None:
        super().__init__(
            BarColumn(bar_width=None),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )

    def get_renderables(self) -> Iterator[RenderableType]:
        """Yield the lines."""
        yield self.make_tasks_table(self.tasks)
        yield from (Text(task.description) for task in self.tasks)


class ProgressBar(Progress):
    """Shows the count on standard error; what is logged meanwhile stands above it."""

    def __init__(
        self,
        entries: Sequence[FileEntry],
        sender: Sender,
        *,
        is_dry: bool = False,
    ) -> None:
        """Expect `entries`, which `sender` sends. A dry run sends nothing."""
        super().__init__(entries, sender, is_dry=is_dry)
        self._bar = _BarAndWords()
        self._task = TaskID(0)
        self._is_shown = False

    def __enter__(self) -> Self:
        """Show the bar."""
        with surviving(_NAME):
            self._bar.start()
            self._task = self._bar.add_task("", total=self._file_bytes or None)
            self._is_shown = True
        return super().__enter__()

    def __exit__(self, *exception: object) -> None:
        """Leave the bar as it is at the end."""
        super().__exit__(*exception)
        with surviving(_NAME):
            self._show()
            self._bar.stop()

    def _tell(self) -> None:
        while not self._is_over.wait(INTERVAL):
            self._show()

    def _show(self) -> None:
        if not self._is_shown:
            return
        with self._lock:
            count = self._count
            done = count.read
            words = ", ".join(self._images(count))
        words += f", {self._associations()}"
        self._is_shown = False
        self._bar.update(self._task, completed=done, description=words)
        self._is_shown = True
