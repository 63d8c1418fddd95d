"""The stand-in site and its engine, as Flywheel's own SDK finds them."""

import json
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import flywheel
import pytest
import requests

from tests.support.flywheel_engine import Endless, FlywheelEngine, Outcome, Played, RunGear
from tests.support.flywheel_site import FlywheelSite, Status
from tests.support.gear import REPOSITORY
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made

MANIFEST = json.loads((REPOSITORY / "manifest.json").read_text())
OPTIONS = {"destination": "127.0.0.1", "called_ae": "PACS"}
SLOW = 30


@pytest.fixture
def fw(site: FlywheelSite) -> flywheel.Client:
    return flywheel.Client(site.sdk_key)


@pytest.fixture
def project(site: FlywheelSite) -> str:
    return site.add_project(site.add_group("lab"), "Trial")


@pytest.fixture
def sessions(site: FlywheelSite, project: str) -> list[str]:
    """Five sessions, one of each month from January 2024."""
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
    site.add_gear(MANIFEST, "0.0.9")
    return site.add_gear(MANIFEST)


def job(gear: str, session: str, **more: object) -> dict[str, Any]:
    """Return a job as a batch's maker sends it."""
    destination = {"type": "session", "id": session}
    return {"gear_id": gear, "destination": destination, "config": OPTIONS, **more}


def run_batch(fw: flywheel.Client, gear: str, sessions: list[str]) -> str:
    """Create a batch of a job per session, start it and return its id."""
    batch = fw.create_batch_job_from_jobs({"jobs": [job(gear, one) for one in sessions]})
    fw.start_batch(batch.id)
    return str(batch.id)


def states(fw: flywheel.Client, batch_id: str) -> list[str]:
    return [fw.get_job(job_id).state.value for job_id in fw.get_batch(batch_id).jobs]


def eventually(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SLOW
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def by_session(outcomes: Mapping[str, Outcome]) -> Callable[[dict[str, Any]], Outcome]:
    """Return what becomes of a job by the session that it runs on."""
    return lambda record: outcomes[record["destination"]["id"]]


def test_sdk_resolves_paths(fw: flywheel.Client, project: str, sessions: list[str]) -> None:
    """Containers are found by their labels, and by `<id:...>`."""
    assert fw.lookup("lab").container_type == "group"
    assert fw.lookup("lab/Trial").id == project
    assert fw.lookup("lab/Trial/S2/Visit 2").id == sessions[1]
    assert fw.lookup(["lab", f"<id:{project}>", "S2"]).label == "S2"
    with pytest.raises(flywheel.ApiException) as caught:
        fw.lookup("lab/Trial/S2/Visit 1")
    assert caught.value.status == 404


def test_sdk_finds_gears(fw: flywheel.Client, gear: str) -> None:
    """A gear is its newest version unless another is named."""
    assert fw.lookup("gears/dicom-send").id == gear
    assert fw.lookup("gears/dicom-send/0.0.9").gear.version == "0.0.9"
    assert [found.id for found in fw.gears.find("gear.name=dicom-send")] == [gear]
    assert fw.get_gear(gear).get_default_config()["port"] == 104
    assert fw.gears.find("gear.name=other") == []


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], [1, 2, 3, 4, 5]),
        (["label=Visit 3"], [3]),
        (['label="Visit 3"'], [3]),
        (["label!=Visit 3"], [1, 2, 4, 5]),
        (["label=~^Visit [24]$"], [2, 4]),
        (["timestamp>=2024-02-10", "timestamp<2024-04-10"], [2, 3]),
        (["timestamp>2024-04-10T08:00:00+00:00"], [5]),
        (["created>2024-01-01"], [1, 2, 3, 4, 5]),
        (["tags=odd", "timestamp<=2024-04-01"], [1, 3]),
        (["subject.label=S4"], [4]),
        (["label=3"], []),
    ],
)
def test_sdk_filters_sessions(
    fw: flywheel.Client,
    project: str,
    sessions: list[str],
    filters: list[str],
    found: list[int],
) -> None:
    """A filter lets through what meets all of its conditions, page by page."""
    below = fw.get_project(project).sessions.iter_find(*filters, limit=2)
    wanted = [sessions[month - 1] for month in found]
    assert [one.id for one in below] == wanted
    above = fw.sessions.iter_find(f"parents.project={project}", *filters, limit=2)
    assert [one.id for one in above] == wanted


def test_sdk_finds_sessions_by_ids(fw: flywheel.Client, sessions: list[str]) -> None:
    """`=|` takes any of a list."""
    found = fw.sessions.find(f"_id=|[{sessions[0]},{sessions[3]}]", sort="label:desc", limit=9)
    assert [one.label for one in found] == ["Visit 4", "Visit 1"]
    assert [one.timestamp.month for one in found] == [4, 1]


@pytest.mark.usefixtures("sessions")
def test_page_is_given_to_who_takes_it(site: FlywheelSite) -> None:
    """A client that knows pages is told how many records there are in all."""
    url = f"{site.url}/api/sessions?limit=2&filter=tags=odd"
    headers = {"Authorization": f"scitran-user {site.api_key}"}
    bare = requests.get(url, headers=headers, timeout=SLOW).json()
    headers["X-Accept-Feature"] = "Safe-Redirect,pagination"
    page = requests.get(url, headers=headers, timeout=SLOW).json()
    assert page == {"results": bare, "count": 2, "total": 3}


def test_sdk_reads_files(site: FlywheelSite, fw: flywheel.Client, sessions: list[str]) -> None:
    """Files tell when and by whom they came, whether the SDK has uploaded them or not."""
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", b"image")
    session = fw.get_session(sessions[0])
    session.upload_file(flywheel.FileSpec("b.csv", "x,y"))
    (acquisition,) = session.acquisitions()
    for container, name in ((acquisition, "a.dcm"), (session, "b.csv")):
        (file,) = container.reload().files
        assert file.created.utcoffset() is not None
        assert (file.name, file.origin.type.value) == (name, "user")
    assert acquisition.read_file("a.dcm") == b"image"
    assert session.read_file("b.csv") == b"x,y"


def test_sdk_runs_a_batch(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A batch's jobs run in their order, and leave what they are told to leave."""
    row = ["1", "lab/Trial", "a.zip", 3, 3, "Complete"]
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Played(report=[row])) as engine:
        batch_id = run_batch(fw, gear, sessions[:2])
        engine.wait()
    batch = fw.get_batch(batch_id)
    assert batch.state.value == "complete"
    records = [fw.get_job(job_id) for job_id in batch.jobs]
    assert [one.destination.id for one in records] == sessions[:2]
    assert records[0].transitions.complete <= records[1].transitions.running
    assert records[0].config.config == {**fw.get_gear(gear).get_default_config(), **OPTIONS}
    assert records[0].parents.project == site.containers[sessions[0]]["parents"]["project"]
    (report,) = fw.get_session(sessions[0]).files
    assert report.name.startswith("dicom-send_report-Visit 1_20")
    content = fw.get_session(sessions[0]).read_file(report.name).decode().splitlines()
    assert content[1:] == ["1,lab/Trial,a.zip,3,3,Complete"]


def test_batch_waits_until_it_is_started(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A batch that was only created has no jobs."""
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Played()) as engine:
        batch = fw.create_batch_job_from_jobs({"jobs": [job(gear, sessions[0])]})
        engine.wait()
    assert fw.get_batch(batch.id).state.value == "pending"
    assert site.jobs == {}


def test_sdk_retries_a_failed_job(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """The new job takes the failed one's place in the batch; no other job can be retried."""

    def outcome(record: dict[str, Any]) -> Outcome:
        fails = record["destination"]["id"] == sessions[0] and record["attempt"] == 1
        return Played("failed", log="no peer\n", reason="unknown") if fails else Played()

    with FlywheelEngine(site, tmp_path, at_once=2, outcome=outcome) as engine:
        batch_id = run_batch(fw, gear, sessions[:2])
        engine.wait()
        failed, complete = fw.get_batch(batch_id).jobs
        assert [line.msg for line in fw.get_job_logs(failed).logs] == ["no peer\n"]
        again = fw.retry_job(failed)
        engine.wait()
    assert fw.get_batch(batch_id).jobs == [complete, again]
    assert states(fw, batch_id) == ["complete", "complete"]
    assert (fw.get_job(again).previous_job_id, fw.get_job(again).attempt) == (failed, 2)
    assert fw.get_job(failed).failure_reason == "unknown"
    assert fw.get_job(failed).retried == fw.get_job(again).created
    for job_id, status in ((failed, 500), (complete, 400)):
        with pytest.raises(flywheel.ApiException) as caught:
            fw.retry_job(job_id)
        assert caught.value.status == status


def test_sdk_cancels(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """Cancelling a batch stops the jobs that wait; one that runs has to be cancelled itself."""
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Endless()) as engine:
        batch_id = run_batch(fw, gear, sessions[:3])
        eventually(lambda: states(fw, batch_id)[0] == "running")
        assert fw.cancel_batch(batch_id) == 2
        assert states(fw, batch_id) == ["running", "cancelled", "cancelled"]
        fw.get_job(fw.get_batch(batch_id).jobs[0]).change_state("cancelled")
        engine.wait()
    assert states(fw, batch_id) == ["cancelled"] * 3
    assert fw.get_batch(batch_id).state.value == "cancelled"


def test_sdk_lists_jobs(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """Jobs are found by their gear, state, batch and where they ran."""
    outcomes = {one: Played("failed" if one == sessions[1] else "complete") for one in sessions}
    with FlywheelEngine(site, tmp_path, outcome=by_session(outcomes)) as engine:
        batch_id = run_batch(fw, gear, sessions)
        engine.wait()
    jobs = fw.get_batch(batch_id).jobs
    project = site.containers[sessions[0]]["parents"]["project"]
    for filters, wanted in (
        (["gear_info.name=dicom-send", f"parents.project={project}"], jobs),
        ([f"batch={batch_id}", "state=failed"], jobs[1:2]),
        ([f"destination.id={sessions[4]}"], jobs[4:]),
        (["state=|[pending,running]"], []),
    ):
        assert [one.id for one in fw.jobs.iter_find(*filters, limit=2)] == wanted
    assert [one.id for one in fw.get_all_batches()] == [batch_id]


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gear_id": "0" * 24}, 404),
        ({"gear_id": None}, 400),
        ({"destination": {"type": "session", "id": "0" * 24}}, 404),
        ({"inputs": {"key": {"type": "session", "id": "{session}", "name": "no.pem"}}}, 404),
        ({"inputs": {"lock": {"type": "session", "id": "{session}", "name": "no.pem"}}}, 400),
        ({"config": {"destination": "127.0.0.1"}}, 422),
        ({"config": {**OPTIONS, "port": 0}}, 422),
        ({"config": {**OPTIONS, "port": "104"}}, 422),
    ],
)
def test_wrong_jobs_are_refused(
    fw: flywheel.Client,
    gear: str,
    sessions: list[str],
    change: dict[str, Any],
    status: int,
) -> None:
    """A batch with a job that cannot run is not created."""
    wrong = json.loads(json.dumps(change).replace("{session}", sessions[0]))
    with pytest.raises(flywheel.ApiException) as caught:
        fw.create_batch_job_from_jobs(
            {"jobs": [job(gear, sessions[0]), job(gear, sessions[1]) | wrong]}
        )
    assert caught.value.status == status
    assert fw.get_all_batches() == []


def test_batch_starts_once(fw: flywheel.Client, gear: str, sessions: list[str]) -> None:
    """A batch that was started is not started again."""
    batch_id = run_batch(fw, gear, sessions[:1])
    with pytest.raises(flywheel.ApiException) as caught:
        fw.start_batch(batch_id)
    assert caught.value.status == 400
    assert len(fw.get_batch(batch_id).jobs) == 1


def test_answer_is_lost_after_the_deed(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """A fault on "batch" lets a batch be created whose id the client never learns."""
    site.fault("batch", Status(503))
    with pytest.raises(flywheel.ApiException):
        fw.create_batch_job_from_jobs({"jobs": [job(gear, sessions[0])]})
    assert len(site.batches) == 1


def test_bodies_are_recorded(site: FlywheelSite, fw: flywheel.Client, project: str) -> None:
    """A request is recorded with its body."""
    fw.get_project(project)
    fw.lookup("lab/Trial")
    assert [request.body for request in site.requests[-2:]] == [b"", b'{"path": ["lab", "Trial"]}']


def test_many_jobs_are_played_fast(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, project: str
) -> None:
    """Hundreds of played jobs take no time to speak of, and threads end with the engine."""
    subject = site.add_subject(project, "S")
    many = [site.add_session(subject, f"Visit {number}") for number in range(300)]
    before = threading.active_count()
    batch_id = run_batch(fw, gear, many)
    started = time.monotonic()
    with FlywheelEngine(site, tmp_path, at_once=4, outcome=lambda _job: Played()) as engine:
        engine.wait()
    assert time.monotonic() - started < 1
    assert threading.active_count() <= before
    assert fw.get_batch(batch_id).state.value == "complete"


def test_as_many_jobs_run_at_once_as_told(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """The engine takes the oldest jobs, and leaves the others pending."""
    with FlywheelEngine(site, tmp_path, at_once=2, outcome=lambda _job: Endless()):
        batch_id = run_batch(fw, gear, sessions)
        eventually(lambda: states(fw, batch_id).count("running") == 2)
        assert states(fw, batch_id) == ["running"] * 2 + ["pending"] * 3


def test_engine_tells_of_an_outcome_that_fails(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """What goes wrong in the engine fails the test that uses it."""
    run_batch(fw, gear, sessions[:1])
    with (
        pytest.raises(KeyError),
        FlywheelEngine(site, tmp_path, outcome=by_session({})) as engine,
    ):
        engine.wait()


def test_engine_runs_the_gear(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A job is a run of the gear itself, with its inputs, on its destination."""
    acquisition = site.add_acquisition(sessions[0], "T1")
    site.add_file(acquisition, "a.dcm", encoded(made(1)))
    key = {"type": "acquisition", "id": acquisition, "name": "ca.pem"}
    site.add_file(acquisition, "ca.pem", b"", file_type=None)
    with (
        PythonSCP() as pacs,
        FlywheelEngine(site, tmp_path, outcome=lambda _job: RunGear()) as engine,
    ):
        good = job(gear, sessions[0], inputs={"add_cert_file": key})
        good["config"] = {**OPTIONS, "port": pacs.port}
        bad = job(gear, sessions[1]) | {"config": {**OPTIONS, "group": "0x0020"}}
        batch = fw.create_batch_job_from_jobs({"jobs": [good, bad]})
        jobs = [one.id for one in fw.start_batch(batch.id)]
        engine.wait()
        log = "".join(line.msg for line in fw.get_job_logs(jobs[0]).logs)
    assert states(fw, batch.id) == ["complete", "failed"], log
    assert len(pacs.stored) == 1
    assert [upload.container_id for upload in site.reports] == [sessions[0]]
    assert list(tmp_path.iterdir()) == []
    assert "a.dcm" in log


def test_engine_attaches_what_the_gear_leaves(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """Reports that the gear could not attach itself come to its destination as its outputs."""
    site.refuse_uploads = 403
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", encoded(made(1)))
    with PythonSCP() as pacs, FlywheelEngine(site, tmp_path) as engine:
        wanted = job(gear, sessions[0]) | {"config": {**OPTIONS, "port": pacs.port}}
        batch = fw.create_batch_job_from_jobs({"jobs": [wanted]})
        (record,) = fw.start_batch(batch.id)
        engine.wait()
    files = fw.get_session(sessions[0]).files
    assert {(file.origin.type.value, file.origin.id) for file in files} == {("job", record.id)}
    assert fw.get_job(record.id).saved_files == [file.name for file in files]


def test_cancelled_job_ends_its_gear(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A gear whose job is cancelled gets SIGTERM."""
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", encoded(made(1)))
    held = threading.Event()

    def hold(_record: object) -> int:
        held.wait(SLOW)
        return 0

    with (
        PythonSCP(status=hold) as pacs,
        FlywheelEngine(site, tmp_path, outcome=lambda _job: RunGear()) as engine,
    ):
        wanted = job(gear, sessions[0]) | {"config": {**OPTIONS, "port": pacs.port}}
        batch = fw.create_batch_job_from_jobs({"jobs": [wanted]})
        (record,) = fw.start_batch(batch.id)
        eventually(lambda: len(pacs.stored) == 1)
        fw.get_job(record.id).change_state("cancelled")
        held.set()
        eventually(lambda: record.id in engine.results)
    assert "ended by SIGTERM" in engine.results[record.id].log
    assert fw.get_job(record.id).state.value == "cancelled"
