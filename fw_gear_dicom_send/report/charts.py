"""Charts for the page about a run: images per second, and times of requests."""

from itertools import pairwise

from ..account import ThroughputCounts
from ..sections import Chart, Parts, Section
from ..text import duration, quantity
from .throughput import LIMITS

MAX_NAMED = 10
"""Maximum number of lost associations whose times are listed."""
_NOTHING = "No image was sent."


def rates(throughput: ThroughputCounts) -> Section:
    """Return images per second over time, with marks for lost associations."""
    slot, losses = throughput.slot_seconds, throughput.losses
    highest = max(throughput.images, default=0) / slot
    end = max(len(throughput.images) * slot, *losses, 0.0)
    chart: str | Chart = _NOTHING
    if highest:
        length = duration(end) if end >= 60 else f"{end:.0f} s"
        chart = Chart(
            f"Images per second during the run ({length}), maximum {highest:,.0f}",
            f"{highest:,.0f}/s",
            slot / end,
            [(count / slot / highest, "") for count in throughput.images],
            [(0, "0 s"), (1, length)],
            [(time / end, f"association lost after {duration(time)}") for time in losses],
        )
    return Section("Images per second", (chart, *_lost_associations(losses)))


def times(title: str, throughput: ThroughputCounts) -> Section:
    """Return a histogram of the times of requests, with their median, 95th percentile and maximum.

    `title` is the title of the histogram.
    """
    counts = throughput.durations
    highest = max(counts, default=0)
    if not highest:
        return Section(title, (_NOTHING,))
    between = [f"{_limit(low)} to {_limit(high)}" for low, high in pairwise(LIMITS)]
    ranges = [f"under {_limit(LIMITS[0])}", *between, f"over {_limit(LIMITS[-1])}"]
    chart = Chart(
        f"{title}, most often {ranges[counts.index(highest)]}",
        f"{highest:,}",
        1 / len(counts),
        [
            (count / highest, f"{words}: {quantity(count, 'image')}")
            for count, words in zip(counts, ranges, strict=True)
        ],
        [(place / len(counts), _limit(limit)) for place, limit in enumerate(LIMITS, 1)],
    )
    if not (known := throughput.times):
        return Section(title, (chart,))
    median, p95, maximum = map(_time, (known.median, known.p95, known.maximum))
    return Section(title, (f"Median {median}, 95th percentile {p95}, maximum {maximum}.", chart))


def _lost_associations(losses: tuple[float, ...]) -> Parts:
    """Return a paragraph with the number and times of lost associations."""
    if not losses:
        return ()
    named = ", ".join(duration(time) for time in losses[:MAX_NAMED])
    more = f" and {len(losses) - MAX_NAMED:,} more" if len(losses) > MAX_NAMED else ""
    return (f"{quantity(len(losses), 'association')} lost while sending (after {named}{more}).",)


def _limit(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _time(seconds: float) -> str:
    """Return a measured time with at most three digits."""
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
