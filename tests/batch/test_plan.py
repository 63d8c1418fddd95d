"""What a batch would run is shown before it runs, and is what the options say."""

import pytest

from fw_gear_dicom_send.config import manifest
from tests.support.batch_world import FAILED, TO, World


def test_plan_is_shown_before_it_is_asked_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Gear, server, options, sessions and what is left out are told; without a yes nothing runs."""
    world.add("Sent")
    assert world.start("--no-follow", "--port", "11112") == 0
    for number in range(22):
        world.add(f"Visit {number}")
    caplog.clear()
    options = ("--not-yet-sent", "--port", "11112", "--verify", "find", "--no-instance-report")
    assert world.run("start", "--project", "lab/Study", *TO, *options) == 1
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:4] == [
        "Gear: dicom-send 0.1.0",
        "Destination: ARCHIVE at pacs.example.org, port 11112",
        "Options: --no-instance-report, --verify find",
        "Sessions: 22",
    ]
    assert lines[4].startswith("  lab/Study: Visit 0 (")
    assert lines[24:26] == ["  and 2 more", "Left out, as already sent: 1"]
    assert "--yes" in lines[-1]
    assert len(world.site.batches) == 1


def test_label_stays_on_its_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A label does nothing to a terminal and does not look like a line of the command."""
    batch_id = world.prepare("Visit\n1\x1b[2J")
    world.ended(lambda _: FAILED)
    world.run("retry", batch_id)
    assert caplog.text.count("Visit\\n1\\x1b[2J (") == 2
    assert "\x1b" not in caplog.text


def test_choice_of_files_goes_to_the_jobs(world: World) -> None:
    """An option that is given repeatedly is one text with commas, as the gear reads it."""
    world.add("Visit 1")
    options = ("--include", "*.dcm", "--include", "t1*, t2*", "--modality", "MR,PT")
    more = ("--file-types", "dicom and archive", "--exclude", "loc*", "--file-tags", "ready")
    assert world.start("--no-follow", *options, *more) == 0
    config = world.proposed()[0]["config"]
    assert {name: config[name] for name in config if name not in ("destination", "called_ae")} == {
        "include": "*.dcm,t1*, t2*",
        "modality": "MR,PT",
        "file_types": "dicom and archive",
        "exclude": "loc*",
        "file_tags": "ready",
    }


def test_only_given_options_are_those_of_the_jobs(world: World) -> None:
    """The site's defaults hold for options that are not given."""
    world.add("Visit 1")
    options = ("--associations", "2", "--file-download-retry-time", "5", "--tls-check-hostname")
    assert world.start("--no-follow", *options, "--job-tag", "hpc", "--job-tag", "night") == 0
    (job,) = world.proposed()
    assert job["config"] == {
        "destination": "pacs.example.org",
        "called_ae": "ARCHIVE",
        "associations": 2,
        "file_download_retry_time": 5,
        "tls_check_hostname": True,
    }
    assert (job["tags"], job["inputs"]) == (["hpc", "night"], {})


def test_option_that_the_sites_gear_lacks_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An older gear on the site is told apart from the newest one, by what it knows."""
    older = manifest() | {"config": dict(manifest()["config"])}
    del older["config"]["verify"]
    world.site.add_gear(older, "0.0.9")
    world.add("Visit 1")
    assert world.start("--no-follow", "--verify", "find") == 1
    assert "--verify: dicom-send 0.0.9 on the site has no such" in caplog.text
    assert world.start("--no-follow", "--verify", "find", "--gear-version", "0.1.0") == 0
    assert world.proposed()[0]["gear_id"] == world.gear


def test_files_for_tls_are_those_of_the_project(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Key and certificates become the jobs' inputs, if the project has them."""
    world.add("Visit 1")
    world.site.add_file(world.project, "k.pem", b"1", file_type=None)
    tls = ("--no-follow", "--tls-enabled", "--key", "k.pem", "--cert", "c.pem")
    assert world.start(*tls) == 1
    assert "--cert: lab/Study has no file 'c.pem'" in caplog.text
    world.site.add_file(world.project, "c.pem", b"1", file_type=None)
    assert world.start(*tls) == 0
    place = {"type": "project", "id": world.project}
    assert world.proposed()[0]["inputs"] == {
        "key": {**place, "name": "k.pem"},
        "cert": {**place, "name": "c.pem"},
    }
