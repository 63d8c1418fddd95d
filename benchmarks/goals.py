"""Goals for a complete run of the benchmarks.

Each goal is about one number in a row of medians. Goals are not tests: they need two idle cores.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import attrgetter

from benchmarks.claims.outcome import Outcome
from benchmarks.results import Results, Row
from benchmarks.tables import number

Rows = dict[tuple[str, str, str], Row]
"""Rows by target, data set and sender."""


@dataclass(frozen=True)
class Goal:
    """Limit for a row, by target, data set and sender: `minimum` or `maximum`.

    With `rivals`, it is a limit for the value as a multiple of the least value of these senders.
    """

    target: str
    data: str
    sender: str
    what: str
    value: Callable[[Row], float | None]
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""
    rivals: tuple[str, ...] = ()

    @property
    def suffix(self) -> str:
        """The unit of the limit."""
        return " times" if self.rivals else self.unit

    def measured(self, rows: Rows) -> float | None:
        """Return the number to which the limit applies, or None if it was not measured."""
        own, *others = (
            self.value(row) if (row := rows.get((self.target, self.data, sender))) else None
            for sender in (self.sender, *self.rivals)
        )
        if own is None or not self.rivals:
            return own
        least = min((value for value in others if value is not None), default=None)
        return own / least if least else None

    @property
    def bound(self) -> str:
        """The limit in words."""
        word, value = (
            ("at least", self.minimum) if self.maximum is None else ("at most", self.maximum)
        )
        return f"{word} {value:g}{self.suffix}"

    def holds(self, value: float) -> bool:
        """Return whether a number meets the limit."""
        return (self.minimum is None or value >= self.minimum) and (
            self.maximum is None or value <= self.maximum
        )


def goals(results: Results) -> Iterator[Outcome]:
    """Yield the result of each goal that a full-size run has measured."""
    rows = {(row.target, row.data, row.sender): row for row in results.rows}
    targets = {target.name: target.title for target in results.targets}
    data = {item.name: item.title for item in results.data if item.bytes >= FULL[item.name]}
    senders = {sender.name: sender.title for sender in results.senders}
    for goal in (*GOALS, *_beside_web(rows)):
        value = goal.measured(rows)
        if value is None or goal.data not in data:
            continue
        run = f"{senders[goal.sender]}, {data[goal.data]} to {targets[goal.target]}"
        rivals = " or ".join(senders[name] for name in goal.rivals if name in senders)
        yield Outcome(
            claim=f"{run}: {goal.what}{rivals and f', beside {rivals}'}",
            bound=goal.bound,
            measured=f"{number(value)}{goal.suffix}",
            holds=goal.holds(value),
        )


def _percent_of_replay(row: Row) -> float | None:
    return 100 * row.of_replay if row.of_replay is not None else None


def _times_connected(other: Row) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        if row.sending_seconds is None or other.sending_seconds is None:
            return None
        return other.sending_seconds / row.sending_seconds

    return value


def _beside_web(rows: Rows) -> Iterator[Goal]:
    """Yield the bars for STOW-RS relative to another sender in the same run."""
    for data in ("mr", "ct", "multiframe"):
        if other := rows.get(("c-store", data, "command-4")):
            rate = _times_connected(other)
            what = "rate beside C-STORE to storescp"
            yield Goal("web-sink", data, "command-4", what, rate, minimum=0.9, unit=" times")
    if other := rows.get(("web-distance", "mr", "command-by1-8")):
        rate, what = _times_connected(other), "rate beside one image a request"
        for sender in ("command-8", "command-by20-8"):
            yield Goal("web-distance", "mr", sender, what, rate, minimum=3, unit=" times")


FULL = {
    "mr": 70_000_000,
    "ct": 200_000_000,
    "multiframe": 300_000_000,
    "tgz": 500_000_000,
    "one": 30_000,
    "jpeg-lossless": 20_000_000,
    "rle": 20_000_000,
    "jpeg-ls": 20_000_000,
    "mr-far": 14_000_000,
    "ct-far": 50_000_000,
    "mr-few": 500_000,
    "ct-few": 8_000_000,
}
"""Minimum bytes of each data set; the bars do not apply to a smaller trial."""
SECONDS, CPU_SECONDS = attrgetter("seconds"), attrgetter("cpu_seconds")
FIRST, CONNECTED = attrgetter("first_image_seconds"), attrgetter("sending_seconds")
IMAGES_A_SECOND, CPU_MS = attrgetter("images_per_second"), attrgetter("image_cpu_ms")
BESIDE = "rate beside replay"
RATE, CPU = "images/s while connected", "CPU for an image, without the start"
SESSION = "from the session to the attached report"
TIME, ALONE = "time from start to end", "time for the first image alone"
DEFAULT, FIXED = "command-default", ("command-4", "command-16")
DCMSEND, FOUR = ("dcmsend",), ("command-4",)
GOALS = (
    Goal("storescp", "mr", "command-4", RATE, IMAGES_A_SECOND, minimum=2500),
    Goal("storescp", "mr", "command-4", CPU, CPU_MS, maximum=0.45, unit=" ms"),
    Goal("storescp", "mr", "command-1", CPU, CPU_MS, maximum=0.30, unit=" ms"),
    Goal("storescp", "mr", DEFAULT, TIME, SECONDS, maximum=1.05, rivals=FOUR),
    Goal("orthanc", "mr", DEFAULT, TIME, SECONDS, maximum=1.05, rivals=FOUR),
    Goal("orthanc", "mr", "command-4", BESIDE, _percent_of_replay, 85, unit=" %"),
    Goal("orthanc", "tgz", "command-4", BESIDE, _percent_of_replay, 80, unit=" %"),
    Goal("storescp", "tgz", "command-4", RATE, IMAGES_A_SECOND, minimum=620),
    Goal("storescp", "mr", "gear-4", SESSION, SECONDS, maximum=1.9, unit=" s"),
    Goal("storescp", "ct", "gear-4", SESSION, SECONDS, maximum=1.6, unit=" s"),
    Goal("storescp", "multiframe", "gear-4", SESSION, SECONDS, maximum=1.5, unit=" s"),
    Goal(
        "storescp",
        "multiframe",
        "command-4",
        "time while connected",
        CONNECTED,
        maximum=1,
        rivals=DCMSEND,
    ),
    Goal("storescp", "multiframe", "command-4", TIME, SECONDS, maximum=1.3, rivals=DCMSEND),
    Goal("storescp", "one", DEFAULT, TIME, SECONDS, maximum=1.6, rivals=DCMSEND),
    Goal("storescp", "jpeg-lossless", DEFAULT, "CPU", CPU_SECONDS, maximum=2.1, rivals=DCMSEND),
    Goal("storescp", "rle", DEFAULT, "CPU", CPU_SECONDS, maximum=2.9, rivals=DCMSEND),
    Goal("storescp", "jpeg-ls", DEFAULT, "CPU", CPU_SECONDS, maximum=1.1, rivals=DCMSEND),
    Goal("storescp-10ms", "mr-far", DEFAULT, TIME, SECONDS, maximum=1.3, rivals=FIXED),
    Goal("orthanc-10ms", "mr-far", DEFAULT, TIME, SECONDS, maximum=1.3, rivals=FIXED),
    Goal("storescp-50ms", "mr-far", DEFAULT, TIME, SECONDS, maximum=5, unit=" s"),
    Goal("orthanc-50ms", "mr-far", DEFAULT, TIME, SECONDS, maximum=5, unit=" s"),
    Goal("storescp-50ms", "mr-far", DEFAULT, ALONE, FIRST, maximum=0.55, unit=" s"),
    Goal("orthanc-50ms", "mr-far", DEFAULT, ALONE, FIRST, maximum=0.55, unit=" s"),
    Goal("web-orthanc", "mr", "command-4", BESIDE, _percent_of_replay, 87, unit=" %"),
    Goal("web-orthanc", "ct", "command-4", BESIDE, _percent_of_replay, 87, unit=" %"),
    Goal("web-orthanc", "multiframe", "command-4", BESIDE, _percent_of_replay, 91, unit=" %"),
    Goal(
        "web-sink",
        "multiframe",
        "command-4",
        "memory",
        attrgetter("peak_megabytes"),
        maximum=150,
        unit=" MB",
    ),
)
"""Bars for full-size data sets.

From a tgz to storescp, version 5.0.0 sent 414 images/s; 620 is 1.5 times as much. CPU for
conversion is compared with half the difference to dcmsend that version 5.0.0 had.
"""
