"""The reports of a batch's jobs are gathered into one table and one page."""

import csv
import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from threading import Barrier

import pytest

from fw_gear_dicom_send.batch import main
from tests.support.batch_world import (
    DRY_ROW,
    FAILED,
    GOOD,
    ROW,
    World,
)
from tests.support.flywheel_engine import REPORT_HEADER as COLUMNS
from tests.support.flywheel_engine import FlywheelEngine, Simulated
from tests.support.flywheel_http import Flip, Status
from tests.support.flywheel_lists import Record
from tests.support.gear import manifest
from tests.support.html_reading import parsed

pytestmark = pytest.mark.slow

INVALID = "the report is invalid"


def report(label: str, *rows: tuple[object, ...], head: str = "report") -> tuple[str, bytes]:
    """Return the name and content of a report."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return f"dicom-send_{head}-{label}_2024-03-05_07:08:09.csv", text.getvalue().encode()


def uploaded_by(job_id: str) -> dict[str, object]:
    """Return the origin of a file that a job uploaded with its key."""
    return {"type": "user", "id": "user@example.org", "via": {"type": "job", "id": job_id}}


def test_reports_become_one_table(world: World) -> None:
    """Each row has its session and job; a job without a report has a row with its state."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    more = ("a2", "lab/Study/S/v/T2/files/u.zip", "u.zip", 4, 1, "Incomplete")
    outcomes = {
        "Visit 1": GOOD,
        "Visit 2": Simulated("failed", report=[ROW, more]),
        "Visit 3": FAILED,
    }
    world.ended(lambda job: outcomes[world.label_of(job)])
    assert world.run("gather", batch_id) == 1
    rows = world.rows(batch_id)
    columns = ["Session ID", "Session", "Job ID", "Job State", *COLUMNS]
    assert list(rows[0])[: len(columns)] == columns
    status = [
        (row["Session"], row["Job State"], *(row[one] for one in COLUMNS[2:])) for row in rows
    ]
    assert status == [
        ("Visit 1", "complete", "t.zip", "5", "5", "Complete"),
        ("Visit 2", "failed", "t.zip", "5", "5", "Complete"),
        ("Visit 2", "failed", "u.zip", "4", "1", "Incomplete"),
        ("Visit 3", "failed", "", "", "", "the job failed: see its log"),
    ]
    assert [row["Job ID"] for row in rows[:2]] == world.site.batches[batch_id]["jobs"][:2]
    page = world.page(batch_id)
    for words in ("Not all images were sent", "11 of 14", "Visit 2</a>", "see its log"):
        assert words in page
    assert page.index("Visit 2</a>") < page.index("Visit 1</a>")
    session = world.session_of("Visit 2")
    url = f"{world.site.url}/#/projects/{world.project}/sessions/{session}"
    (link,) = (one for one in parsed(page).all("a") if one.text == "Visit 2")
    assert link.attributes["href"] == url
    assert "See the reports of the run, which are attached to the session." in page


def test_no_cell_is_a_formula(world: World) -> None:
    """A name that starts with an apostrophe in a report keeps it in the table."""
    batch_id = world.prepare("=1+1")
    row = ("a1", "lab/Study/S/v/T1/files/=2", "'=2", 5, 5, "Complete")
    world.ended(lambda _: Simulated(report=[row]))
    assert world.run("gather", batch_id) == 0
    assert [(one["Session"], one["Filename"]) for one in world.rows(batch_id)] == [("'=1+1", "'=2")]


def test_page_is_static(world: World) -> None:
    """Labels and reasons are escaped, and the page loads nothing."""
    evil = "<script src='http://127.0.0.1:9/x.js'></script>"
    batch_id = world.prepare(evil)
    world.ended(lambda _: FAILED)
    next(iter(world.site.jobs.values()))["failure_reason"] = evil
    assert world.run("gather", batch_id) == 1
    page = world.page(batch_id)
    assert "<script" not in page
    assert page.count("&lt;script src=") == 5
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page


def test_only_the_jobs_own_report_counts(world: World) -> None:
    """Reports from before and after the job, of an acquisition or of other kinds are skipped."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    wrong = ("x", "x", "x", 1, 0, "Failed")
    world.site.attach(session, *report("Visit 1", wrong))
    world.site.containers[session]["files"][-1]["created"] = "2024-01-01T00:00:00+00:00"
    world.ended(lambda _: GOOD)
    for name in ("Visit 1_T1", "Visit 1"):
        world.site.attach(session, *report(name, wrong))
    world.site.containers[session]["files"][-1]["created"] = "2099-01-01T00:00:00+00:00"
    for origin in ({"type": "job", "id": "another"}, uploaded_by("another")):
        world.site.attach(session, *report("Visit 1", wrong), origin)
    world.site.attach(session, *report("Visit 1", wrong, head="dry-run"))
    name, content = report("Visit 1", wrong)
    world.site.attach(session, name.replace(".csv", "_instances.csv"), content)
    assert world.run("gather", batch_id) == 0
    assert [row["Filename"] for row in world.rows(batch_id)] == ["t.zip"]


def test_report_older_than_the_job_is_ignored(world: World) -> None:
    """A job without a report does not get the report of an earlier job on its session."""
    world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    assert world.start("--no-follow") == 0
    world.ended(lambda _: Simulated())
    batch_id = list(world.site.batches)[-1]
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == ["no report"]


def test_report_that_the_engine_attached_to_an_acquisition_is_found(world: World) -> None:
    """A rule's gear runs on acquisitions with a read-only key; its reports are attached there."""
    session = world.add("Visit 1")
    rule = world.site.add_gear({**manifest(), "name": "dicom-send-rule"})
    jobs = [
        {
            "gear_id": rule,
            "config": {"destination": "pacs.example.org", "called_ae": "ARCHIVE"},
            "destination": {"type": "acquisition", "id": world.site.add_acquisition(session, one)},
        }
        for one in ("T1", "T2")
    ]
    batch_id = world.batch(jobs)
    world.ended(lambda _: GOOD)
    assert [upload.container_type for upload in world.site.reports] == ["acquisition"] * 2
    assert world.run("gather", batch_id) == 0
    status = [(row["Session ID"], row["Session"], row["Status"]) for row in world.rows(batch_id)]
    assert status == [(session, "Visit 1", "Complete")] * 2


def test_newer_of_two_reports_counts(world: World) -> None:
    """If a job left two reports, the newer one is used."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    (job_id,) = world.site.batches[batch_id]["jobs"]
    wrong = report("Visit 1", ("x", "x", "x", 1, 0, "Failed"))
    world.site.attach(session, *wrong, uploaded_by(job_id))
    world.ended(lambda _: GOOD)
    assert world.run("gather", batch_id) == 0


@pytest.mark.parametrize("is_shown", [True, False])
def test_report_without_a_job_belongs_to_the_only_job(world: World, is_shown: bool) -> None:
    """An old site records no job for an upload, which is unambiguous if only one job ran."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    if not is_shown:
        world.site.fault(f"{session}/jobs", Status(403))

    def outcome(_: Record) -> Simulated:
        world.site.attach(session, *report("Visit 1", ROW))
        return Simulated()

    world.ended(outcome)
    assert world.run("gather", batch_id) == 0


@pytest.mark.parametrize(
    ("since_start", "since_end", "exit_code"),
    [(-1, None, 1), (0, None, 0), (None, 59, 0), (None, 61, 1)],
)
def test_report_without_a_job_was_attached_in_its_time(
    world: World, since_start: int | None, since_end: int | None, exit_code: int
) -> None:
    """It was attached after the start of the job, and within a minute after its end."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: Simulated())
    (job,) = world.site.jobs.values()
    state, seconds = ("running", since_start) if since_end is None else ("complete", since_end)
    moment = datetime.fromisoformat(job["transitions"][state]) + timedelta(seconds=seconds or 0)
    session = world.session_of("Visit 1")
    world.site.attach(session, *report("Visit 1", ROW))
    world.site.containers[session]["files"][-1]["created"] = moment.isoformat()
    assert world.run("gather", batch_id) == exit_code


def test_report_without_a_job_is_ignored_after_two_jobs(world: World) -> None:
    """An old site does not record which of two concurrent jobs uploaded a report."""
    batch_id = world.prepare("Visit 1")
    assert world.start("--no-follow") == 0
    session = world.session_of("Visit 1")
    both = Barrier(2)

    def outcome(_: Record) -> Simulated:
        both.wait()
        world.site.attach(session, *report("Visit 1", ROW))
        both.wait()
        return Simulated()

    with FlywheelEngine(world.site, world.folder, max_running=2, outcome=outcome) as engine:
        engine.wait()
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == ["no report"]


def test_report_of_a_dry_run_is_recognized(world: World) -> None:
    """A dry run's report has its own name, and the page says that nothing was sent."""
    world.add("Visit 1")
    assert world.start("--no-follow", "--dry-run") == 0
    (batch_id,) = world.site.batches
    session = world.session_of("Visit 1")
    (job_id,) = world.site.batches[batch_id]["jobs"]
    dry = report("Visit 1", DRY_ROW, head="dry-run")
    world.site.attach(session, *dry, uploaded_by(job_id))
    world.ended(lambda _: Simulated())
    assert world.run("gather", batch_id) == 0
    for words in (
        "dry run: nothing was sent",
        "All images of all sessions would be sent",
        ">Dry run</td>",
    ):
        assert words in world.page(batch_id)


def test_failed_dry_run_is_not_complete(world: World) -> None:
    """Its report says for each file that nothing was sent; the job says that some would fail."""
    world.add("Visit 1")
    assert world.start("--no-follow", "--dry-run") == 0
    (batch_id,) = world.site.batches
    session = world.session_of("Visit 1")
    (job_id,) = world.site.batches[batch_id]["jobs"]
    dry = report("Visit 1", DRY_ROW, head="dry-run")
    world.site.attach(session, *dry, uploaded_by(job_id))
    world.ended(lambda _: Simulated("failed"))
    assert world.run("gather", batch_id) == 1
    assert "not all images would be sent" in world.page(batch_id)


@pytest.mark.parametrize(
    ("content", "status"),
    [
        (b"\xff\xfe", INVALID),
        (b"a,b\n1,2\n", INVALID),
        (b"", INVALID),
        (report("", ("a", "p", "f", "many", 0, "Failed"))[1], INVALID),
        (report("", ("a", "p", "f", 1))[1], INVALID),
        (report("")[1], "no files to send"),
        (report("", ("a", "p", "f", 1, 0, "Failed"))[1], "Failed"),
    ],
)
def test_success_requires_a_valid_report(world: World, content: bytes, status: str) -> None:
    """A complete job is not a success if its report is broken, empty or lists unsent images."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    (job_id,) = world.site.batches[batch_id]["jobs"]
    world.site.attach(session, report("Visit 1")[0], content, uploaded_by(job_id))
    world.ended(lambda _: Simulated())
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == [status]


def merged(world: World, content: bytes) -> tuple[int, list[dict[str, str]]]:
    """Return the exit code and the rows for a session with this report."""
    batch_id = world.prepare("Visit 1")
    (job_id,) = world.site.batches[batch_id]["jobs"]
    session = world.session_of("Visit 1")
    world.site.attach(session, report("Visit 1")[0], content, uploaded_by(job_id))
    world.ended(lambda _: Simulated())
    return world.run("gather", batch_id), world.rows(batch_id)


@pytest.mark.parametrize(
    ("names", "separator"),
    [
        (("Acquisition ID", *COLUMNS[2:]), ","),
        (COLUMNS[3:], ","),
        (("New", *reversed(COLUMNS), "New"), ","),
        (COLUMNS, ";"),
        (COLUMNS, "\t"),
    ],
)
def test_reports_of_other_versions_are_merged(
    world: World, names: Sequence[str], separator: str
) -> None:
    """Missing columns are empty, additional ones are left out, and spreadsheets may save them."""
    values = dict(zip(COLUMNS, map(str, ROW), strict=True))
    lines = (separator.join(names), separator.join(values.get(name, "new") for name in names))
    content = "\r\n".join(lines).encode("utf-8-sig")
    exit_code, rows = merged(world, content)
    found = [{name: row[name] for name in COLUMNS} for row in rows]
    assert found == [{name: values[name] if name in names else "" for name in COLUMNS}]
    assert exit_code == 0


@pytest.mark.parametrize("name", COLUMNS[3:])
def test_a_report_without_counts_is_invalid(world: World, name: str) -> None:
    """The counts and the status decide whether all images were sent."""
    content = report("", ROW)[1].replace(name.encode(), b"Other")
    exit_code, rows = merged(world, content)
    assert (exit_code, [row["Status"] for row in rows]) == (1, [INVALID])


@pytest.mark.parametrize(
    "damaged",
    [
        b"a1,p,f,5,5",
        b"a1,p,f,5,5,Complete,5",
        b'a1,p,"f,5,5,Complete',
        b"a1,p,f,5,1e9,Complete",
        b"a1,p,f,-5,5,Complete",
        b"a1,p,f,5,\xd9\xa1,Complete",
        b"a1,p,f," + b"9" * 4300 + b",5,Complete",
        b"a1,p," + b"f" * 200_000 + b",5,5,Complete",
    ],
    ids=range(8),
)
def test_a_damaged_row_costs_only_itself(
    world: World, caplog: pytest.LogCaptureFixture, damaged: bytes
) -> None:
    """The other rows count, but the session is not a success."""
    header, row = report("", ROW)[1].splitlines(keepends=True)
    exit_code, rows = merged(world, header + row + damaged + b"\n" + row)
    status = ["Complete", "Complete", INVALID]
    assert (exit_code, [row["Status"] for row in rows]) == (1, status)
    assert "Skipping 1 damaged row in the report dicom-send_report-Visit 1_" in caplog.text
    assert "10 of 10" in world.page(list(world.site.batches)[-1])


def test_damaged_rows_do_not_hide_unsent_images(world: World) -> None:
    """Both problems are in the table."""
    content = report("", ("a", "p", "f", 2, 1, "Incomplete"), ("a", "p", "f", 1))[1]
    exit_code, rows = merged(world, content)
    status = ["Incomplete", INVALID]
    assert (exit_code, [row["Status"] for row in rows]) == (1, status)
    assert "not all images were sent" in world.page(list(world.site.batches)[-1])


def test_deleted_session_does_not_stop_the_others(world: World) -> None:
    """A session that was deleted meanwhile has a row that says so."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    first = world.site.jobs[world.site.batches[batch_id]["jobs"][0]]["destination"]["id"]
    del world.site.types[first]
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == [
        f"GET /api/sessions/{first}: 404 Not Found: it is not to be",
        "Complete",
    ]


def test_table_is_written_completely_or_not_at_all(world: World) -> None:
    """An existing table remains if the site fails during gathering."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    assert world.run("gather", batch_id) == 0
    second = world.site.jobs[world.site.batches[batch_id]["jobs"][1]]["destination"]["id"]
    world.site.fault(second, Flip())
    assert world.run("gather", batch_id) == 1
    world.site.fault(second, Flip())
    assert world.run("follow", batch_id) == 1
    assert len(world.rows(batch_id)) == 2
    assert len(list((world.folder / "out").iterdir())) == 2


def test_folder_for_reports_is_created(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A missing folder is created; if that fails, it is a usage error."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    (world.folder / "file").write_text("")
    (world.folder / "out").rmdir()
    assert world.run("gather", batch_id) == 0
    gather = ["gather", batch_id, "--api-key-file", str(world.key_file)]
    assert main.main([*gather, "--report-folder", str(world.folder / "file" / "x")]) == 2
    assert "--report-folder: cannot create " in caplog.text
