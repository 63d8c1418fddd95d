"""The picture of what was measured with Orthanc at the other end."""

from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import Data, Results, Row
from benchmarks.tables import number

TARGET = "orthanc"
GEAR_COLOUR, OTHER_COLOUR, FLOOR_COLOUR = "#0072B2", "#D55E00", "#666666"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
}


def draw(results: Results, path: Path) -> None:
    """Write an SVG: a panel for each data set, a dot for each sender at its median."""
    sets = [data for data in results.data if rows_for(results, data)]
    if not sets:
        return
    heights = [len(rows_for(results, data)) + 1 for data in sets]
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(8, 0.36 * sum(heights) + 0.6 * len(sets) + 0.4))
        figure.set_layout_engine("constrained")
        panels = figure.subplots(
            len(sets), 1, sharex=True, squeeze=False, height_ratios=heights
        ).ravel()
        for panel, data in zip(panels, sets, strict=True):
            _draw_panel(panel, data, rows_for(results, data), results)
        panels[-1].set_xlabel("seconds to Orthanc, logarithmic; median, fastest and slowest run")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def rows_for(results: Results, data: Data) -> list[Row]:
    """Return the rows that a panel shows."""
    return [row for row in results.rows if row.target == TARGET and row.data == data.name]


def _draw_panel(panel: Axes, data: Data, rows: Sequence[Row], results: Results) -> None:
    titles = {sender.name: sender.title for sender in results.senders}
    floor = median(data.raw_seconds)
    labels = [*(titles[row.sender] for row in rows), "raw copy"]
    for place, row in enumerate(rows):
        colour = GEAR_COLOUR if row.sender.startswith("gear") else OTHER_COLOUR
        panel.plot([row.fastest_seconds, row.slowest_seconds], [place, place], color=colour)
        _draw_dot(panel, place, row.seconds, row.slowest_seconds, colour)
    _draw_dot(panel, len(rows), floor, floor, FLOOR_COLOUR)
    panel.set_title(data.title, loc="left", fontsize=10, fontweight="bold")
    panel.set_xscale("log")
    panel.set_yticks(range(len(labels)), labels)
    panel.set_ylim(len(labels) - 0.4, -0.6)
    panel.margins(x=0.12)
    panel.tick_params(axis="y", length=0)
    panel.grid(axis="x", color="#DDDDDD", linewidth=0.6)
    panel.set_axisbelow(True)
    panel.xaxis.set_major_formatter(lambda value, _: f"{value:g}")


def _draw_dot(panel: Axes, place: int, seconds: float, slowest: float, colour: str) -> None:
    panel.plot([seconds], [place], "o", color=colour, markersize=6)
    panel.annotate(
        number(seconds) if seconds >= 1 else f"{seconds:.2g}",
        (slowest, place),
        xytext=(7, 0),
        textcoords="offset points",
        verticalalignment="center",
        fontsize=9,
    )
