"""The README is short, its links work, and its numbers were measured."""

import re
from pathlib import Path

import pytest

from benchmarks.results import load
from tests.support.preloaded import REPOSITORY

README = REPOSITORY / "README.md"
PAGES = sorted([*REPOSITORY.glob("*.md"), *(REPOSITORY / "docs").glob("*.md")])
RESULTS = load(REPOSITORY / "docs" / "benchmarks.json")
FAR = load(REPOSITORY / "docs" / "benchmarks-far.json")
LINK = re.compile(r"\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)


def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return re.sub(r"^```.*?^```$", "", page.read_text(), flags=re.DOTALL | re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub generates for the headings of a page."""
    names = (re.sub(r"[^\w\- ]", "", heading.lower()) for heading in HEADING.findall(prose(page)))
    return {name.replace(" ", "-") for name in names}


def test_it_is_short() -> None:
    """The reference is in docs/, so the README has fewer than 150 lines."""
    assert len(README.read_text().splitlines()) < 150


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_resolve(page: Path) -> None:
    """Each relative link leads to an existing file, and each anchor to a heading in it."""
    for link in LINK.findall(prose(page)):
        if re.match(r"\w+:", link):
            continue
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.is_file(), link
        if anchor:
            assert anchor in anchors(target), link


def test_the_list_of_documents_is_complete() -> None:
    """docs/README.md links to each page beside it."""
    listed = set(LINK.findall((REPOSITORY / "docs" / "README.md").read_text()))
    pages = {page.name for page in (REPOSITORY / "docs").glob("*.md")}
    assert pages - {"README.md"} <= listed


def test_its_pictures_are_small_and_load_nothing() -> None:
    """Both pictures exist, have a description, and are under 200 KB; the SVG loads nothing."""
    pictures = dict(re.findall(r"!\[([^]]+)\]\(([^)]+)\)", README.read_text()))
    assert set(pictures.values()) == {"docs/command.svg", "docs/report.png"}
    for path in pictures.values():
        assert 0 < (REPOSITORY / path).stat().st_size < 200_000, path
    drawing = (REPOSITORY / "docs" / "command.svg").read_text()
    assert not re.search(r"url\((?!#)|href|<script|@import", drawing)


@pytest.mark.parametrize(
    ("target", "sender", "sentence"),
    [
        ("orthanc", "gear-4", "2,000 MR images reach Orthanc in {:#.2g} s"),
        ("orthanc", "dcmsend", "`dcmsend` takes {:.0f} s"),
    ],
)
def test_its_times_agree_with_the_benchmarks(target: str, sender: str, sentence: str) -> None:
    """The README quotes the total seconds."""
    (row,) = (
        row for row in RESULTS.rows if (row.target, row.data, row.sender) == (target, "mr", sender)
    )
    assert sentence.format(row.seconds) in " ".join(README.read_text().split())


@pytest.mark.parametrize(
    ("data", "sender", "sentence"),
    [
        ("mr-far", "command-16", "16 associations send {:.0f} MR images a second"),
        ("mr-few", "dcmsend", "`dcmsend` sends {:.1f}"),
    ],
)
def test_its_rates_agree_with_the_benchmarks(data: str, sender: str, sentence: str) -> None:
    """The README quotes rates to a server 50 ms away."""
    (row,) = (
        row
        for row in FAR.rows
        if (row.target, row.data, row.sender) == ("storescp-50ms", data, sender)
    )
    assert sentence.format(row.best_rate) in " ".join(README.read_text().split())


def test_its_memory_limit_agrees_with_the_benchmarks() -> None:
    """No run of the gear needed as much memory as the README states."""
    (bound,) = re.findall(r"(\d+) MB", README.read_text())
    peaks = [row.peak_megabytes for row in RESULTS.rows if row.sender.startswith("gear-")]
    assert max(peaks) < int(bound)
