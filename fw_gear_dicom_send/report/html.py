"""What the pages share: their look, and parts of them with all texts escaped."""

from collections.abc import Iterable, Iterator, Sequence
from html import escape
from string import Template

_STYLE = """\
:root { color-scheme: light dark; --text: #1a1a1a; --soft: #595959; --page: #ffffff;
  --line: #d0d0d0; --good: #1a7f37; --part: #9a6700; --bad: #b3261e; --mark: #0b63b3; }
@media (prefers-color-scheme: dark) { :root { --text: #ececec; --soft: #b0b0b0; --page: #161616;
  --line: #444444; --good: #57c271; --part: #e0b04c; --bad: #ff8a80; --mark: #6db3f2; } }
@media print { :root { color-scheme: light; --text: #000000; --soft: #444444; --page: #ffffff;
  --line: #b0b0b0; --good: #1a7f37; --part: #8a5d00; --bad: #b3261e; --mark: #0b63b3; }
  h2 { break-after: avoid; }
  tr, svg { break-inside: avoid; } }
body { font: 16px/1.5 system-ui, sans-serif; color: var(--text); background: var(--page);
  max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; overflow-wrap: anywhere; } h2 { font-size: 1.1rem; margin-top: 2rem; }
.outcome { font-size: 1.3rem; font-weight: 600; border-left: .4rem solid; padding-left: .8rem; }
.outcome.good { color: var(--good); } .outcome.bad { color: var(--bad); }
dl { display: flex; flex-wrap: wrap; gap: 1rem 2rem; } dt { color: var(--soft); }
dd { margin: 0; font-size: 1.2rem; font-weight: 600; }
.wide { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .3rem .6rem; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:first-child { overflow-wrap: anywhere; } #files td:nth-child(n+2) { white-space: nowrap; }
tr.good td:last-child { color: var(--good); } tr.part td:last-child { color: var(--part); }
tr.bad td:last-child { color: var(--bad); }
svg.bar { width: 8rem; height: .7rem; } svg .rest { fill: var(--line); }
svg .good { fill: var(--good); } svg .part { fill: var(--part); } svg .bad { fill: var(--bad); }
svg.chart { width: 100%; height: auto; } svg .mark { fill: var(--mark); }
svg line { stroke: var(--soft); } svg text { fill: var(--text); font-size: 11px; }
"""


def page(when: str, body: str, style: str = "") -> Template:
    """Return a page that loads nothing, and lets nothing be loaded by it.

    It begins with `$title`, `when`, `$outcome` of `$state`, `$tiles` and `$failures`; `body` and
    `style` are what one page has beside the others.
    """
    return Template(
        f"""\
<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>
{_STYLE}{style}</style>
</head>
<body>
<main>
<h1>$title</h1>
<p>{when}</p>
<p class="outcome $state">$outcome</p>
<dl>$tiles</dl>
<h2>What went wrong</h2>
$failures
{body}</main>
</body>
</html>
"""
    )


def tiles(named: Iterable[tuple[str, str]]) -> str:
    """Return the numbers that come first, each with its name, for a `dl`."""
    return "".join(
        f"<div><dt>{escape(name)}</dt><dd>{escape(value)}</dd></div>" for name, value in named
    )


def bar(share: float, state: str, label: str) -> str:
    """Return a bar that is full to `share`, in the colour of `state`."""
    return (
        f'<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" role="img" '
        f'aria-label="{escape(label)}"><rect class="rest" width="100" height="8"/>'
        f'<rect class="{state}" width="{share * 100:.1f}" height="8"/></svg>'
    )


def row(state: str, cells: Iterable[str]) -> str:
    """Return a row in the colour of `state`; its cells are HTML."""
    return f'<tr class="{state}">{"".join(f"<td>{cell}</td>" for cell in cells)}</tr>\n'


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table of texts."""

    def cells(tag: str, row: Sequence[str]) -> Iterator[str]:
        scope = ' scope="col"' if tag == "th" else ""
        yield from (f"<{tag}{scope}>{escape(cell)}</{tag}>" for cell in row)

    body = "".join(f"<tr>{''.join(cells('td', row))}</tr>\n" for row in rows)
    head = "".join(cells("th", header))
    made = f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
    return f'<div class="wide">{made}</div>'
