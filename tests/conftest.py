"""Options, time limit, and servers of the tests."""

import compileall
import faulthandler
import os
from collections.abc import Iterator

import pytest
from hypothesis import settings
from selenium import webdriver

from tests.support import browser, programs
from tests.support.examples import examples
from tests.support.flywheel_site import FlywheelSite
from tests.support.pacs import DicomWebOrthanc, Orthanc, PythonSCP, StoreSCP
from tests.support.preloaded import INTERPRETER, REPOSITORY
from tests.support.request_table import unlisted

MAX_TEST_SECONDS = 900.0
"""Time limit of a test with its fixtures, on a very slow machine."""
STDERR = pytest.StashKey[int]()

settings.register_profile("tests", settings.default, max_examples=examples(100))
settings.load_profile("tests")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that select tests and set the duration of fuzzing."""
    parser.addoption("--fuzz-seconds", type=float, help="duration of each fuzz test, in seconds")
    parser.addoption(
        "--no-servers",
        action="store_true",
        help="skip tests that start servers, browsers or tools; servers in Python run",
    )


def pytest_configure(config: pytest.Config) -> None:
    """With `--no-servers`, let no test start a program."""
    config.stash[STDERR] = os.dup(2)
    if config.getoption("--no-servers"):
        programs.withhold()


def pytest_xdist_auto_num_workers() -> int:
    """Return two workers for each core: tests wait for servers half of the time."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """End this process with the stack of each thread if a test takes too long."""
    stderr = item.config.stash[STDERR]
    faulthandler.dump_traceback_later(MAX_TEST_SECONDS, exit=True, file=stderr)
    try:
        return (yield)
    finally:
        faulthandler.cancel_dump_traceback_later()


@pytest.fixture
def real_starts(monkeypatch: pytest.MonkeyPatch) -> None:
    """Start a new interpreter for each run of the gear or a command, as users do."""
    monkeypatch.setattr(INTERPRETER, "is_allowed", False)


def pytest_sessionstart(session: pytest.Session) -> None:
    """Compile the package once: a process with a limit for files would truncate its bytecode."""
    if not hasattr(session.config, "workerinput"):
        compileall.compile_dir(str(REPOSITORY / "fw_gear_dicom_send"), quiet=2)
        compileall.compile_file(str(REPOSITORY / "run.py"), quiet=2)


@pytest.fixture
def site() -> Iterator[FlywheelSite]:
    """Empty stand-in Flywheel site, which fails the test for unlisted requests."""
    with FlywheelSite() as running:
        yield running
    assert not unlisted(running.requests), "docs/flywheel.md lacks a request"


@pytest.fixture(scope="session")
def _session_orthanc() -> Iterator[Orthanc]:
    with Orthanc() as server:
        yield server


@pytest.fixture
def orthanc(_session_orthanc: Orthanc) -> Orthanc:
    """Empty Orthanc."""
    _session_orthanc.clear()
    return _session_orthanc


@pytest.fixture(scope="session")
def _session_web_orthanc() -> Iterator[DicomWebOrthanc]:
    with DicomWebOrthanc() as server:
        yield server


@pytest.fixture
def web_orthanc(_session_web_orthanc: DicomWebOrthanc) -> DicomWebOrthanc:
    """Empty Orthanc with its DICOMweb plugin."""
    _session_web_orthanc.clear()
    return _session_web_orthanc


@pytest.fixture
def storescp() -> Iterator[StoreSCP]:
    """DCMTK storescp that accepts everything and keeps it bit by bit."""
    with StoreSCP("+xa", "-pm", "+B", "--fork") as server:
        yield server


@pytest.fixture
def python_scp() -> Iterator[PythonSCP]:
    """Scripted SCP that accepts every standard storage class and answers Success."""
    with PythonSCP() as server:
        yield server


@pytest.fixture(scope="session")
def chromium() -> Iterator[webdriver.Chrome]:
    """Browser, for one page at a time."""
    with browser.chromium() as shown:
        yield shown
