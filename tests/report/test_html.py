"""What the pages share: each text is text, and never markup."""

from html.parser import HTMLParser

from hypothesis import example, given
from hypothesis import strategies as st

from fw_gear_dicom_send.report.html import bar, row, table, tiles
from tests.support.drawn_datasets import bounded

EVIL = "\"'><script>alert(1)</script>&amp;"
TEXTS = st.text(st.characters(exclude_characters="\0\r"), min_size=1)
"""A parser of HTML reads no NUL, and a carriage return as a line break."""


class Parsed(HTMLParser):
    """The elements of a piece of HTML, and the texts in them."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[dict[str, str | None]] = []
        self.texts: list[str] = []
        self._is_inside = False
        self.feed(text)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element, and that a text begins."""
        self.tags.append(tag)
        self.attributes.append(dict(attrs))
        self._is_inside = False

    def handle_data(self, data: str) -> None:
        """Note a text, or add to it."""
        if self._is_inside:
            data = self.texts.pop() + data
        self.texts.append(data)
        self._is_inside = True


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_tiles_show_any_text(name: str, value: str) -> None:
    """A number that comes first has its name and its value, as they are."""
    parsed = Parsed(tiles([(name, value)]))
    assert parsed.tags == ["div", "dt", "dd"]
    assert parsed.texts == [name, value]


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_bar_has_any_label(label: str) -> None:
    """The label of a bar is an attribute, and never ends it."""
    parsed = Parsed(bar(0.25, "part", label))
    assert parsed.tags == ["svg", "rect", "rect"]
    assert parsed.attributes[0]["aria-label"] == label
    assert parsed.attributes[2] == {"class": "part", "width": "25.0", "height": "8"}


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_a_table_shows_any_text(header: str, cell: str) -> None:
    """Headers and cells are texts; a header says that it is one of a column."""
    parsed = Parsed(table([header, header], [["x", cell]]))
    assert parsed.tags == ["div", "table", "thead", "tr", *["th"] * 2, "tbody", "tr", *["td"] * 2]
    assert parsed.attributes[4] == {"scope": "col"}
    assert parsed.texts == [header, header, "x", f"{cell}\n"]


def test_the_cells_of_a_row_are_html() -> None:
    """A row takes the colour of its state; its cells may hold a bar."""
    parsed = Parsed(row("bad", ["<b>x</b>", "y"]))
    assert parsed.tags == ["tr", "td", "b", "td"]
    assert parsed.attributes[0] == {"class": "bad"}
