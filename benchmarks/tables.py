"""Tables of the measurements: a block for each target and data set, a row for each sender."""

from collections.abc import Iterable, Iterator, Sequence
from statistics import median

from benchmarks.claims.outcome import Outcome
from benchmarks.results import MEGABYTE, Data, Named, Results, Row

COLUMNS = (
    "sender",
    "runs",
    "s",
    "range",
    "TLS s",
    "connected s",
    "images/s",
    "MB/s",
    "% of replay",
    "CPU s",
    "CPU ms/image",
    "peak MB",
    "speed / dcmsend",
    "time / raw copy",
)
MANY, ONE = "gear-8", "gear-1"
SUMMARY = (
    "replay-4",
    "command-4",
    "gear-4",
    "dcmsend",
    "dcmsend-nodelay",
    "storescu",
    "storescu-nodelay",
    "pynetdicom",
    "dcmjs",
    "peer",
)
"""Senders in the summary, in this order."""


def summary_of(results: Results) -> tuple[str, list[Data], list[Named]]:
    """Return the summary: the first target, its data sets, and one row for each kind of sender."""
    target = results.targets[0].name
    measured = {(row.data, row.sender) for row in results.rows if row.target == target}
    data = [item for item in results.data if any(item.name == name for name, _ in measured)]
    known = {sender.name: sender for sender in results.senders}
    shown = [known[name] for name in SUMMARY if any(name == sender for _, sender in measured)]
    return target, data, shown


def tables(results: Results) -> str:
    """Return all tables in readable Markdown."""
    return "\n".join(block for target in results.targets for block in _blocks(results, target.name))


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; the columns after the first are numbers."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]
    lines = [
        [text.ljust(width) if index == 0 else text.rjust(width) for index, (text, width) in cells]
        for cells in ([*enumerate(zip(row, widths, strict=True))] for row in (header, *rows))
    ]
    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "".join(f"| {' | '.join(line)} |\n" for line in (lines[0], rule, *lines[1:]))


def outcomes_table(outcomes: Iterable[Outcome]) -> str:
    """Return a table of claims with their measured values and limits."""
    rows = [
        [outcome.claim, outcome.bound, outcome.measured, "yes" if outcome.holds else "no"]
        for outcome in outcomes
    ]
    return table(("claim", "limit", "measured", "met"), rows)


def number(value: float | None) -> str:
    """Format a number with two decimals, or fewer if it has three digits without them."""
    if value is None:
        return "-"
    return f"{value:.{2 if value < 9.995 else 1 if value < 99.95 else 0}f}"


def _blocks(results: Results, target: str) -> Iterator[str]:
    title = next(item.title for item in results.targets if item.name == target)
    senders = {sender.name: sender.title for sender in results.senders}
    for data in results.data:
        rows = [row for row in results.rows if row.target == target and row.data == data.name]
        if not rows:
            continue
        cells = [COLUMNS, *([senders[row.sender], *_numbers(row)] for row in rows)]
        columns = [column for column in zip(*cells, strict=True) if set(column[1:]) != {"-"}]
        header, *shown = zip(*columns, strict=True)
        yield f"### {title}: {data.title}\n\n{_size(data)}\n\n{table(header, shown)}{_gain(rows)}"


def _size(data: Data) -> str:
    return (
        f"{number(data.bytes / MEGABYTE)} MB in all. "
        f"A raw copy takes {median(data.raw_seconds):.3f} s."
    )


def _numbers(row: Row) -> list[str]:
    values = (
        row.seconds,
        row.tls_seconds,
        row.sending_seconds,
        row.images_per_second,
        row.megabytes_per_second,
        100 * row.of_replay if row.of_replay is not None else None,
        row.cpu_seconds,
        row.image_cpu_ms,
        row.peak_megabytes,
        row.times_dcmsend,
        row.times_raw,
    )
    seconds, *others = map(number, values)
    limits = f"{number(row.fastest_seconds)} - {number(row.slowest_seconds)}"
    return [str(row.runs), seconds, limits, *others]


def _gain(rows: Sequence[Row]) -> str:
    """Return the gain of more associations, if the connection times are known."""
    one, many = (next((row for row in rows if row.sender == name), None) for name in (ONE, MANY))
    if one is None or many is None or not (one.sending_seconds and many.sending_seconds):
        return ""
    return (
        f"\nWith 8 associations, the gear is {number(one.sending_seconds / many.sending_seconds)} "
        "times as fast as with one while it is connected. From start to end it is "
        f"{number(one.seconds / many.seconds)} times as fast.\n"
    )
