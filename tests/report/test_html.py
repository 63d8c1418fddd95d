"""Common parts of the pages: texts are escaped and never become markup."""

import pytest
from hypothesis import example, given

from fw_gear_dicom_send.report.html import (
    HTML,
    Numbers,
    bar,
    details,
    items,
    link,
    matrix,
    page,
    section,
    table,
)
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import parsed
from tests.support.html_texts import EVIL, TEXTS


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_a_page_shows_any_text(name: str, value: str) -> None:
    """Title, outcome, facts and numbers are texts; sections are HTML."""
    made = page(name, value, [(name, value)], [("n", value)], ["<p>x</p>", ""], is_good=True)
    shown = parsed(made)
    assert (shown.one("title").text, shown.one("h1").text) == (name, name)
    assert (shown.texts("dt"), shown.texts("dd")) == ([name, "n"], [value, value])
    assert shown.texts("p") == [value, "x"]
    assert shown.all("p")[0].attributes == {"class": "outcome good"}
    assert shown.all("script") == []


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_bar_has_any_label(label: str) -> None:
    """The label of a bar is an attribute and cannot end it."""
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
    """Headers and cells are texts; a cell has its header for narrow screens."""
    shown = parsed(table([header, "b"], [["c", cell], [cell, "d"]]))
    assert shown.one("thead").texts("th") == [header, "b"]
    rows = [line.texts("td") for line in shown.one("tbody").all("tr")]
    assert rows == [["c", cell], [cell, "d"]]
    assert [one.attributes for one in shown.all("th")] == [{"scope": "col"}] * 2
    labels = [one.attributes["data-label"] for one in shown.all("td")]
    assert labels == [header, "b"] * 2
    assert shown.text == f"{header}bc{cell}\n{cell}d\n"


def test_numbers_have_commas_and_are_right_aligned() -> None:
    """Their column's title is right-aligned, too."""
    shown = parsed(table(["a", Numbers("b")], [["c", 1_234_567]]))
    assert shown.texts("td") == ["c", "1,234,567"]
    assert [one.attributes.get("class") for one in shown.all("th")] == [None, "number"]
    assert [one.attributes.get("class") for one in shown.all("td")] == [None, "number"]


def test_rows_have_the_colour_of_their_state() -> None:
    """A row without a state has no colour; HTML in a cell is kept."""
    shown = parsed(table(["a"], [[HTML("<b>x</b>")], ["y"]], states=["bad"], name="files"))
    assert [one.attributes.get("class") for one in shown.all("tr")[1:]] == ["bad", None]
    assert shown.one("table").attributes["id"] == "files"
    assert shown.one("b").text == "x"


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_matrix_has_titles_on_two_sides(title: str) -> None:
    """It can be scrolled by keyboard if it is wider than the screen."""
    shown = parsed(matrix("corner", [title, "b"], [(title, ["yes", "no"])]))
    assert [one.attributes["scope"] for one in shown.all("th")] == ["col"] * 3 + ["row"]
    assert shown.texts("th") == ["corner", title, "b", title]
    assert [(one.text, one.attributes["class"]) for one in shown.all("td")] == [
        ("yes", "yes"),
        ("no", "no"),
    ]
    region = shown.one("div").attributes
    assert (region["tabindex"], region["role"], region["aria-label"]) == ("0", "region", "corner")


@bounded
@given(TEXTS)
@example(EVIL)
def test_details_lists_and_headings_show_any_text(text: str) -> None:
    """Each of them escapes its text."""
    shown = parsed(section(text, details(text, items([text, HTML("<b>x</b>")]))))
    assert (shown.texts("h2"), shown.texts("summary")) == ([text], [text])
    assert shown.texts("li") == [text, "x"]
    assert shown.one("details").attributes == {}
    assert parsed(details("a", is_open=True)).one("details").attributes == {"open": None}


@pytest.mark.parametrize(
    ("url", "is_link"), [("https://x.org/#/a?b=c&d", True), ("javascript:alert(1)", False)]
)
def test_a_link_leads_only_to_the_web(url: str, is_link: bool) -> None:
    """For any other URL only the text is shown."""
    shown = parsed(link(EVIL, url))
    assert shown.text == EVIL
    assert [one.attributes["href"] for one in shown.all("a")] == [url] * is_link
