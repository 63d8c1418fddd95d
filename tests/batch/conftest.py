"""Fixtures shared by the batch tests."""

import logging
from pathlib import Path

import pytest

from tests.support.batch_world import World
from tests.support.flywheel_site import FlywheelSite
from tests.support.signals import own_signals

__all__ = ["own_signals"]


@pytest.fixture
def world(
    site: FlywheelSite,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    own_signals: None,  # noqa: ARG001
) -> World:
    """Project without sessions, and a user."""
    caplog.set_level(logging.INFO)
    return World(site, tmp_path)
