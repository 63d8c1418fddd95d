"""Documentation site: complete, searchable without a server, and self-contained."""

import json
import shutil
import subprocess
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.support.wait import WebDriverWait

from tests.support.preloaded import REPOSITORY
from tests.support.programs import skip_outside_ci

PYTHON = REPOSITORY / ".venv-site" / "bin" / "python"
MAX_SEARCH_SECONDS = 60.0
"""Time limit in seconds for a search in the browser, on a very slow machine."""


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Documentation site; a broken link ends its build."""
    if not PYTHON.exists():
        skip_outside_ci("make site has not been run")
    folder = tmp_path_factory.mktemp("site")
    shutil.copy(REPOSITORY / "mkdocs.yml", folder)
    gather = [PYTHON, REPOSITORY / "scripts" / "site.py", folder / "build" / "site-pages"]
    subprocess.run(gather, check=True)
    subprocess.run([PYTHON, "-m", "mkdocs", "build", "--strict"], cwd=folder, check=True)
    return folder / "build" / "site"


def requested(browser: webdriver.Chrome) -> set[str]:
    """Return the addresses that the browser has requested since the last call."""
    events = [json.loads(entry["message"])["message"] for entry in browser.get_log("performance")]
    return {
        event["params"]["request"]["url"]
        for event in events
        if event["method"] == "Network.requestWillBeSent"
    }


def test_each_document_is_a_page(built: Path) -> None:
    """No document is missing; the README is the first page."""
    documents = {page.stem for page in (REPOSITORY / "docs").glob("*.md")} - {"README"}
    assert documents | {"index", "pages"} <= {page.stem for page in built.glob("*.html")}
    assert "From a folder" in (built / "index.html").read_text()


def addresses_found(built: Path, chromium: webdriver.Chrome, words: str) -> list[str]:
    """Return the addresses that the site's search finds, the best one first."""
    chromium.get((built / "index.html").as_uri())
    chromium.find_element(By.CSS_SELECTOR, "label[for=__search]").click()
    field = chromium.find_element(By.CSS_SELECTOR, "input.md-search__input")
    WebDriverWait(chromium, MAX_SEARCH_SECONDS).until(lambda _: field.is_displayed())
    field.send_keys(words)
    found = WebDriverWait(chromium, MAX_SEARCH_SECONDS).until(
        lambda shown: shown.find_elements(By.CSS_SELECTOR, ".md-search-result__link")
    )
    return [one.get_attribute("href") or "" for one in found]


def test_it_is_searchable_offline(built: Path, chromium: webdriver.Chrome) -> None:
    """From a folder on disk, the search finds an option, and only files are loaded."""
    requested(chromium)
    found = addresses_found(built, chromium, "max_images_per_association")
    assert any("configuration.html" in address for address in found)
    addresses = requested(chromium)
    assert addresses
    assert {one for one in addresses if not one.startswith(("file:", "data:", "blob:"))} == set()


@pytest.mark.parametrize("words", ["A700", "coerced", "dry run", "how many associations"])
def test_the_search_prefers_the_questions(
    built: Path, chromium: webdriver.Chrome, words: str
) -> None:
    """A word in quotes is a word, too."""
    assert "/faq.html?" in addresses_found(built, chromium, words)[0]
