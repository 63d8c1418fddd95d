"""The plan of a batch is shown before it runs, and follows the options."""

import pytest

from tests.support import command
from tests.support.batch_world import FAILED, TO, World
from tests.support.flywheel_http import Status
from tests.support.gear import manifest


def ask(world: World, *options: str) -> str:
    """Return the output on a terminal before the user declines."""
    start = world.arguments("start", "--project", "lab/Study", *TO, *options)
    shown = command.run_on_terminal("dicom-send-batch", *start, cwd=world.folder, typed="n\n")
    return shown.stdout


def test_plan_is_shown_before_the_confirmation(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The plan lists gear, server, options, sessions and exclusions; nothing runs unconfirmed."""
    world.add("Sent")
    assert world.start("--no-follow", "--port", "11112") == 0
    for number in range(22):
        world.add(f"Visit {number}")
    caplog.clear()
    options = ("--not-yet-sent", "--port", "11112", "--verify", "find", "--report-files", "files")
    assert world.run("start", "--project", "lab/Study", *TO, *options) == 2
    first = world.session_of("Visit 0")
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:4] == [
        "Gear: dicom-send 5.0.0",
        "Destination: ARCHIVE at pacs.example.org, port 11112",
        "Options: --verify find, --report-files files",
        "Sessions: 22",
    ]
    url = f"{world.site.url}/#/projects/{world.project}/sessions/{first}"
    assert lines[4] == f"  lab/Study/DOE^JANE/Visit 0: {url}"
    assert lines[24] == "  and 2 more"
    assert lines[25].startswith("Skipped (already sent to ARCHIVE at pacs.example.org, port 11112")
    assert "--yes" in lines[-1]
    assert len(world.site.batches) == 1


def test_confirmation_shows_site_and_amount(world: World) -> None:
    """The prompt shows the site, files, images and bytes of the selected files."""
    for number in range(2):
        acquisition = world.site.add_acquisition(world.add(f"Visit {number}"), "T1")
        world.site.add_file(acquisition, "a.dcm", b"1" * 600_000)
        world.site.add_file(acquisition, "b.dicom.zip", b"1" * 600_000, members=1500)
        world.site.add_file(acquisition, "gone.dcm", b"1", deleted=True)
        world.site.add_file(acquisition, "t1.nii", b"1", file_type="nifti")
        session = world.session_of(f"Visit {number}")
        deleted = world.site.add_acquisition(session, "T2", deleted=True)
        world.site.add_file(deleted, "a.dcm", b"1")
    host = world.site.url.removeprefix("http://")
    assert f"Start 2 jobs on {host}: 4 files, 3,002 images, 2.4 MB? [y/N]" in ask(world)
    acquisition = world.site.add_acquisition(world.add("Visit 2"), "T1")
    world.site.add_file(acquisition, "c.dicom.zip", b"1")
    assert ": 5 files, at least 3,002 images, 2.4 MB? [y/N]" in ask(world)
    assert ": 1 file, 1 image, 600.0 kB? [y/N]" in ask(world, "--label", "1$", "--exclude", "*.zip")
    assert ": 1 file, 1 byte? [y/N]" in ask(world, "--label", "2$")


def test_amount_is_omitted_if_the_site_does_not_provide_it(world: World) -> None:
    """The prompt is shown nevertheless."""
    world.site.fault(world.add("Visit 1"), Status(403))
    asked = ask(world)
    assert "Cannot estimate the amount of data: " in asked
    assert "Start 1 job on 127.0.0.1:" in asked
    assert "? [y/N]" in asked


def test_amount_is_logged_without_a_prompt(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """With --yes the amount is in the log."""
    world.site.add_file(world.site.add_acquisition(world.add("Visit 1"), "T1"), "a.dcm", b"1")
    world.prepare()
    assert "Amount of data: 1 file, 1 image, 1 byte" in caplog.messages


def test_label_stays_on_one_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A label cannot control the terminal or imitate a line of the command."""
    batch_id = world.prepare("Visit\n1\x1b[2J")
    world.ended(lambda _: FAILED)
    world.run("retry", batch_id)
    assert caplog.text.count("DOE^JANE/Visit\\n1\\x1b[2J") == 2
    assert "\x1b" not in caplog.text


def test_file_choice_is_passed_to_the_jobs(world: World) -> None:
    """A repeated option becomes one text with commas, as the gear reads it."""
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


def test_jobs_have_only_the_given_options(world: World) -> None:
    """The site's defaults apply to other options."""
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


@pytest.mark.parametrize("chosen", ["none", "images,page"])
def test_a_batch_needs_the_report_on_files(
    world: World, caplog: pytest.LogCaptureFixture, chosen: str
) -> None:
    """Its table is merged from them."""
    world.add("Visit 1")
    assert world.start("--no-follow", "--report-files", chosen) == 2
    assert f"--report-files: '{chosen}' was given; allowed: with files" in caplog.text
    assert world.start("--no-follow", "--report-files", "files") == 0


def test_option_unknown_to_the_sites_gear_is_rejected(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The options of an older gear version on the site are distinguished from the newest ones."""
    older = manifest() | {"config": dict(manifest()["config"])}
    del older["config"]["verify"]
    world.site.add_gear(older, "0.0.9")
    world.add("Visit 1")
    assert world.start("--no-follow", "--verify", "find") == 2
    assert (
        "--verify: the site's version of the gear (dicom-send 0.0.9) does not have" in caplog.text
    )
    assert world.start("--no-follow", "--verify", "find", "--gear-version", "5.0.0") == 0
    assert world.proposed()[0]["gear_id"] == world.gear


def test_identity_is_a_file_of_the_project(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Before any job starts, it requires TLS or the option that allows it unencrypted."""
    world.add("Visit 1")
    world.site.add_file(world.project, "identity.json", b"{}", file_type=None)
    given = ("--no-follow", "--identity", "identity.json")
    assert world.start(*given) == 2
    assert "allowed: with --tls-enabled, or with --identity-without-tls" in caplog.text
    assert world.start(*given, "--identity-without-tls") == 0
    assert world.proposed()[0]["inputs"] == {
        "identity": {"type": "project", "id": world.project, "name": "identity.json"}
    }


def test_tls_files_are_files_of_the_project(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Key and certificates become inputs of the jobs if the project has them."""
    world.add("Visit 1")
    world.site.add_file(world.project, "k.pem", b"1", file_type=None)
    tls = ("--no-follow", "--tls-enabled", "--key", "k.pem", "--cert", "c.pem")
    assert world.start(*tls) == 2
    assert "--cert: project lab/Study has no file 'c.pem'" in caplog.text
    world.site.add_file(world.project, "c.pem", b"1", file_type=None)
    assert world.start(*tls) == 0
    place = {"type": "project", "id": world.project}
    assert world.proposed()[0]["inputs"] == {
        "key": {**place, "name": "k.pem"},
        "cert": {**place, "name": "c.pem"},
    }
