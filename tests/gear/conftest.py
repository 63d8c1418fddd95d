"""Fixtures shared by the tests of the whole gear."""

from pathlib import Path

import pytest

from tests.support.flywheel_site import FlywheelSite
from tests.support.gear_runs import Session
from tests.support.session_runs import SessionRuns


@pytest.fixture
def session(site: FlywheelSite) -> Session:
    """Empty session with its parents."""
    site.add_group("lab")
    project = site.add_project("lab", "Study A")
    subject = site.add_subject(project, "sub-01")
    return Session(site, project, subject, site.add_session(subject, "visit 1"))


@pytest.fixture
def runs(tmp_path: Path, site: FlywheelSite) -> SessionRuns:
    """Session that the gear can send repeatedly."""
    return SessionRuns(tmp_path, site)
