"""Debian's Chromium, as the tests open pages in it."""

from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support.programs import path_of

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
LOWEST_CONTRAST = 4.5

CONTRASTS = """
const channel = c => (c /= 255) <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
const light = text => {
  const [r, g, b] = text.match(/[\\d.]+/g).map(Number);
  return 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
};
const page = light(getComputedStyle(document.body).backgroundColor);
return [...document.querySelectorAll('h1, h2, p, dt, dd, th, td, svg text')].map(one => {
  const style = getComputedStyle(one);
  const own = light(one.closest('svg') ? style.fill : style.color);
  const contrast = (Math.max(own, page) + 0.05) / (Math.min(own, page) + 0.05);
  return [one.textContent.slice(0, 30), contrast];
});
"""
"""Each text of a page, with the contrast between it and the page."""


def chromium() -> webdriver.Chrome:
    """Start it without a screen; it logs what it loads."""
    options = webdriver.ChromeOptions()
    options.binary_location = path_of("chromium")
    for argument in ARGUMENTS:
        options.add_argument(argument)
    options.set_capability("goog:loggingPrefs", {"performance": "ALL"})
    return webdriver.Chrome(options, webdriver.ChromeService(path_of("chromedriver")))


def texts(browser: webdriver.Chrome, selector: str) -> list[str]:
    """Return the texts of the elements that a CSS selector finds."""
    return [one.text for one in browser.find_elements(By.CSS_SELECTOR, selector)]
