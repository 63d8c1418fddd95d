"""Page of a run, as shown by a browser."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from fw_gear_dicom_send.account import Account, ThroughputCounts
from fw_gear_dicom_send.config import server_name
from fw_gear_dicom_send.models import Container, FileEntry, FileReport, Remark
from fw_gear_dicom_send.network.contexts import Context
from fw_gear_dicom_send.network.page_sections import contexts_section
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Kind, Reason
from tests.support import wording
from tests.support.browser import CONTRASTS, MIN_CONTRAST, texts
from tests.support.pages import options, render

CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT, RLE = "1.2.840.10008.1.2", "1.2.840.10008.1.2.5"
REFUSED = (Reason(Kind.REFUSED, "0xC000 Cannot Understand", "0xC000"),)
EVIL = "<script>document.title='evil'</script><img src='http://127.0.0.1:9/x.png'>{{ 7 * 7 }}.zip"
TIMINGS = ThroughputCounts(
    1.0,
    (120, 80, 0, 55),
    (4_000_000, 3_000_000, 0, 2_000_000),
    (0,) * 13,
    4.2,
    None,
    (),
    255,
    9_000_000,
    4.2,
)


def file(name: str, images: int, sent: int, *remarks: Remark) -> FileReport:
    entry = FileEntry(Container("acquisition", "a"), name, f"lab/Study/sub-01/v/{name}")
    return FileReport(entry, images, sent, remarks)


REPORTS = [
    file("good.zip", 176, 176),
    file("part.zip", 100, 79, Remark(REFUSED, 21, failure=True)),
    file("bad.zip", 5, 0, Remark(REFUSED, 5, failure=True)),
    file(EVIL, 0, 0, Remark((Reason(Kind.CORRUPT_ARCHIVE),), 0, failure=True)),
]


def facts(**changes: Any) -> Account:
    known: dict[str, Any] = {
        "title": "DICOM send: visit 1",
        "started": datetime(2024, 3, 5, 7, 8, 9),
        "throughput": TIMINGS,
        "server": server_name(PeerAE("pacs.example.org", 104, "PACS", "flywheel"), ""),
        "sections": [contexts_section({Context(CT, RLE): False, Context(CT, IMPLICIT): True})],
        "options": options(destination="pacs.example.org", port=104),
        "versions": [("dicom-send", "0.1.0")],
    }
    return Account(**known | changes)


@pytest.fixture
def browser(chromium: webdriver.Chrome, tmp_path: Path) -> webdriver.Chrome:
    """Browser that shows the page of some files."""
    show(chromium, tmp_path, render(REPORTS, facts()))
    return chromium


def show(browser: webdriver.Chrome, folder: Path, page: str) -> None:
    path = folder / "report.html"
    path.write_text(page, encoding="utf-8")
    browser.get(path.as_uri())


def test_the_outcome_is_visible_at_a_glance(browser: webdriver.Chrome) -> None:
    """The outcome of the run comes first, with its numbers."""
    assert browser.title.startswith(f"{wording.NOT_ALL_SENT} | DICOM send: visit 1 | AE PACS at ")
    assert texts(browser, ".outcome strong") == [f"{wording.NOT_ALL_SENT}."]
    tiles = zip(texts(browser, ".tiles dt"), texts(browser, ".tiles dd"), strict=True)
    assert dict(tiles) == {
        "Images sent": "255 of 281",
        "Files complete": "1 of 4",
        "Data sent": "9.0 MB",
        "Time": "4.2 s",
        "Rate": "60.7 images/s",
    }


def test_a_successful_run_says_so(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """If all images were sent, no problem is shown."""
    show(chromium, tmp_path, render(REPORTS[:1], facts()))
    assert texts(chromium, ".outcome") == [wording.ALL_SENT]
    assert "What went wrong" not in texts(chromium, "h2")


def test_each_file_has_a_row_with_a_bar(browser: webdriver.Chrome) -> None:
    """The bar's length is the share of sent images, and its label has the numbers."""
    rows = browser.find_elements(By.CSS_SELECTOR, "#files tbody tr")
    shares = [row.find_elements(By.CSS_SELECTOR, "rect")[1] for row in rows]
    assert [float(one.get_attribute("width") or 0) for one in shares] == [0, 0, 79, 100]
    labels = [row.find_element(By.TAG_NAME, "svg").get_attribute("aria-label") for row in rows]
    assert labels[2] == "79 of 100 images sent"
    assert [row.text.split()[-1] for row in rows] == ["Failed", "Failed", "Incomplete", "Complete"]


def test_failures_are_grouped_with_advice(browser: webdriver.Chrome) -> None:
    """There is one row for each reason, the most frequent first, with advice."""
    rows = browser.find_elements(By.CSS_SELECTOR, "h2 + table tbody")[0]
    cells = [
        [cell.text for cell in row.find_elements(By.TAG_NAME, "td")]
        for row in rows.find_elements(By.CSS_SELECTOR, "tr:not(.below)")
    ]
    assert cells[0][:3] == ["status 0xC000 Cannot Understand", "26", "2"]
    assert cells[0][3].startswith("The server rejected")
    assert cells[1][0].startswith(wording.ARCHIVE_CORRUPT)
    assert cells[1][1:3] == ["0", "1"]
    assert cells[1][3].startswith("The file on Flywheel")


def test_contexts_configuration_and_versions_are_shown(browser: webdriver.Chrome) -> None:
    """The page has the negotiated contexts, the options and the software versions."""
    for summary in browser.find_elements(By.TAG_NAME, "summary"):
        summary.click()
    shown = browser.find_element(By.TAG_NAME, "main").text
    assert "CT Image Storage no yes" in shown
    assert "destination pacs.example.org" in shown
    assert "dicom-send 0.1.0" in shown


def test_names_are_text_and_nothing_is_loaded(browser: webdriver.Chrome) -> None:
    """A name is shown and not run; the page makes no requests."""
    assert EVIL in browser.find_element(By.ID, "files").text
    assert browser.title != "evil"
    policy = browser.find_element(By.CSS_SELECTOR, "meta[http-equiv=Content-Security-Policy]")
    assert policy.get_attribute("content") == "default-src 'none'; style-src 'unsafe-inline'"
    for tag in ("script", "img", "link", "iframe"):
        assert browser.find_elements(By.TAG_NAME, tag) == []
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    asked = {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }
    assert asked
    assert all(url.startswith(("file:", "data:", "chrome:")) for url in asked)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_is_readable(browser: webdriver.Chrome, scheme: str) -> None:
    """All text has the contrast of WCAG 2.1, in light and in dark mode."""
    media = {"features": [{"name": "prefers-color-scheme", "value": scheme}]}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    contrasts = browser.execute_script(CONTRASTS)
    background = browser.execute_script("return getComputedStyle(document.body).backgroundColor")
    assert (background == "rgb(255, 255, 255)") == (scheme == "light")
    assert len(contrasts) > 50
    assert [one for one in contrasts if one[1] < MIN_CONTRAST] == []


def test_it_is_printable(browser: webdriver.Chrome) -> None:
    """On paper it is black on white in any mode."""
    features = [{"name": "prefers-color-scheme", "value": "dark"}]
    media = {"media": "print", "features": features}
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", media)
    script = "const s = getComputedStyle(document.body); return [s.color, s.backgroundColor]"
    assert browser.execute_script(script) == ["rgb(0, 0, 0)", "rgb(255, 255, 255)"]
    assert [one for one in browser.execute_script(CONTRASTS) if one[1] < MIN_CONTRAST] == []
    pages = browser.print_page()
    assert len(pages) > 10_000
    browser.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})


def test_it_is_accessible(browser: webdriver.Chrome) -> None:
    """The language is declared, pictures have labels, headings are ordered, tables have headers."""
    root = browser.find_element(By.TAG_NAME, "html")
    assert root.get_attribute("lang") == "en"
    for picture in browser.find_elements(By.TAG_NAME, "svg"):
        assert picture.get_attribute("role") == "img"
        assert picture.get_attribute("aria-label")
    assert len(browser.find_elements(By.TAG_NAME, "h1")) == 1
    for table in browser.find_elements(By.TAG_NAME, "table"):
        headers = table.find_elements(By.TAG_NAME, "th")
        assert headers
        assert all(header.get_attribute("scope") in ("col", "row") for header in headers)


def test_charts_show_rates_and_times(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """There is a bar for each slot of time and for each range of C-STORE times."""
    durations = (0, 3, 40, 7, *[0] * 8, 1)
    show(
        chromium,
        tmp_path,
        render(REPORTS, facts(throughput=ThroughputCounts(2.0, (10, 30), (1, 1), durations, 4))),
    )
    rate, times = chromium.find_elements(By.CSS_SELECTOR, "svg.chart")
    assert rate.get_attribute("aria-label") == (f"{wording.IMAGES_PER_SECOND} (4 s), maximum 15")
    heights = [
        float(one.get_attribute("height") or 0) for one in rate.find_elements(By.TAG_NAME, "rect")
    ]
    assert heights[0] * 3 == pytest.approx(heights[1], rel=0.01)
    assert times.get_attribute("aria-label") == f"{wording.STORE_TIMES} 5 ms to 10 ms"
    assert len(times.find_elements(By.TAG_NAME, "rect")) == 13


def test_a_run_without_images_has_a_page(chromium: webdriver.Chrome, tmp_path: Path) -> None:
    """There are no charts and no divisions by zero."""
    show(
        chromium,
        tmp_path,
        render([], facts(throughput=ThroughputCounts(1.0, (), (), (0,) * 13, 0.0))),
    )
    assert texts(chromium, ".outcome") == [wording.NOT_ALL_SENT]
    assert texts(chromium, "svg") == []
