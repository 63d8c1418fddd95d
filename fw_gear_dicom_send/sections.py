"""Parts of a page as values. What supplies them knows no markup, and a page only renders them.

Texts are not HTML: the page escapes them. An `int` is shown with commas between thousands.
"""

from collections.abc import Mapping, Sequence
from typing import Union

from .text import quantity
from .values import frozen, replace

MAX_OPEN_ROWS = 20
"""Maximum number of complete rows that are shown without a click."""


@frozen
class Link:
    """A link, or just the text if the URL is not HTTP or HTTPS."""

    text: str
    url: str


@frozen
class Bar:
    """A bar that is filled to `share` (0 to 1) in the colour of `state`: good, part or bad."""

    share: float
    state: str
    label: str


@frozen
class Details:
    """A collapsible block; it is expanded in print."""

    summary: str
    parts: "Parts"


@frozen
class Lines:
    """Lines to copy: a click selects all of them. They are not printed."""

    label: str
    lines: Sequence[str]


@frozen
class Table:
    """A table; on a narrow screen each cell has its own line with the column title.

    `columns` are titles with the look of their cells: `number`, `words` that are not broken, `long`
    texts, `advice`, `minor` if hidden where the table is narrow, or empty. `states` are the colours
    of all rows, if they have any. `name` is the id of the table. `below` are parts below each row,
    over the whole width, if there are any.
    """

    columns: Mapping[str, str]
    rows: Sequence[Sequence["Part"]]
    states: Sequence[str] = ()
    name: str = ""
    below: Sequence["Parts"] = ()


@frozen
class Matrix:
    """A table with row titles, whose cells are yes, no or empty. It may be wide."""

    corner: str
    columns: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]


@frozen
class Chart:
    """A chart of bars, each with its share of the height and its title.

    A bar takes `step` of the width. `labels` and `marks` have a share of the width and a text, and
    `heights` a share of the height. `units` names the axes, upwards first. `label` describes the
    chart.
    """

    label: str
    units: tuple[str, str]
    step: float
    bars: Sequence[tuple[float, str]]
    heights: Sequence[tuple[float, str]]
    labels: Sequence[tuple[float, str]]
    marks: Sequence[tuple[float, str]] = ()


Part = Union[str, int, list[str], Link, Bar, Details, Lines, Table, Matrix, Chart, "Parts"]
"""A part of a section, or a cell; several texts are a list."""
Parts = tuple[Part, ...]
"""Parts of a block; a text among them is a paragraph."""
Named = tuple[str, Part]


@frozen
class Section:
    """A section of a page with its heading."""

    title: str
    parts: Parts


def folded(table: Table, noun: str, max_rows: int, report: str) -> Parts:
    """Return a table whose good rows come last, or two, where many good rows are behind a click.

    Each has at most `max_rows` rows, each a `noun`. `report` is the report with all of them, or
    empty.
    """
    bad = sum(state != "good" for state in table.states)
    good = len(table.states) - bad
    if good <= MAX_OPEN_ROWS:
        return _cut(table, noun, max_rows, report)
    first = replace(table, rows=table.rows[:bad], states=table.states[:bad])
    last = Table(table.columns, table.rows[bad:], table.states[bad:], f"complete-{table.name}")
    hidden = Details(quantity(good, f"complete {noun}"), _cut(last, noun, max_rows, report))
    return (*(_cut(first, noun, max_rows, report) if bad else ()), hidden)


def _cut(table: Table, noun: str, max_rows: int, report: str) -> Parts:
    more = len(table.rows) - max_rows
    if more <= 0:
        return (table,)
    cut = replace(table, rows=table.rows[:max_rows], states=table.states[:max_rows])
    full = f" The full list is in {report}." if report else ""
    return (cut, f"{quantity(more, f'more {noun}')} not shown.{full}")
