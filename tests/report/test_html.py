"""What the pages share: each text is text, and never markup."""

from hypothesis import example, given

from fw_gear_dicom_send.report.html import bar, page, row, table, tiles
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import parsed
from tests.support.html_texts import EVIL, TEXTS


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_tiles_show_any_text(name: str, value: str) -> None:
    """A number that comes first has its name and its value, as they are."""
    shown = parsed(tiles([(name, value), ("n", "v")]))
    assert (shown.texts("dt"), shown.texts("dd")) == ([name, "n"], [value, "v"])
    assert shown.text == f"{name}{value}nv"
    assert shown.all("script") == []


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_bar_has_any_label(label: str) -> None:
    """The label of a bar is an attribute, and never ends it."""
    shown = parsed(bar(0.25, "part", label))
    assert shown.one("svg").attributes["aria-label"] == label
    whole, share = shown.all("rect")
    assert share.number("width") == whole.number("width") / 4
    assert share.number("height") == whole.number("height")
    assert (whole.attributes["class"], share.attributes["class"]) == ("rest", "part")
    assert shown.one("svg").attributes["viewbox"] == "0 0 100 8"
    assert shown.text == ""


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_a_table_shows_any_text(header: str, cell: str) -> None:
    """Headers and cells are texts; a header says that it is one of a column."""
    shown = parsed(table([header, "b"], [["c", cell], [cell, "d"]]))
    assert shown.one("thead").texts("th") == [header, "b"]
    rows = [line.texts("td") for line in shown.one("tbody").all("tr")]
    assert rows == [["c", cell], [cell, "d"]]
    assert [one.attributes for one in shown.all("th")] == [{"scope": "col"}] * 2
    assert [one.attributes for one in shown.all("td")] == [{}] * 4
    assert shown.text == f"{header}bc{cell}\n{cell}d\n"


def test_a_wide_table_can_be_scrolled() -> None:
    """It is in an element that the style lets scroll."""
    assert parsed(table(["a"], [])).one("div").attributes == {"class": "wide"}


def test_the_cells_of_a_row_are_html() -> None:
    """A row takes the colour of its state; its cells may hold a bar."""
    shown = parsed(row("bad", ["<b>x</b>", "y"]))
    assert shown.one("tr").attributes == {"class": "bad"}
    assert shown.texts("td") == ["x", "y"]
    assert shown.one("b").text == "x"
    assert shown.text == "xy\n"


def test_a_page_has_what_is_its_own() -> None:
    """Its heading is its title; its body and style are beside those that all pages have."""
    shown = parsed(
        page("at $now", "<p>more</p>", "p { color: red }").substitute(
            title="T", now="noon", state="good", outcome="Done", tiles="", failures="<p>none</p>"
        )
    )
    assert (shown.one("title").text, shown.one("h1").text) == ("T", "T")
    assert shown.texts("p") == ["at noon", "Done", "none", "more"]
    assert shown.all("p")[1].attributes == {"class": "outcome good"}
    assert shown.one("style").text.endswith("p { color: red }")
    assert " ".join(shown.one("body").text.split()) == "T at noon Done What went wrong none more"
