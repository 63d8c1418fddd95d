"""Common style and elements of the HTML pages, with all texts escaped."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from html import escape
from string import Template
from typing import TypeVar

MAX_OPEN_ROWS = 20
"""Maximum number of complete rows that are shown without a click."""
T = TypeVar("T")

_STYLE = """\
:root { color-scheme: light dark; --text: #1a1a1a; --soft: #595959; --page: #ffffff;
  --line: #d0d0d0; --good: #1a7f37; --part: #8a5d00; --bad: #b3261e; --mark: #0b63b3; }
@media (prefers-color-scheme: dark) { :root { --text: #ececec; --soft: #b0b0b0; --page: #161616;
  --line: #444444; --good: #57c271; --part: #e0b04c; --bad: #ff8a80; --mark: #6db3f2; } }
* { box-sizing: border-box; }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 70rem; margin: 0 auto; padding: 1rem; overflow-wrap: anywhere; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.1rem; margin-top: 2rem; }
a { color: inherit; } :focus-visible { outline: 3px solid var(--mark); outline-offset: 2px; }
.outcome { font-size: 1.3rem; font-weight: 600; border-left: .4rem solid; padding-left: .8rem; }
.outcome.good { color: var(--good); } .outcome.bad { color: var(--bad); }
dl div { display: flex; flex-wrap: wrap; gap: 0 1rem; } dt { color: var(--soft); }
dl.facts dt { flex: 0 0 6rem; } dl.facts dd { flex: 1 1 14rem; } dd { margin: 0; }
dl.tiles { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } dl.tiles div { display: block; }
dl.tiles dd { font-size: 1.2rem; font-weight: 600; }
table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; overflow-wrap: normal; }
td { overflow-wrap: anywhere; } td.words { overflow-wrap: normal; } td p { margin: 0; }
td.long { min-width: 9rem; }
.number { text-align: right; font-variant-numeric: tabular-nums; }
td.number { white-space: nowrap; }
tr.good td:last-child, .yes { color: var(--good); } tr.part td:last-child { color: var(--part); }
tr.bad td:last-child, .no { color: var(--bad); }
summary { cursor: pointer; padding: .2rem 0; } details ul { margin: .3rem 0; padding-left: 1.2rem; }
.wide { overflow-x: auto; } .matrix thead th + th { writing-mode: vertical-rl; max-height: 16rem;
  vertical-align: bottom; transform: rotate(180deg); text-align: left; }
table.matrix { width: auto; } .matrix td { text-align: center; overflow-wrap: normal; }
svg.bar { width: 8rem; max-width: 100%; height: .7rem; } svg .rest { fill: var(--line); }
svg .good { fill: var(--good); } svg .part { fill: var(--part); } svg .bad { fill: var(--bad); }
svg.chart { display: block; width: 100%; height: auto; } svg .mark { fill: var(--mark); }
svg line { stroke: var(--soft); } svg text { fill: var(--text); font-size: 11px; }
svg .lost { stroke: var(--bad); stroke-width: 2; stroke-dasharray: 4 2; }
@media screen and (max-width: 60rem) { svg.bar { width: 4rem; } th, td { padding: .3rem .4rem; }
  th.minor, td.minor { display: none; } }
@media screen and (max-width: 44rem) {
  svg text { font-size: 20px; } svg text.minor { display: none; }
  table.rows, .rows tbody, .rows tr, .rows td { display: block; }
  .rows thead { position: absolute; width: 1px; height: 1px; overflow: hidden;
    clip-path: inset(50%); }
  .rows tr { border-bottom: 2px solid var(--line); padding: .4rem 0; }
  .rows td:empty { display: none; }
  .rows td { border: 0; padding: .1rem 0; text-align: left; white-space: normal; }
  .rows td::before { content: attr(data-label) ": "; color: var(--soft); } }
@media print { :root { color-scheme: light; --text: #000000; --soft: #444444; --page: #ffffff;
    --line: #b0b0b0; --good: #1a7f37; --part: #8a5d00; --bad: #b3261e; --mark: #0b63b3; }
  body { max-width: none; padding: 0; font-size: 11px; } h2 { break-after: avoid; }
  tr, svg { break-inside: avoid; } details::details-content { content-visibility: visible; }
  .wide { overflow: visible; } }
"""

_PAGE = Template(
    f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
{_STYLE}</style>
</head>
<body>
<main>
<h1>$title</h1>
<p class="outcome $state">$outcome</p>
<dl class="facts">$facts</dl>
<dl class="tiles">$tiles</dl>
$body</main>
</body>
</html>
"""
)


class HTML(str):
    """Text that is already HTML and is not escaped."""

    __slots__ = ()


class Numbers(str):
    """Title of a column of numbers."""

    __slots__ = ()


class Words(str):
    """Title of a column of short texts, whose words are not broken."""

    __slots__ = ()


class LongTexts(str):
    """Title of a column of sentences or paths, which is not narrow."""

    __slots__ = ()


class Minor(str):
    """Title of a column that is hidden where a table is narrow."""

    __slots__ = ()


Shown = str | int
"""Value on a page: text, HTML or a number."""
Named = tuple[str, Shown]


def page(
    title: str,
    outcome: str,
    facts: Iterable[Named],
    tiles: Iterable[Named],
    sections: Iterable[str],
    *,
    is_good: bool,
) -> str:
    """Return a self-contained page, whose policy forbids loading anything.

    It starts with the outcome, the facts and the numbers of the run; `sections` are HTML.
    """
    return _PAGE.substitute(
        title=escape(title),
        state="good" if is_good else "bad",
        outcome=escape(outcome),
        facts=_definitions(facts),
        tiles=_definitions(tiles),
        body="".join(f"{section}\n" for section in sections if section),
    )


def shown(value: Shown) -> str:
    """Return a value as HTML; numbers have commas between thousands."""
    if isinstance(value, HTML):
        return str(value)
    return f"{value:,}" if isinstance(value, int) else escape(value)


def section(title: str, *parts: str) -> str:
    """Return a section with its heading; the parts are HTML."""
    return f"<h2>{escape(title)}</h2>\n" + "\n".join(parts)


def paragraph(text: Shown) -> HTML:
    """Return a paragraph."""
    return HTML(f"<p>{shown(text)}</p>")


def link(text: str, url: str) -> HTML:
    """Return a link, or just the text if the URL is not HTTP or HTTPS."""
    if not url.startswith(("https://", "http://")):
        return HTML(escape(text))
    return HTML(f'<a href="{escape(url)}" rel="noreferrer">{escape(text)}</a>')


def details(summary: str, *parts: str, is_open: bool = False) -> HTML:
    """Return a collapsible block; it is expanded in print."""
    attribute = " open" * is_open
    inner = "".join(parts)
    return HTML(f"<details{attribute}><summary>{escape(summary)}</summary>{inner}</details>")


def items(texts: Iterable[Shown]) -> HTML:
    """Return a list."""
    return HTML(f"<ul>{''.join(f'<li>{shown(text)}</li>' for text in texts)}</ul>")


def bar(share: float, state: str, label: str) -> HTML:
    """Return a bar that is filled to `share` (0 to 1) in the colour of `state`."""
    return HTML(
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><rect class="rest" width="100" height="8"/>'
        f'<rect class="{state}" width="{share * 100:.1f}" height="8"/></svg>'
    )


def table(
    columns: Sequence[str],
    rows: Iterable[Sequence[Shown]],
    *,
    states: Iterable[str] = (),
    name: str = "",
) -> HTML:
    """Return a table; on a narrow screen each cell has its own line with the column title.

    Args:
        columns: Column titles; columns of type `Numbers` are right-aligned.
        rows: Cells of each row.
        states: Colours of the rows; further rows have none.
        name: Id of the table.
    """
    colours = iter(states)
    head = "".join(f'<th scope="col"{_class(title)}>{escape(title)}</th>' for title in columns)
    starts = [f'<td{_class(title)} data-label="{escape(title)}">' for title in columns]
    lines = []
    for row in rows:
        colour = next(colours, "")
        cells = "".join(
            f"{start}{shown(cell)}</td>" for start, cell in zip(starts, row, strict=True)
        )
        start = f'<tr class="{colour}">' if colour else "<tr>"
        lines.append(f"{start}{cells}</tr>\n")
    identity = f' id="{name}"' if name else ""
    return HTML(
        f'<table class="rows"{identity}><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table>"
    )


def folded_tables(
    incomplete: Sequence[T],
    complete: Sequence[T],
    summary: str,
    render: Callable[[Sequence[T], str], HTML],
    name: str,
) -> Iterator[HTML]:
    """Yield a table of all rows, or with many complete rows one that hides them behind a click.

    Args:
        incomplete: Rows that come first.
        complete: Rows that are hidden if there are more than `MAX_OPEN_ROWS`.
        summary: Text to click on.
        render: Returns the table of some rows with an id.
        name: Id of the first table.
    """
    if len(complete) <= MAX_OPEN_ROWS:
        yield render([*incomplete, *complete], name)
        return
    if incomplete:
        yield render(incomplete, name)
    yield details(summary, render(complete, f"complete-{name}"))


def matrix(corner: str, columns: Sequence[str], rows: Iterable[tuple[str, Sequence[str]]]) -> HTML:
    """Return a table with row titles, whose cells are yes, no or empty.

    A table that is wider than the screen can be scrolled, also with the keyboard.
    """
    head = "".join(f'<th scope="col">{escape(title)}</th>' for title in (corner, *columns))
    lines = []
    for title, cells in rows:
        shown_cells = "".join(f'<td class="{cell}">{cell}</td>' for cell in cells)
        lines.append(f'<tr><th scope="row">{escape(title)}</th>{shown_cells}</tr>\n')
    return HTML(
        f'<div class="wide" tabindex="0" role="region" aria-label="{escape(corner)}">'
        f'<table class="matrix"><thead><tr>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
    )


def _class(title: str) -> str:
    names = {Numbers: "number", Words: "words", LongTexts: "long", Minor: "minor"}
    name = names.get(type(title), "")
    return f' class="{name}"' if name else ""


def _definitions(pairs: Iterable[Named]) -> str:
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{shown(value)}</dd></div>" for name, value in pairs
    )
