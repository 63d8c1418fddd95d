"""Pages show the values of a run: texts are escaped and never become markup."""

import pytest
from hypothesis import example, given

from fw_gear_dicom_send.report import page
from fw_gear_dicom_send.sections import (
    Bar,
    Details,
    Link,
    Matrix,
    Part,
    Section,
    Table,
    folded,
)
from tests.support.drawn_datasets import bounded
from tests.support.html_reading import Element, parsed
from tests.support.html_texts import EVIL, TEXTS


def page_of(*parts: Part) -> Element:
    """Return the page with one section of these parts."""
    sections = [Section("s", parts)]
    return parsed(page.render("t", "o", is_good=True, facts=(), tiles=(), sections=sections))


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_a_page_shows_any_text(name: str, value: str) -> None:
    """Neither markup nor a template in a name has an effect."""
    html = page.render(
        name,
        value,
        is_good=True,
        facts=[(name, value)],
        tiles=[("n", 1_234)],
        sections=[Section(name, (value, [value], Details(value, (value,))))],
    )
    shown = parsed(html)
    assert shown.one("h1").text == name
    assert (shown.texts("dt"), shown.texts("dd")) == ([name, "n"], [value, "1,234"])
    assert shown.texts("h2") == [name]
    assert shown.texts("p") == [value] * 3
    assert (shown.texts("li"), shown.texts("summary")) == ([value], [value])
    assert shown.all("p")[0].attributes == {"class": "outcome good"}
    assert shown.all("script") == []


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_bar_has_any_label(label: str) -> None:
    """The label of a bar is an attribute and cannot end it."""
    shown = page_of(Bar(0.25, "part", label))
    assert shown.one("svg").attributes["aria-label"] == label
    whole, share = shown.all("rect")
    assert share.number("width") == whole.number("width") / 4
    assert share.number("height") == whole.number("height")
    assert (whole.attributes["class"], share.attributes["class"]) == ("rest", "part")
    assert shown.one("svg").attributes["viewbox"] == "0 0 100 8"
    assert shown.one("svg").text == ""


@bounded
@given(TEXTS, TEXTS)
@example(EVIL, EVIL)
def test_a_table_shows_any_text(header: str, cell: str) -> None:
    """Headers and cells are texts; a cell has its header for narrow screens."""
    shown = page_of(Table({f"{header}a": "", "b": ""}, [["c", cell], [cell, "d"]])).one("table")
    assert shown.one("thead").texts("th") == [f"{header}a", "b"]
    rows = [line.texts("td") for line in shown.one("tbody").all("tr")]
    assert rows == [["c", cell], [cell, "d"]]
    assert [one.attributes for one in shown.all("th")] == [{"scope": "col"}] * 2
    labels = [one.attributes["data-label"] for one in shown.all("td")]
    assert labels == [f"{header}a", "b"] * 2


def test_numbers_have_commas_and_are_right_aligned() -> None:
    """Their column's title is right-aligned, too."""
    shown = page_of(Table({"a": "", "b": "number"}, [["c", 1_234_567]]))
    assert shown.texts("td") == ["c", "1,234,567"]
    assert [one.attributes.get("class") for one in shown.all("th")] == [None, "number"]
    assert [one.attributes.get("class") for one in shown.all("td")] == [None, "number"]


def test_rows_have_the_colour_of_their_state() -> None:
    """A row of a table without states has no colour; texts in a cell are paragraphs."""
    shown = page_of(Table({"a": ""}, [[("x", "y")]], ["bad"], "files"), Table({"a": ""}, [["z"]]))
    lines = [one for one in shown.all("tr") if one.all("td")]
    assert [one.attributes.get("class") for one in lines] == ["bad", None]
    assert [one.attributes.get("id") for one in shown.all("table")] == ["files", None]
    assert shown.all("td")[0].texts("p") == ["x", "y"]


@pytest.mark.parametrize(
    ("bad", "good", "tables", "more"),
    [
        (2, 20, {"t": 22}, []),
        (2, 21, {"t": 2, "complete-t": 21}, []),
        (0, 31, {"complete-t": 30}, ["1 more file not shown. The full list is in r.csv."]),
        (31, 0, {"t": 30}, ["1 more file not shown. The full list is in r.csv."]),
    ],
)
def test_many_good_rows_are_collapsed(
    bad: int, good: int, tables: dict[str, int], more: list[str]
) -> None:
    """Others are not; a long table is cut and names the report."""
    states = ["bad"] * bad + ["good"] * good
    table = Table({"a": ""}, [["x"]] * (bad + good), states, "t")
    shown = page_of(*folded(table, "file", 30, "r.csv"))
    found = {one.attributes["id"]: len(one.all("td")) for one in shown.all("table")}
    assert found == tables
    assert shown.texts("summary") == [f"{good} complete files"] * (good > 20)
    assert shown.texts("p")[1:] == more


@bounded
@given(TEXTS)
@example(EVIL)
def test_a_matrix_has_titles_on_two_sides(title: str) -> None:
    """It can be scrolled by keyboard if it is wider than the screen."""
    shown = page_of(Matrix("corner", [title, "b"], [(title, ["yes", "no"])]))
    assert [one.attributes["scope"] for one in shown.all("th")] == ["col"] * 3 + ["row"]
    assert shown.texts("th") == ["corner", title, "b", title]
    assert [(one.text, one.attributes["class"]) for one in shown.all("td")] == [
        ("yes", "yes"),
        ("no", "no"),
    ]
    region = shown.one("div").attributes
    assert (region["tabindex"], region["role"], region["aria-label"]) == ("0", "region", "corner")


@pytest.mark.parametrize(
    ("url", "is_link"), [("https://x.org/#/a?b=c&d", True), ("javascript:alert(1)", False)]
)
def test_a_link_leads_only_to_the_web(url: str, is_link: bool) -> None:
    """For any other URL only the text is shown."""
    shown = page_of(Table({"a": ""}, [[Link(EVIL, url)]])).one("td")
    assert shown.text == EVIL
    assert [one.attributes["href"] for one in shown.all("a")] == [url] * is_link
