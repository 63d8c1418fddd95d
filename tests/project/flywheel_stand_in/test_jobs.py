"""The stand-in site runs batches of jobs, as seen by Flywheel's own SDK."""

import json
from pathlib import Path
from typing import Any

import flywheel
import pytest

from tests.support.flywheel_engine import Endless, FlywheelEngine, Outcome, Simulated
from tests.support.flywheel_http import Status
from tests.support.flywheel_site import FlywheelSite
from tests.support.stand_in_jobs import OPTIONS, by_session, job, run_batch, states
from tests.support.waiting import wait_for


def test_sdk_runs_a_batch(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """A batch's jobs run in order and have the configured results."""
    row = ["1", "lab/Trial", "a.zip", 3, 3, "Complete"]
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Simulated(report=[row])) as engine:
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
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Simulated()) as engine:
        batch = fw.create_batch_job_from_jobs({"jobs": [job(gear, sessions[0])]})
        engine.wait()
    assert fw.get_batch(batch.id).state.value == "pending"
    assert site.jobs == {}


def test_sdk_retries_a_failed_job(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """The batch keeps listing the failed job; no other job can be retried."""

    def outcome(record: dict[str, Any]) -> Outcome:
        fails = record["destination"]["id"] == sessions[0] and record["attempt"] == 1
        return Simulated("failed", log="no peer\n", reason="unknown") if fails else Simulated()

    with FlywheelEngine(site, tmp_path, max_running=2, outcome=outcome) as engine:
        batch_id = run_batch(fw, gear, sessions[:2])
        engine.wait()
        failed, complete = fw.get_batch(batch_id).jobs
        assert [line.msg for line in fw.get_job_logs(failed).logs] == ["no peer\n"]
        again = fw.retry_job(failed)
        engine.wait()
    assert fw.get_batch(batch_id).jobs == [failed, complete]
    assert states(fw, batch_id) == ["failed", "complete"]
    assert fw.get_job(again).state.value == "complete"
    assert [one.id for one in fw.get_current_user_jobs(filter="attempt>1").jobs] == [again]
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
    """Cancelling a batch stops its pending jobs; a running job must be cancelled itself."""
    with FlywheelEngine(site, tmp_path, outcome=lambda _job: Endless()) as engine:
        batch_id = run_batch(fw, gear, sessions[:3])
        assert wait_for(lambda: states(fw, batch_id)[0] == "running")
        assert fw.cancel_batch(batch_id) == 2
        assert states(fw, batch_id) == ["running", "cancelled", "cancelled"]
        fw.get_job(fw.get_batch(batch_id).jobs[0]).change_state("cancelled")
        engine.wait()
    assert states(fw, batch_id) == ["cancelled"] * 3
    assert fw.get_batch(batch_id).state.value == "cancelled"


def test_sdk_lists_jobs(
    site: FlywheelSite, fw: flywheel.Client, tmp_path: Path, gear: str, sessions: list[str]
) -> None:
    """Admins find all jobs by their properties and containers, other users those of a session."""
    outcomes = {one: Simulated("failed" if one == sessions[1] else "complete") for one in sessions}
    with FlywheelEngine(site, tmp_path, outcome=by_session(outcomes)) as engine:
        batch_id = run_batch(fw, gear, sessions)
        engine.wait()
    site.is_admin = True
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
    site.is_admin = False
    assert [one.id for one in fw.get_session_jobs(sessions[4]).jobs] == jobs[4:]
    with pytest.raises(flywheel.ApiException) as caught:
        fw.get_all_jobs()
    assert caught.value.status == 403


@pytest.mark.parametrize(
    ("change", "status"),
    [
        ({"gear_id": "0" * 24}, 404),
        ({"gear_id": None}, 400),
        ({"destination": {"type": "session", "id": "0" * 24}}, 404),
        ({"inputs": {"key": {"type": "session", "id": "{session}", "name": "no.pem"}}}, 404),
        ({"inputs": {"lock": {"type": "session", "id": "{session}", "name": "no.pem"}}}, 400),
        ({"config": {"called_ae": "PACS"}}, 422),
        ({"config": {**OPTIONS, "port": 0}}, 422),
        ({"config": {**OPTIONS, "port": "104"}}, 422),
        ({"config": {**OPTIONS, "html_report": False}}, 422),
    ],
)
def test_invalid_jobs_are_rejected(
    fw: flywheel.Client,
    gear: str,
    sessions: list[str],
    change: dict[str, Any],
    status: int,
) -> None:
    """A batch with an invalid job is not created."""
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


def test_response_is_lost_after_the_action(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """A fault on "batch" creates a batch whose id the client never receives."""
    site.fault("batch", Status(503))
    with pytest.raises(flywheel.ApiException):
        fw.create_batch_job_from_jobs({"jobs": [job(gear, sessions[0])]})
    assert len(site.batches) == 1
