"""Fixtures shared by the batch tests."""

import logging
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.batch_world import World
from tests.support.flywheel_site import FlywheelSite


@pytest.fixture
def world(site: FlywheelSite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    """Project without sessions, and a user; the signal handlers are restored afterwards."""
    caplog.set_level(logging.INFO)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield World(site, tmp_path)
    for number, handler in handlers.items():
        signal.signal(number, handler)
