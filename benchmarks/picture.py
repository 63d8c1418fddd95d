"""Bar chart of the measurements: seconds of each sender, one panel for each data set."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.results import REPLAY, Data, Named, Results
from benchmarks.tables import number, summary_of

OWN = ("command", "gear")
OWN_COLOUR, OTHER_COLOUR, LIMIT_COLOUR = "#0072B2", "#BBBBBB", "#555555"
STYLE: dict[Any, Any] = {
    "svg.hashsalt": "benchmarks",
    "svg.fonttype": "path",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.bottom": False,
}
ROOM = 1.25
"""Width of a panel relative to its longest bar, so that the number beside it fits."""


def draw(results: Results, path: Path) -> None:
    """Write an SVG with a bar for each sender; shorter means faster."""
    target, sets, senders = summary_of(results)
    if not sets:
        return
    seconds = {(row.data, row.sender): row.seconds for row in results.rows if row.target == target}
    title = next(item.title for item in results.targets if item.name == target)
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(3 + 2.4 * len(sets), 0.36 * len(senders) + 1.2))
        figure.set_layout_engine("constrained")
        panels = figure.subplots(1, len(sets), sharey=True, squeeze=False).ravel()
        for panel, data in zip(panels, sets, strict=True):
            _draw_panel(panel, data, senders, [seconds.get((data.name, s.name)) for s in senders])
        panels[0].set_yticks(range(len(senders)), [sender.title for sender in senders])
        panels[0].set_ylim(len(senders) - 0.4, -0.6)
        figure.suptitle(f"Seconds to {title}: shorter is faster", fontweight="bold")
        figure.savefig(path, format="svg", metadata={"Date": None, "Creator": None})


def _draw_panel(
    panel: Axes, data: Data, senders: Sequence[Named], seconds: Sequence[float | None]
) -> None:
    longest = max(value for value in seconds if value is not None)
    for place, (sender, value) in enumerate(zip(senders, seconds, strict=True)):
        if value is None:
            continue
        panel.barh(place, value, color=_colour(sender), height=0.7)
        panel.annotate(
            number(value),
            (value, place),
            xytext=(4, 0),
            textcoords="offset points",
            verticalalignment="center",
            fontsize=9,
        )
    panel.set_title(data.title.replace(", ", "\n"), fontsize=9)
    panel.set_xlim(0, longest * ROOM)
    panel.set_xticks([])
    panel.tick_params(axis="y", length=0)


def _colour(sender: Named) -> str:
    if sender.name.startswith(REPLAY):
        return LIMIT_COLOUR
    return OWN_COLOUR if sender.name.startswith(OWN) else OTHER_COLOUR
