"""Debian's Chromium, used by tests to open pages."""

from pathlib import Path
from typing import Any

from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.programs import path_of, skip_outside_ci

ARGUMENTS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=900,1200",
)
MIN_CONTRAST = 4.5

_AXE = Path(__file__).resolve().parents[2] / ".axe/node_modules/axe-core/axe.min.js"

OVERFLOWING = """
const width = document.documentElement.clientWidth;
const isScrolled = one => one.closest('.wide') && !one.matches('.wide');
return [...document.querySelectorAll('body, body *')].filter(one => {
  const box = one.getBoundingClientRect();
  if (isScrolled(one) || !box.width || one.closest('thead')) return false;
  const isCut = one.scrollWidth > one.clientWidth + 1 && one.clientWidth > 0
    && getComputedStyle(one).display !== 'inline' && !one.closest('svg') && !one.matches('.wide');
  return box.left < -1 || box.right > width + 1 || isCut;
}).map(one => one.outerHTML.slice(0, 120));
"""
"""Script that lists page elements that are clipped or wider than their container."""

CONTRASTS = """
const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = text => {
  const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
};
const page = light(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('h1, h2, p, dt, dd, th, td, li, svg text')].map(one => {
  const style = getComputedStyle(one);
  const own = light(one.closest('svg') ? style.fill : style.color);
  const contrast = (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
  return [one.textContent.slice(0, 30), contrast];
});
"""
"""Script that lists the texts of a page with their contrast to the background."""


def chromium() -> webdriver.Chrome:
    """Start Chromium without a screen; it logs each resource it loads."""
    options = webdriver.ChromeOptions()
    options.binary_location = path_of("chromium")
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(path_of("chromedriver")))


def axe_violations(browser: webdriver.Chrome) -> list[str]:
    """Return the axe-core violations on the current page: rule and element.

    Skip the test if `scripts/axe.sh` has not installed axe-core.
    """
    if not _AXE.is_file():
        skip_outside_ci("axe-core is not installed: sh scripts/axe.sh .axe")
    # The page's own policy blocks scripts; the browser's debugger can still run one.
    browser.execute_script(_AXE.read_text(encoding="utf-8"))
    found: list[dict[str, Any]] = browser.execute_async_script(
        "const done = arguments[0]; axe.run().then(ran => done(ran.violations));"
    )
    return [f"{one['id']}: {node['html'][:200]}" for one in found for node in one["nodes"]]


def show_at(browser: webdriver.Chrome, width: int) -> None:
    """Show the page on a screen of this width, in CSS pixels."""
    size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": False}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    """Return the texts of the elements that match a CSS selector."""
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, selector)]
