"""CSV rows (RFC 4180) of one line each, without spreadsheet formulas.

A text that a spreadsheet would run as a formula gets an apostrophe in front, at the start of a
cell and behind a semicolon. Where the list separator is a semicolon, spreadsheets split cells
there. The apostrophe is removed when this package reads the row.
"""

import csv
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import BinaryIO, TextIO

from ..text import printable

Row = Mapping[str, str]
"""Cells of a row by column."""

_MAX_CELL = 4000
_MAX_LINE = 1 << 16
"""Maximum length of a row in bytes, enough for four of the longest cells."""
_SEPARATORS = ",;\t"
"""Separators of spreadsheets. A comma is written."""
_FORMULA_STARTS = "=+-@\uff1d\uff0b\uff0d\uff20"
"""Includes full-width forms, which some spreadsheets accept. Tabs and line breaks are escaped."""
_BORDER = "\x1f"
"""Not printable, so it cannot be in a printable cell."""
_FORMULA = rf"(?=['\"]*[{re.escape(_FORMULA_STARTS)}])"
"""Quotes do not matter, as a spreadsheet removes those behind a separator."""
_JOINED = re.compile(f"[;{_BORDER}]{_FORMULA}")
"""Finds a formula in cells with a `_BORDER` before each."""
_UNESCAPED = re.compile(rf"(\A|;){_FORMULA}")
_ESCAPED = re.compile(rf"(\A|;)'{_FORMULA}")


def write_row(file: TextIO, cells: Iterable[str]) -> None:
    """Write a row with printable cells, cut to 4,000 characters.

    Raises OSError if it cannot be written.
    """
    row = list(cells)
    # Most rows need no escaping. One check of all cells together is faster.
    text = "".join(row)
    if not text.isprintable() or len(text) > _MAX_CELL or _JOINED.search(_BORDER.join(("", *row))):
        row = [_UNESCAPED.sub(r"\1'", _cut(printable(cell))) for cell in row]
    csv.writer(file, lineterminator="\n").writerow(row)


def read_rows(lines: Iterable[str], separator: str = ",") -> Iterator[list[str]]:
    """Yield rows that were written by `write_row`; raise csv.Error for any other text."""
    for cells in csv.reader(lines, delimiter=separator, strict=True):
        yield [_ESCAPED.sub(r"\1", cell) if "'" in cell else cell for cell in cells]


def read_table(file: BinaryIO, needed: Collection[str]) -> Iterator[Row | None] | None:
    """Return the rows of a table by column, with None for each damaged row.

    Return None if the header does not have each `needed` column exactly once. Other columns and
    their order do not matter. A spreadsheet may have changed the separator, the line ends or the
    byte order mark. The table may consist of several tables with a header each.
    """
    lines = _lines(file)
    first = next(lines, None)
    for separator in _SEPARATORS:
        header = _cells(first, separator)
        if header and _is_header(header, needed):
            return _rows(lines, header, separator, needed)
    return None


def _cut(text: str) -> str:
    return text if len(text) <= _MAX_CELL else f"{text[: _MAX_CELL - 1]}…"


def _rows(
    lines: Iterable[bytes | None], header: list[str], separator: str, needed: Collection[str]
) -> Iterator[Row | None]:
    for line in lines:
        cells = _cells(line, separator)
        if cells is not None and _is_header(cells, needed):
            header = cells
        elif cells is None or (any(cells) and len(cells) != len(header)):
            yield None
        elif any(cells):
            yield dict(zip(header, cells, strict=True))


def _lines(file: BinaryIO) -> Iterator[bytes | None]:
    """Yield the lines of a file, None for one that is too long or has no end."""
    is_start = True
    while line := file.readline(_MAX_LINE):
        is_end = line.endswith(b"\n")
        if is_end:
            yield line if is_start else None
        is_start = is_end
    if not is_start:
        yield None


def _cells(line: bytes | None, separator: str) -> list[str] | None:
    """Return the cells of a line, None if it is damaged."""
    if line is None:
        return None
    text = line.decode(errors="replace").removeprefix("\ufeff")
    try:
        return next(read_rows([text], separator), None)
    except csv.Error:
        return None


def _is_header(cells: list[str], needed: Collection[str]) -> bool:
    return all(cells.count(name) == 1 for name in needed)
