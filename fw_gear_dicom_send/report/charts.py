"""SVG charts for the page about a run."""

from collections.abc import Iterable
from html import escape
from itertools import pairwise

from ..text import duration, quantity
from .html import HTML, paragraph
from .throughput import LIMITS, ThroughputCounts

MAX_NAMED = 10
"""Maximum number of lost associations whose times are listed."""
_WIDTH, _HEIGHT, _MARGIN = 640, 160, 28
_NOTHING = paragraph("No image was sent.")


def rates(throughput: ThroughputCounts) -> HTML:
    """Draw images per second over time, with marks for lost associations."""
    slot, losses = throughput.slot_seconds, throughput.losses
    highest = max(throughput.images, default=0) / slot
    end = max(len(throughput.images) * slot, *losses) if losses else len(throughput.images) * slot
    if not highest:
        return HTML(_NOTHING + _lost_associations(losses))
    width = slot / end * (_WIDTH - 2 * _MARGIN)
    bars = "".join(
        _bar(_MARGIN + place * width, max(width - 1, 0.5), count / slot / highest)
        for place, count in enumerate(throughput.images)
    )
    marks = "".join(_loss_mark(time, time / end) for time in losses)
    chart = _chart(
        f"Images per second during the run ({_axis_length(end)}), maximum {highest:,.0f}",
        bars + marks,
        (("start", _MARGIN, "0 s"), ("end", _WIDTH - _MARGIN, _axis_length(end))),
        f"{highest:,.0f}/s",
    )
    return HTML(chart + _lost_associations(losses))


def store_times(throughput: ThroughputCounts) -> HTML:
    """Draw a histogram of C-STORE times, with their median, 95th percentile and maximum."""
    highest = max(throughput.durations, default=0)
    if not highest:
        return _NOTHING
    width = (_WIDTH - 2 * _MARGIN) / len(throughput.durations)
    bars = "".join(
        _bar(
            _MARGIN + place * width + 1,
            width - 2,
            count / highest,
            f"{words}: {quantity(count, 'image')}",
        )
        for place, (count, words) in enumerate(zip(throughput.durations, _ranges(), strict=True))
    )
    labels = [
        ("middle", _MARGIN + (place + 1) * width, _limit(limit))
        for place, limit in enumerate(LIMITS)
    ]
    most = _ranges()[throughput.durations.index(highest)]
    chart = _chart(f"C-STORE times, most often {most}", bars, labels, f"{highest:,}")
    if times := throughput.times:
        values = (
            ("Median", times.median),
            ("95th percentile", times.p95),
            ("maximum", times.maximum),
        )
        words = ", ".join(f"{name} {_time(seconds)}" for name, seconds in values)
        return HTML(paragraph(f"{words}.") + chart)
    return chart


def _lost_associations(losses: tuple[float, ...]) -> str:
    """Return a paragraph with the number and times of lost associations."""
    if not losses:
        return ""
    number = len(losses)
    times = ", ".join(duration(time) for time in losses[:MAX_NAMED])
    more = f" and {number - MAX_NAMED:,} more" if number > MAX_NAMED else ""
    lost = quantity(number, "association")
    return paragraph(f"{lost} lost while sending (after {times}{more}).")


def _ranges() -> list[str]:
    between = [f"{_limit(low)} to {_limit(high)}" for low, high in pairwise(LIMITS)]
    return [f"under {_limit(LIMITS[0])}", *between, f"over {_limit(LIMITS[-1])}"]


def _limit(seconds: float) -> str:
    return f"{seconds:g} s" if seconds >= 1 else f"{seconds * 1000:g} ms"


def _axis_length(seconds: float) -> str:
    """Return the length of the time axis."""
    return duration(seconds) if seconds >= 60 else f"{seconds:.0f} s"


def _time(seconds: float) -> str:
    """Return a measured time with at most three digits."""
    if seconds >= 60:
        return duration(seconds)
    return f"{seconds:.3g} s" if seconds >= 1 else f"{seconds * 1000:.3g} ms"


def _bar(left: float, width: float, share: float, title: str = "") -> str:
    room = _HEIGHT - 2 * _MARGIN
    height = share * room
    tooltip = f"<title>{escape(title)}</title>" if title else ""
    return (
        f'<rect class="mark" x="{left:.1f}" y="{_MARGIN + room - height:.1f}" '
        f'width="{width:.1f}" height="{height:.1f}">{tooltip}</rect>'
    )


def _loss_mark(time: float, share: float) -> str:
    """Draw the mark for a lost association."""
    left = _MARGIN + share * (_WIDTH - 2 * _MARGIN)
    return (
        f'<path class="lost" d="M {left:.1f} {_MARGIN} V {_HEIGHT - _MARGIN}">'
        f"<title>association lost after {duration(time)}</title></path>"
    )


def _chart(title: str, marks: str, labels: Iterable[tuple[str, float, str]], highest: str) -> HTML:
    """Draw marks over an axis with labels; a narrow screen shows only every third label."""
    base = _HEIGHT - _MARGIN
    all_labels = list(labels)
    texts = "".join(
        f'<text{_minor_class(place, len(all_labels))} x="{left:.1f}" y="{base + 16}" '
        f'text-anchor="{anchor}">{escape(text)}</text>'
        for place, (anchor, left, text) in enumerate(all_labels)
    )
    return HTML(
        f'<svg class="chart" viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{escape(title)}">{marks}'
        f'<line x1="{_MARGIN}" x2="{_WIDTH - _MARGIN}" y1="{base}" y2="{base}"/>'
        f'<text x="{_MARGIN}" y="{_MARGIN - 8}">{escape(highest)}</text>{texts}</svg>'
    )


def _minor_class(place: int, number: int) -> str:
    return ' class="minor"' if number > 2 and place % 3 else ""
