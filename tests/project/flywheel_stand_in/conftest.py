"""Stand-in site, and Flywheel's own SDK as its client."""

import json

import flywheel
import pytest

from tests.support.flywheel_site import FlywheelSite
from tests.support.preloaded import REPOSITORY
from tests.support.stand_in_jobs import sdk_client

MANIFEST = json.loads((REPOSITORY / "manifest.json").read_text())


@pytest.fixture
def fw(site: FlywheelSite) -> flywheel.Client:
    """Flywheel's SDK with a key of the site."""
    return sdk_client(site)


@pytest.fixture
def project(site: FlywheelSite) -> str:
    """Project without subjects."""
    return site.add_project(site.add_group("lab"), "Trial")


@pytest.fixture
def sessions(site: FlywheelSite, project: str) -> list[str]:
    """Five sessions, one in each month from January 2024."""
    return [
        site.add_session(
            site.add_subject(project, f"S{month}"),
            f"Visit {month}",
            timestamp=f"2024-0{month}-10T08:00:00+00:00",
            tags=["odd"] if month % 2 else [],
        )
        for month in range(1, 6)
    ]


@pytest.fixture
def gear(site: FlywheelSite) -> str:
    """Newer one of two versions of the gear."""
    site.add_gear(MANIFEST, "0.0.9")
    return site.add_gear(MANIFEST)
