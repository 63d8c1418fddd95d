"""Pages as HTML, from the values in `sections`. Every text in an element is escaped.

A page is self-contained, and its policy forbids loading anything.
"""

from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from ..sections import (
    Bar,
    Chart,
    Details,
    Lines,
    Link,
    Matrix,
    Named,
    Part,
    Section,
    Table,
)

_SHAPES = ("rect", "path", "line")
_STYLE = Path(__file__).with_suffix(".css")
_HEAD = """\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
"""


class _HTML(str):
    """Markup. All other text is escaped."""

    __slots__ = ()


def render(
    title: str,
    outcome: str,
    *,
    is_good: bool,
    note: str = "",
    about: Iterable[str] = (),
    warnings: Iterable[str] = (),
    facts: Iterable[Named],
    tiles: Iterable[Named],
    sections: Iterable[Section],
) -> str:
    """Return a self-contained page: outcome, facts and numbers of a run first, then sections.

    `note` follows the outcome. `about` says where to and when in the title of the window. Sections
    without content are left out.
    """
    first = _element("strong", outcome, "." if note else "")
    main = [
        _element("h1", title),
        _element("p", first, f" {note}" if note else "", look=f"outcome {_GOOD[is_good]}"),
        *(
            _element("p", _element("strong", "Warning:"), f" {text}", look="outcome part")
            for text in warnings
        ),
        _definitions("facts", facts),
        _definitions("tiles", tiles),
    ]
    for section in sections:
        if section.parts:
            main += _element("h2", section.title), _shown(section.parts)
    window = _element("title", " | ".join((outcome, title, *about)))
    style = f"<style>\n{_STYLE.read_text(encoding='utf-8')}</style>"
    body = "\n".join(main)
    return f"{_HEAD}{window}\n{style}\n</head>\n<body>\n<main>\n{body}\n</main>\n</body>\n</html>\n"


def _element(name: str, *content: str | int, look: str = "", **attributes: str | int) -> _HTML:
    """Return an element. `look` is its class; `_` in the name of an attribute stands for `-`."""
    given = {"class": look, **attributes} if look else attributes
    start = "".join(f' {key.replace("_", "-")}="{_text(given[key])}"' for key in given)
    inner = "".join(map(_text, content))
    if name in _SHAPES and not inner:
        return _HTML(f"<{name}{start}/>")
    return _HTML(f"<{name}{start}>{inner}</{name}>")


def _text(value: str | int) -> str:
    """Return a text or number as HTML; numbers have commas between thousands."""
    if isinstance(value, _HTML):
        return value
    if isinstance(value, int):
        return f"{value:,}"
    value = value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return value.replace('"', "&#34;").replace("'", "&#39;")


def _shown(part: Part) -> _HTML:
    """Return a part of a section, or the content of a cell."""
    if isinstance(part, str | int):
        return _HTML(_text(part))
    if isinstance(part, list):
        return _element("ul", *(_element("li", text) for text in part))
    if isinstance(part, tuple):
        blocks = (_element("p", one) if isinstance(one, str) else _shown(one) for one in part)
        return _HTML("".join(blocks))
    return _ELEMENTS[type(part)](part)


def _link(link: Link) -> _HTML:
    if not link.url.startswith(("https://", "http://")):
        return _HTML(_text(link.text))
    return _element("a", link.text, href=link.url, rel="noreferrer")


def _bar(bar: Bar) -> _HTML:
    shares = (("rest", 1.0), (bar.state, bar.share))
    rects = (
        _element("rect", look=state, width=f"{share * 100:.1f}", height=8)
        for state, share in shares
    )
    return _element(
        "svg",
        *rects,
        look="bar",
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        role="img",
        aria_label=bar.label,
    )


def _details(details: Details) -> _HTML:
    return _element("details", _element("summary", details.summary), _shown(details.parts))


def _lines(lines: Lines) -> _HTML:
    return _element(
        "pre", "\n".join(lines.lines), tabindex=0, role="region", aria_label=lines.label
    )


def _table(table: Table) -> _HTML:
    titles = (
        _element("th", title, scope="col", look=look) for title, look in table.columns.items()
    )
    rows = []
    for number, row in enumerate(table.rows):
        cells = (
            _element("td", _shown(cell), look=look, data_label=title)
            for (title, look), cell in zip(table.columns.items(), row, strict=False)
        )
        rows.append(_element("tr", *cells, look=table.states[number] if table.states else ""))
        if table.below and table.below[number]:
            below = _element("td", _shown(table.below[number]), colspan=len(table.columns))
            rows.append(_element("tr", below, look="below"))
    name = {"id": table.name} if table.name else {}
    return _rows(titles, rows, look="rows", **name)


def _matrix(matrix: Matrix) -> _HTML:
    titles = (_element("th", title, scope="col") for title in (matrix.corner, *matrix.columns))
    rows = (
        _element(
            "tr",
            _element("th", title, scope="row"),
            *(_element("td", cell, look=cell) for cell in cells),
        )
        for title, cells in matrix.rows
    )
    table = _rows(titles, rows, look="matrix")
    return _element("div", table, look="wide", tabindex=0, role="region", aria_label=matrix.corner)


def _rows(titles: Iterable[_HTML], rows: Iterable[_HTML], **attributes: str) -> _HTML:
    head = _element("thead", _element("tr", *titles))
    return _element("table", head, _HTML("\n".join(("<tbody>", *rows, "</tbody>"))), **attributes)


def _chart(chart: Chart) -> _HTML:
    shapes = []
    for share, text in chart.heights:
        y = f"{160 - share * 124:.1f}"
        shapes.append(_element("path", look="grid", d=f"M 76 {y} H 628"))
        shapes.append(_element("text", text, x=70, y=y, dy=4, text_anchor="end"))
    for number, (share, title) in enumerate(chart.bars):
        shapes.append(
            _element(
                "rect",
                _element("title", title) if title else "",
                look="mark",
                x=f"{76.5 + number * chart.step * 552:.1f}",
                y=f"{160 - share * 124:.1f}",
                width=f"{max(chart.step * 552 - 1, 0.5):.1f}",
                height=f"{share * 124:.1f}",
            )
        )
    for place, title in chart.marks:
        line = f"M {76 + place * 552:.1f} 36 V 160"
        shapes.append(_element("path", _element("title", title), look="lost", d=line))
    every = 3 if len(chart.labels) > 7 else 2
    for number, (place, text) in enumerate(chart.labels):
        anchor = _ANCHORS.get(place, "middle")
        x = f"{76 + place * 552:.1f}"
        look = "minor" if number % every else ""
        shapes.append(_element("text", text, look=look, x=x, y=178, text_anchor=anchor))
    up, right = chart.units
    return _element(
        "svg",
        *shapes,
        _element("line", x1=76, x2=628, y1=160, y2=160),
        _element("text", up, look="unit", x=8, y=16),
        _element("text", right, look="unit", x=352, y=204, text_anchor="middle"),
        look="chart",
        viewBox="0 0 640 210",
        role="img",
        aria_label=chart.label,
    )


def _definitions(look: str, pairs: Iterable[Named]) -> _HTML:
    rows = (
        _element("div", _element("dt", title), _element("dd", _shown(value)))
        for title, value in pairs
    )
    return _element("dl", *rows, look=look)


_ELEMENTS: Mapping[type, Callable[[Any], _HTML]] = {
    Link: _link,
    Bar: _bar,
    Details: _details,
    Lines: _lines,
    Table: _table,
    Matrix: _matrix,
    Chart: _chart,
}
_ANCHORS: Mapping[float, str] = {0: "start", 1: "end"}
_GOOD = {True: "good", False: "bad"}
