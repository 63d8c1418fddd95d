"""Charts for the page about a run: images per second, and times of requests."""

from collections.abc import Sequence
from itertools import pairwise
from math import ceil, floor, log10

from ..account import ThroughputCounts
from ..sections import Chart, Parts
from ..text import duration, quantity
from .throughput import LIMITS

MAX_NAMED = 10
"""Maximum number of lost associations whose times are listed."""
MAX_TIME_LABELS = 6
"""Maximum number of labels of the axis of time, besides its start."""
_TIME_STEPS = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1200, 3600, 7200, 14_400, 28_800, 86_400)
"""Distances between labels of the axis of time, in seconds."""


def rates(throughput: ThroughputCounts) -> Parts:
    """Return images per second over time, with marks for lost associations.

    Return no chart without sent images, or if all were sent in the first second.
    """
    slot, losses = throughput.slot_seconds, throughput.losses
    highest = max(throughput.images, default=0) / slot
    end = max(len(throughput.images) * slot, *losses, 0.0)
    chart: Parts = ()
    if highest and end > 1:
        length = _length(end)
        top, heights = _scale(highest)
        chart = (
            Chart(
                f"Images per second during the run ({length}), maximum {highest:,.0f}",
                ("images/s", "time since the start"),
                slot / end,
                [(count / slot / top, "") for count in throughput.images],
                heights,
                _time_labels(end),
                [(time / end, f"association lost after {duration(time)}") for time in losses],
            ),
        )
    return (*chart, *_lost_associations(losses))


def times(request: str, throughput: ThroughputCounts) -> Parts:
    """Return a histogram of the times of requests, with their median, 95th percentile and maximum.

    Return nothing without requests.
    """
    counts = throughput.durations
    highest = max(counts, default=0)
    if not highest:
        return ()
    between = [f"{_limit(low)} to {_limit(high)}" for low, high in pairwise(LIMITS)]
    ranges = [f"under {_limit(LIMITS[0])}", *between, f"over {_limit(LIMITS[-1])}"]
    top, heights = _scale(max(highest, 2))
    chart = Chart(
        f"{request} times, most often {ranges[counts.index(highest)]}",
        ("images", f"time of a {request}"),
        1 / len(counts),
        [
            (count / top, f"{words}: {quantity(count, 'image')}")
            for count, words in zip(counts, ranges, strict=True)
        ],
        heights,
        [(place / len(counts), _limit(limit)) for place, limit in enumerate(LIMITS, 1)],
    )
    if not (known := throughput.times):
        return (chart,)
    median, p95, maximum = map(_time, (known.median, known.p95, known.maximum))
    return (f"{request} times: median {median}, 95th percentile {p95}, maximum {maximum}.", chart)


def _scale(highest: float) -> tuple[float, Sequence[tuple[float, str]]]:
    """Return a round value above the highest, and the labels of the axis up to it."""
    unit = 10.0 ** floor(log10(highest))
    top = next(step * unit for step in (1, 2, 4, 6, 8, 10) if step * unit >= highest)
    return top, [(share, f"{top * share:,.10g}") for share in (0, 0.5, 1)]


def _time_labels(end: float) -> Sequence[tuple[float, str]]:
    """Return the labels of an axis of time, at round times."""
    step = next((step for step in _TIME_STEPS if end <= MAX_TIME_LABELS * step), ceil(end))
    return [(time / end, _length(time)) for time in range(0, floor(end) + 1, step)]


def _lost_associations(losses: tuple[float, ...]) -> Parts:
    """Return a paragraph with the number and times of lost associations."""
    if not losses:
        return ()
    named = ", ".join(duration(time) for time in losses[:MAX_NAMED])
    more = f" and {len(losses) - MAX_NAMED:,} more" if len(losses) > MAX_NAMED else ""
    return (f"{quantity(len(losses), 'association')} lost while sending (after {named}{more}).",)


def _length(seconds: float) -> str:
    return duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"


def _limit(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _time(seconds: float) -> str:
    """Return a measured time with at most three digits."""
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"
