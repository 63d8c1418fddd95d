"""The charts on the page about a run (SVG)."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from ..text import duration
from .html import HTML, paragraph
from .throughput import LIMITS, ThroughputCounts

MAX_NAMED = 10
"""Lost associations whose times are written out."""
_WIDTH, _HEIGHT, _MARGIN = 640, 160, 28
_NOTHING = paragraph("No image was sent.")


def rates(throughput: ThroughputCounts) -> HTML:
    """Draw images a second over time, with the associations that were lost."""
    slot, losses = throughput.slot_seconds, throughput.losses
    highest = max(throughput.images, default=0) / slot
    end = max(len(throughput.images) * slot, *losses) if losses else len(throughput.images) * slot
    if not highest:
        return HTML(_NOTHING + _losses(losses))
    width = slot / end * (_WIDTH - 2 * _MARGIN)
    bars = "".join(
        _bar(_MARGIN + place * width, max(width - 1, 0.5), count / slot / highest)
        for place, count in enumerate(throughput.images)
    )
    marks = "".join(_lost(time, time / end) for time in losses)
    chart = _chart(
        f"Images a second over the {_span(end)} of the run, at most {highest:,.0f}",
        bars + marks,
        (("start", _MARGIN, "0 s"), ("end", _WIDTH - _MARGIN, _span(end))),
        f"{highest:,.0f}/s",
    )
    return HTML(chart + _losses(losses))


def store_times(throughput: ThroughputCounts) -> HTML:
    """Draw how many C-STOREs took how long, and say what most of them took."""
    highest = max(throughput.durations, default=0)
    if not highest:
        return _NOTHING
    width = (_WIDTH - 2 * _MARGIN) / len(throughput.durations)
    bars = "".join(
        _bar(_MARGIN + place * width + 1, width - 2, count / highest, f"{words}: {count:,} images")
        for place, (count, words) in enumerate(zip(throughput.durations, _ranges(), strict=True))
    )
    labels = [
        ("middle", _MARGIN + (place + 1) * width, _limit(limit))
        for place, limit in enumerate(LIMITS)
    ]
    most = _ranges()[throughput.durations.index(highest)]
    chart = _chart(f"C-STORE times, most of them {most}", bars, labels, f"{highest:,}")
    if times := throughput.times:
        values = (
            ("Median", times.median),
            ("95th percentile", times.p95),
            ("longest", times.longest),
        )
        words = ", ".join(f"{name} {_time(seconds)}" for name, seconds in values)
        return HTML(paragraph(f"{words}.") + chart)
    return chart


def _losses(losses: tuple[float, ...]) -> str:
    """Say when associations were lost."""
    if not losses:
        return ""
    number = len(losses)
    what = "1 association was" if number == 1 else f"{number:,} associations were"
    named = ", ".join(duration(time) for time in losses[:MAX_NAMED])
    more = f" and {number - MAX_NAMED:,} more times" if number > MAX_NAMED else ""
    return paragraph(f"{what} lost with an image, after {named}{more}.")


def _ranges() -> list[str]:
    between = [f"{_limit(low)} to {_limit(high)}" for low, high in pairwise(LIMITS)]
    return [f"under {_limit(LIMITS[0])}", *between, f"over {_limit(LIMITS[-1])}"]


def _limit(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _span(seconds: float) -> str:
    """Return how long the axis of time is."""
    return duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"


def _time(seconds: float) -> str:
    """Return a measured time, with three digits at most."""
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _bar(left: float, width: float, share: float, title: str = "") -> str:
    room = _HEIGHT - 2 * _MARGIN
    height = share * room
    told = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect class="mark" x="{left:.1f}" y="{_MARGIN + room - height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}">{told}</rect>'
    )


def _lost(time: float, share: float) -> str:
    """Draw when an association was lost."""
    left = _MARGIN + share * (_WIDTH - 2 * _MARGIN)
    return (
        f'<path class="lost" d="M {left:.1f} {_MARGIN} V {_HEIGHT - _MARGIN}">'
        f"<title>association lost after {duration(time)}</title></path>"
    )


def _chart(title: str, marks: str, labels: Iterable[tuple[str, float, str]], highest: str) -> HTML:
    """Draw marks over a line with labels; on a narrow screen there is room for every third."""
    base = _HEIGHT - _MARGIN
    given = list(labels)
    texts = "".join(
        f'<text{_minor(place, len(given))} x="{left:.1f}" y="{base + 16}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
        for place, (anchor, left, text) in enumerate(given)
    )
    return HTML(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{marks}'
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{base}" y2="{base}"/>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 8}">{escape(highest)}</text>{texts}</svg>'
    )


def _minor(place: int, number: int) -> str:
    return ' class="minor"' if number > 2 and place % 3 else ""
