"""Servers that the tests send to and ask."""

from collections.abc import Iterator

import pytest
from selenium import webdriver

from tests.support import browser, programs
from tests.support.flywheel_site import FlywheelSite
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP
from tests.support.request_table import unlisted


def pytest_addoption(parser: pytest.Parser) -> None:
    """Say which tests run, and how long the fuzz tests go on."""
    parser.addoption("--fuzz-seconds", type=float, help="how long each fuzz test goes on")
    parser.addoption(
        "--no-servers",
        action="store_true",
        help="skip tests that start a server, a browser or another program beside the gear",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let no test start such a program, where that is asked."""
    if config.getoption("--no-servers"):
        programs.withhold()


@pytest.fixture
def site() -> Iterator[FlywheelSite]:
    """A stand-in Flywheel site that holds nothing yet, and is asked nothing but what is known."""
    with FlywheelSite() as running:
        yield running
    assert not unlisted(running.requests), "docs/flywheel.md lacks a request"


@pytest.fixture(scope="session")
def _session_orthanc() -> Iterator[Orthanc]:
    with Orthanc() as server:
        yield server


@pytest.fixture
def orthanc(_session_orthanc: Orthanc) -> Orthanc:
    """An Orthanc that stores nothing yet."""
    _session_orthanc.clear()
    return _session_orthanc


@pytest.fixture
def storescp() -> Iterator[StoreSCP]:
    """A DCMTK storescp that takes everything, bit by bit."""
    with StoreSCP("+xa", "-pm", "+B", "--fork") as server:
        yield server


@pytest.fixture
def python_scp() -> Iterator[PythonSCP]:
    """A scripted SCP that takes every standard storage class and answers Success."""
    with PythonSCP() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """A browser, for one page at a time."""
    with browser.chromium() as shown:
        yield shown
