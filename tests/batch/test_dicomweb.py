"""A batch sends to a DICOMweb server."""

import pytest

from tests.support.batch_world import World

pytestmark = pytest.mark.slow
URL = "https://pacs.example.org/dicom-web"


def start(world: World, url: str, *options: str) -> int:
    arguments = ("--project", "lab/Study", "--destination", url, "--yes", "--no-follow")
    return world.run("start", *arguments, *options)


def test_jobs_have_the_url(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """The plan and the jobs have the URL as destination, without an AE title."""
    world.add("Visit 1")
    assert start(world, URL) == 0
    assert f"Destination: {URL}" in caplog.text
    (job,) = world.site.jobs.values()
    assert job["config"]["config"]["destination"] == URL


def test_sessions_that_were_sent_to_a_url_are_skipped(
    world: World,
) -> None:
    """The normal form of the URL counts, and another path is another server."""
    world.add("Visit 1")
    assert start(world, URL) == 0
    start(world, "https://PACS.example.org:443/dicom-web/", "--not-yet-sent")
    assert len(world.site.batches) == 1
    start(world, f"{URL}/other", "--not-yet-sent")
    assert len(world.site.batches) == 2


@pytest.mark.parametrize("option", ["--port", "--called-ae", "--calling-ae"])
def test_options_of_c_store_are_refused_by_name(
    world: World, caplog: pytest.LogCaptureFixture, option: str
) -> None:
    """A port or an AE title beside a URL is an error."""
    world.add("Visit 1")
    assert start(world, URL, option, "104") == 2
    assert option in caplog.text
    assert world.site.batches == {}
