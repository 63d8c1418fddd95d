"""Goals for a complete run of the benchmarks.

Each goal is about one number in a row of medians. Goals are not tests: they need two idle cores.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from benchmarks.claims.outcome import Outcome
from benchmarks.results import Results, Row
from benchmarks.tables import number


@dataclass(frozen=True)
class Goal:
    """Limit for a row, by target, data set and sender: `minimum` or `maximum`."""

    target: str
    data: str
    sender: str
    what: str
    value: Callable[[Row], float | None]
    minimum: float | None = None
    maximum: float | None = None
    unit: str = ""

    @property
    def bound(self) -> str:
        """The limit in words."""
        word, value = (
            ("at least", self.minimum) if self.maximum is None else ("at most", self.maximum)
        )
        return f"{word} {value:g}{self.unit}"

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
    for goal in (*GOALS, *_beside_others(rows), *_beside_web(rows)):
        row = rows.get((goal.target, goal.data, goal.sender))
        value = goal.value(row) if row and goal.data in data else None
        if value is None:
            continue
        run = f"{senders[goal.sender]}, {data[goal.data]} to {targets[goal.target]}"
        yield Outcome(
            claim=f"{run}: {goal.what}",
            bound=goal.bound,
            measured=f"{number(value)}{goal.unit}",
            holds=goal.holds(value),
        )


def _images_per_second(row: Row) -> float | None:
    return row.images_per_second


def _image_cpu_ms(row: Row) -> float | None:
    return row.image_cpu_ms


def _percent_of_replay(row: Row) -> float | None:
    return 100 * row.of_replay if row.of_replay is not None else None


def _seconds(row: Row) -> float:
    return row.seconds


def _first_image_seconds(row: Row) -> float | None:
    return row.first_image_seconds


def _times(others: Sequence[Row], value: Callable[[Row], float]) -> Callable[[Row], float]:
    """Return a value as a multiple of the least one of others."""
    return lambda row: value(row) / min(map(value, others))


def _cpu_seconds(row: Row) -> float:
    return row.cpu_seconds


def _peak_megabytes(row: Row) -> float:
    return row.peak_megabytes


def _times_connected(other: Row) -> Callable[[Row], float | None]:
    def value(row: Row) -> float | None:
        if row.sending_seconds is None or other.sending_seconds is None:
            return None
        return other.sending_seconds / row.sending_seconds

    return value


def _beside_others(rows: dict[tuple[str, str, str], Row]) -> Iterator[Goal]:
    """Yield the bars relative to other senders in the same run."""
    dcmsend = rows.get(("storescp", "multiframe", "dcmsend"))
    if dcmsend:
        rate, what = _times_connected(dcmsend), "MB/s while connected, beside dcmsend"
        yield Goal("storescp", "multiframe", "command-4", what, rate, minimum=1, unit=" times")
    for target, data, sender, rivals, what, value, maximum in BESIDE_OTHERS:
        if found := [row for rival in rivals if (row := rows.get((target, data, rival)))]:
            times = _times(found, value)
            yield Goal(target, data, sender, what, times, maximum=maximum, unit=" times")


def _beside_web(rows: dict[tuple[str, str, str], Row]) -> Iterator[Goal]:
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
    "ct-far": 105_000_000,
    "mr-few": 800_000,
    "ct-few": 12_000_000,
}
"""Minimum bytes of each data set; the bars do not apply to a smaller trial."""
BESIDE = "rate beside replay"
RATE, CPU = "images/s while connected", "CPU for an image, without the start"
SESSION = "from the session to the attached report"
DEFAULT, FIXED = "command-default", ("command-4", "command-16")
TIME, ALONE = "time from start to end", "time for the first image alone"
DCMSEND = ("dcmsend",)
CPU_BESIDE = "CPU beside dcmsend"
BESIDE_OTHERS: tuple[
    tuple[str, str, str, tuple[str, ...], str, Callable[[Row], float], float], ...
] = (
    ("storescp", "one", DEFAULT, DCMSEND, f"{TIME}, beside dcmsend", _seconds, 1.6),
    ("storescp", "multiframe", "command-4", DCMSEND, f"{TIME}, beside dcmsend", _seconds, 1.3),
    ("storescp", "jpeg-lossless", DEFAULT, DCMSEND, CPU_BESIDE, _cpu_seconds, 2.1),
    ("storescp", "rle", DEFAULT, DCMSEND, CPU_BESIDE, _cpu_seconds, 2.9),
    ("storescp", "jpeg-ls", DEFAULT, DCMSEND, CPU_BESIDE, _cpu_seconds, 1.1),
    ("orthanc", "mr", DEFAULT, ("command-4",), f"{TIME}, beside 4", _seconds, 1.05),
    ("storescp", "mr", DEFAULT, ("command-4",), f"{TIME}, beside 4", _seconds, 1.05),
    (
        "storescp-10ms",
        "mr-far",
        DEFAULT,
        FIXED,
        f"{TIME}, beside the best of 4 and 16",
        _seconds,
        1.3,
    ),
    (
        "orthanc-10ms",
        "mr-far",
        DEFAULT,
        FIXED,
        f"{TIME}, beside the best of 4 and 16",
        _seconds,
        1.3,
    ),
)
"""Target, data set, sender, other senders, claim, value, and the most times theirs."""
GOALS = (
    Goal("storescp", "mr", "command-4", RATE, _images_per_second, minimum=2500),
    Goal("storescp", "mr", "command-4", CPU, _image_cpu_ms, maximum=0.45, unit=" ms"),
    Goal("storescp", "mr", "command-1", CPU, _image_cpu_ms, maximum=0.30, unit=" ms"),
    Goal("orthanc", "mr", "command-4", BESIDE, _percent_of_replay, 85, unit=" %"),
    Goal("orthanc", "tgz", "command-4", BESIDE, _percent_of_replay, 80, unit=" %"),
    Goal("storescp", "tgz", "command-4", RATE, _images_per_second, minimum=620),
    Goal("storescp", "mr", "gear-4", SESSION, _seconds, maximum=1.9, unit=" s"),
    Goal("storescp", "ct", "gear-4", SESSION, _seconds, maximum=1.6, unit=" s"),
    Goal("storescp", "multiframe", "gear-4", SESSION, _seconds, maximum=1.5, unit=" s"),
    Goal("storescp-50ms", "mr-far", DEFAULT, TIME, _seconds, maximum=5, unit=" s"),
    Goal("orthanc-50ms", "mr-far", DEFAULT, TIME, _seconds, maximum=5, unit=" s"),
    Goal("storescp-50ms", "mr-far", DEFAULT, ALONE, _first_image_seconds, maximum=0.55, unit=" s"),
    Goal("orthanc-50ms", "mr-far", DEFAULT, ALONE, _first_image_seconds, maximum=0.55, unit=" s"),
    Goal("web-orthanc", "mr", "command-4", BESIDE, _percent_of_replay, 87, unit=" %"),
    Goal("web-orthanc", "ct", "command-4", BESIDE, _percent_of_replay, 87, unit=" %"),
    Goal("web-orthanc", "multiframe", "command-4", BESIDE, _percent_of_replay, 91, unit=" %"),
    Goal("web-sink", "multiframe", "command-4", "memory", _peak_megabytes, maximum=150, unit=" MB"),
)
"""Bars for full-size data sets. From a tgz to storescp, version 5.0.0 sent 414 images/s."""
