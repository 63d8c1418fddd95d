"""CSV rows have one line each, no formula, and are read back as written."""

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fw_gear_dicom_send.report.csv_rows import read_rows, write_row
from fw_gear_dicom_send.text import printable

CELLS = st.text(st.characters()) | st.text("'=+-@\t\r\n,;\"a")


def line_of(*cells: str) -> str:
    """Return the written form of a row."""
    file = io.StringIO(newline="")
    write_row(file, cells)
    return file.getvalue()


@pytest.mark.parametrize("start", [*"=+-@", *"\uff1d\uff0b\uff0d\uff20"])
def test_a_formula_gets_an_apostrophe(start: str) -> None:
    """A spreadsheet then shows it as text."""
    assert line_of(f"{start}1+1", "a") == f"'{start}1+1,a\n"


@pytest.mark.parametrize("start", ["\t", "\r", "\n"])
def test_no_cell_starts_with_a_tab_or_a_line_break(start: str) -> None:
    """Some spreadsheets skip them and run the rest."""
    assert line_of(f"{start}=1", "a") == f"{printable(start)}=1,a\n"


@pytest.mark.parametrize(
    ("cell", "written"),
    [
        ("x;=1", "x;'=1"),
        ("x;'=1", "x;''=1"),
        ("x;a;@b;+c", "x;a;'@b;'+c"),
        ('x;"=1', '"x;\'""=1"'),
    ],
)
def test_a_formula_behind_a_semicolon_gets_an_apostrophe(cell: str, written: str) -> None:
    """Spreadsheets of many countries split cells there, whether or not they are quoted."""
    assert line_of("a", cell) == f"a,{written}\n"


@pytest.mark.parametrize(
    "cell", ["17", "12.3", "", "0x0000 Success", "'a", "a=1", "x-1", "no; not sent", "x;'a"]
)
def test_other_cells_are_unchanged(cell: str) -> None:
    """Numbers and text remain the same."""
    assert line_of(cell, "a") == f"{cell},a\n"


@given(st.lists(CELLS, min_size=2))
def test_a_row_is_one_line_and_is_read_as_written(cells: list[str]) -> None:
    """This is true for any content, even if it resembles an escaped cell."""
    line = line_of(*cells)
    assert len(line.splitlines()) == 1
    assert list(read_rows([line])) == [list(map(printable, cells))]


@given(st.lists(st.lists(CELLS, min_size=2), min_size=1), st.sampled_from(",;\t"))
def test_no_cell_is_a_formula(rows: list[list[str]], separator: str) -> None:
    """This is true for each separator of spreadsheets, and with any leading apostrophes."""
    lines = [line_of(*cells) for cells in rows]
    found = csv.reader(lines, delimiter=separator)
    assert not [cell for row in found for cell in row if cell.startswith(tuple("=+-@\t\r"))]
