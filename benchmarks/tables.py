"""Tables of the measurements: a block for each target and data set, a row for each sender."""

from collections.abc import Callable, Iterable, Iterator, Sequence
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
FAR_TABLES: tuple[tuple[str, tuple[str, ...], Callable[[Row], float | None]], ...] = (
    ("MR: images/s after the first", ("mr-far", "mr-few"), lambda row: row.best_rate),
    ("CT: images/s after the first", ("ct-far", "ct-few"), lambda row: row.best_rate),
    ("One MR image: seconds", ("mr-far", "mr-few"), lambda row: row.first_image_seconds),
    ("All MR images: seconds", ("mr-far",), lambda row: row.seconds),
    ("All CT images: seconds", ("ct-far",), lambda row: row.seconds),
)
"""Title, data sets and value of each table of near and far servers."""
SUMMARY = (
    "replay-4",
    "command-default",
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


def near_and_far(results: Results) -> str:
    """Return tables with a row for each sender, and a column for each server and distance."""
    blocks = []
    for title, sets, value in FAR_TABLES:
        rows = {(row.sender, row.target): value(row) for row in results.rows if row.data in sets}
        targets = [item for item in results.targets if any(name == item.name for _, name in rows)]
        cells = [
            [sender.title, *(number(rows.get((sender.name, target.name))) for target in targets)]
            for sender in results.senders
            if any(rows.get((sender.name, target.name)) is not None for target in targets)
        ]
        if cells:
            header = ("sender", *(target.title for target in targets))
            blocks.append(f"### {title}\n\n{table(header, cells)}")
    return "\n".join(blocks)


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
        yield f"### {title}: {data.title}\n\n{_size(data)}\n\n{table(header, shown)}"


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
