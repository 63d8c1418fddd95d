"""The engine of the stand-in site simulates jobs, or runs the gear for them."""

import threading
import time
from pathlib import Path

import flywheel
import pytest

from tests.support.flywheel_engine import Endless, FlywheelEngine, RunGear, Simulated
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import MAX_RUN_SECONDS, MAX_START_SECONDS
from tests.support.pacs import PythonSCP
from tests.support.sample_files import encoded, made
from tests.support.stand_in_jobs import OPTIONS, by_session, job, run_batch, states
from tests.support.waiting import wait_for

FAST = 15.0
"""Time limit for 300 simulated jobs, which take 0.15 s on an idle machine."""


def test_many_jobs_are_simulated_fast(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, project: str
) -> None:
    """Hundreds of simulated jobs take almost no time, and threads end with the engine."""
    subject = site.add_subject(project, "S")
    many = [site.add_session(subject, f"Visit {number}") for number in range(300)]
    before = threading.active_count()
    batch_id = run_batch(fw, gear, many)
    started = time.monotonic()
    with FlywheelEngine(site, tmp_path, max_running=4, outcome=lambda _job: Simulated()) as engine:
        engine.wait()
    assert time.monotonic() - started < FAST
    assert wait_for(lambda: threading.active_count() <= before)
    assert fw.get_batch(batch_id).state.value == "complete"


def test_the_number_of_running_jobs_is_limited(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """The engine starts the oldest jobs and leaves the others pending."""
    with FlywheelEngine(site, tmp_path, max_running=2, outcome=lambda _job: Endless()):
        batch_id = run_batch(fw, gear, sessions)
        assert wait_for(lambda: states(fw, batch_id).count("running") == 2)
        assert states(fw, batch_id) == ["running"] * 2 + ["pending"] * 3


def test_engine_reports_a_failing_outcome(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """An error in the engine fails the test that uses it."""
    run_batch(fw, gear, sessions[:1])
    with (
        pytest.raises(KeyError),
        FlywheelEngine(site, tmp_path, outcome=by_session({})) as engine,
    ):
        engine.wait()


def test_engine_runs_the_gear(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A job is a run of the gear itself with its inputs on its destination."""
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
    origins = [file["origin"] for file in site.containers[sessions[0]]["files"]]
    assert {(one["type"], one["via"]["id"]) for one in origins} == {("user", jobs[0])}
    assert list(tmp_path.iterdir()) == []
    assert "a.dcm" in log


def test_engine_attaches_the_gears_outputs(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """Reports that the gear could not attach itself are attached to its destination."""
    site.upload_status = 403
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", encoded(made(1)))
    with PythonSCP() as pacs, FlywheelEngine(site, tmp_path) as engine:
        wanted = job(gear, sessions[0]) | {"config": {**OPTIONS, "port": pacs.port}}
        batch = fw.create_batch_job_from_jobs({"jobs": [wanted]})
        (record,) = fw.start_batch(batch.id)
        engine.wait()
    files = fw.get_session(sessions[0]).files
    assert {(file.origin.type.value, file.origin.id) for file in files} == {("job", record.id)}
    assert fw.get_job(record.id).saved_files == [file.name for file in files]


@pytest.mark.slow
def test_cancelled_job_ends_its_gear(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A gear whose job is cancelled receives SIGTERM."""
    site.add_file(site.add_acquisition(sessions[0], "T1"), "a.dcm", encoded(made(1)))
    held = threading.Event()

    def hold(_record: object) -> int:
        held.wait(MAX_RUN_SECONDS)
        return 0

    with (
        PythonSCP(status=hold) as pacs,
        FlywheelEngine(site, tmp_path, outcome=lambda _job: RunGear()) as engine,
    ):
        wanted = job(gear, sessions[0]) | {"config": {**OPTIONS, "port": pacs.port}}
        batch = fw.create_batch_job_from_jobs({"jobs": [wanted]})
        (record,) = fw.start_batch(batch.id)
        assert wait_for(lambda: len(pacs.stored) == 1, MAX_START_SECONDS)
        fw.get_job(record.id).change_state("cancelled")
        assert wait_for(lambda: record.id in engine.results, MAX_RUN_SECONDS)
        held.set()
    assert "Stopped by SIGTERM" in engine.results[record.id].log
    assert fw.get_job(record.id).state.value == "cancelled"
