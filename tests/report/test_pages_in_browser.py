"""All pages in a browser, on narrow and wide screens and on paper."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

from fw_gear_dicom_send.account import Example
from fw_gear_dicom_send.models import Remark
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.reason_groups import MAX_PER_CAUSE, cause_of
from tests.support import pages
from tests.support.browser import OVERFLOWING, axe_violations, show_at

PAGES = (pages.run_page, pages.command_page, pages.whole_batch_page)
OPEN_ALL = "document.querySelectorAll('details').forEach(one => one.open = true)"
every_page = pytest.mark.parametrize("made", PAGES, ids=lambda made: made.__name__)


@pytest.fixture
def screen(chromium: webdriver.Chrome) -> Iterator[webdriver.Chrome]:
    """Browser whose screen is reset to its usual size and colours afterwards."""
    yield chromium
    chromium.execute_cdp_cmd("Emulation.clearDeviceMetricsOverride", {})
    chromium.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "", "features": []})


def show(browser: webdriver.Chrome, folder: Path, page: str) -> None:
    path = folder / "page.html"
    path.write_text(page, encoding="utf-8")
    browser.get(path.as_uri())


@pytest.mark.parametrize("width", [400, 800, 1280])
@every_page
def test_nothing_is_clipped(
    screen: webdriver.Chrome, tmp_path: Path, made: Callable[[], str], width: int
) -> None:
    """With all details open, nothing is wider than its container or the screen; matrices scroll."""
    show_at(screen, width)
    show(screen, tmp_path, made())
    assert screen.execute_script(OVERFLOWING) == []
    screen.execute_script(OPEN_ALL)
    assert screen.execute_script(OVERFLOWING) == []
    assert screen.execute_script("return document.documentElement.scrollWidth") <= width


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [400, 1280])
@every_page
def test_axe_finds_no_violation(
    screen: webdriver.Chrome, tmp_path: Path, made: Callable[[], str], width: int, scheme: str
) -> None:
    """With all details open, axe-core finds the pages accessible."""
    features = [{"name": "prefers-color-scheme", "value": scheme}]
    screen.execute_cdp_cmd("Emulation.setEmulatedMedia", {"features": features})
    show_at(screen, width)
    show(screen, tmp_path, made())
    screen.execute_script(OPEN_ALL)
    assert axe_violations(screen) == []


def test_details_open_by_keyboard(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """Tab reaches each summary and link in order, and Enter opens collapsed details."""
    show(screen, tmp_path, pages.run_page())
    summaries = screen.find_elements(By.TAG_NAME, "summary")
    reached: list[WebElement] = []
    for _ in range(3 * len(summaries)):
        if len(reached) == len(summaries):
            break
        screen.switch_to.active_element.send_keys(Keys.TAB)
        active = screen.switch_to.active_element
        if active.tag_name == "summary":
            reached.append(active)
            active.send_keys(Keys.ENTER)
    assert reached == summaries
    assert screen.find_elements(By.CSS_SELECTOR, "details:not([open])") == []


def test_collapsed_details_are_printed(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """Complete files and presentation contexts are printed, because paper cannot be clicked."""
    show(screen, tmp_path, pages.run_page())
    (row,) = screen.find_elements(
        By.XPATH, "//table[@id='complete-files']//tr[contains(., 'series029')]"
    )
    assert not row.is_displayed()
    screen.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    height = screen.execute_script("return arguments[0].getBoundingClientRect().height", row)
    assert height > 0


def test_a_long_cause_does_not_leave_a_page_empty(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """Paper may break within its images, but neither within nor below its own row."""
    show(screen, tmp_path, pages.run_page())
    screen.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    below = screen.find_elements(By.CSS_SELECTOR, "h2 + p + table tr.below")[0]
    cause = below.find_element(By.XPATH, "preceding-sibling::tr")
    assert below.value_of_css_property("break-inside") == "auto"
    assert cause.value_of_css_property("break-inside") == "avoid"
    assert cause.value_of_css_property("break-after") == "avoid"


def test_a_click_selects_the_uids_of_a_cause(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """They can be copied, one on each line, without a script; they are not printed."""
    show(screen, tmp_path, pages.run_page())
    uids = screen.find_element(By.TAG_NAME, "pre")
    screen.find_elements(By.CSS_SELECTOR, "details:has(> pre) summary")[0].click()
    uids.click()
    selected = screen.execute_script("return getSelection().toString()").strip().split("\n")
    assert selected == [example.uid for example in pages.examples()]
    screen.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    assert not uids.is_displayed()


def test_numbers_are_right_aligned(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """They have commas and are aligned."""
    show_at(screen, 1280)
    show(screen, tmp_path, pages.run_page())
    cells = screen.find_elements(By.CSS_SELECTOR, "#files td:nth-child(2)")
    assert "79,000" in [cell.text for cell in cells]
    assert {cell.value_of_css_property("text-align") for cell in cells} == {"right"}


def test_20000_failed_images_have_a_small_page(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """A page with 300 files and ten causes, each with all UIDs it can show, is under 1 MB."""
    causes = [Reason(Kind.REFUSED, f"0xC{n:03}", f"0xC{n:03}") for n in range(10)]
    remarks = [Remark((cause,), 7, failure=True) for cause in causes]
    rows = [pages.file(f"1.2.840.113619.2.{n}.dicom.zip", 70, 0, *remarks) for n in range(300)]
    uids = [f"1.2.826.0.1.3680043.8.498.{number:038}" for number in range(MAX_PER_CAUSE)]
    images = [Example(rows[n % 300].entry.path, f"member {n}", uid) for n, uid in enumerate(uids)]
    known = {cause_of(cause): images for cause in causes}
    page = pages.render(rows, pages.facts(examples=known))
    assert len(page) < 1_000_000
    show(screen, tmp_path, page)
    assert len(screen.find_elements(By.CSS_SELECTOR, "#files tbody tr")) == 300
    assert len(screen.find_elements(By.TAG_NAME, "pre")) == len(causes)


def test_a_batch_of_5000_sessions_has_a_page(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """Failed sessions come first, in natural order, and the page stays small."""
    page = pages.whole_batch_page(5_000)
    assert len(page) < 5_000_000
    show(screen, tmp_path, page)
    first = screen.find_elements(By.CSS_SELECTOR, "#sessions tbody tr td:nth-child(2)")
    assert [one.text for one in first[:3]] == ["visit 0", "visit 50", "visit 100"]
    assert len(first) == 100
    complete = screen.find_elements(By.CSS_SELECTOR, "#complete-sessions tbody tr")
    assert len(complete) == 4_900
