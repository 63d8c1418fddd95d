"""All pages in a browser, on narrow and wide screens and on paper."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement

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


def test_numbers_are_right_aligned(screen: webdriver.Chrome, tmp_path: Path) -> None:
    """They have commas and are aligned."""
    show_at(screen, 1280)
    show(screen, tmp_path, pages.run_page())
    cells = screen.find_elements(By.CSS_SELECTOR, "#files td:nth-child(2)")
    assert "79,000" in [cell.text for cell in cells]
    assert {cell.value_of_css_property("text-align") for cell in cells} == {"right"}


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
