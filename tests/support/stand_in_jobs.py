"""Jobs and batches on the stand-in site, created like the SDK does."""

from collections.abc import Callable, Mapping
from typing import Any

import flywheel

from tests.support.flywheel_engine import Outcome
from tests.support.flywheel_site import FlywheelSite

OPTIONS = {"destination": "127.0.0.1", "called_ae": "PACS"}


def sdk_client(site: FlywheelSite) -> flywheel.Client:
    """Return Flywheel's SDK with a key of the site, configured like Flywheel's command line."""
    fw = flywheel.Client(site.sdk_key)
    fw.enable_feature("Subject-Container")
    return fw


def job(gear: str, session: str, **more: object) -> dict[str, Any]:
    """Return a job as a batch client sends it."""
    destination = {"type": "session", "id": session}
    return {"gear_id": gear, "destination": destination, "config": OPTIONS, **more}


def run_batch(fw: flywheel.Client, gear: str, sessions: list[str]) -> str:
    """Create a batch with one job per session, start it and return its id."""
    batch = fw.create_batch_job_from_jobs({"jobs": [job(gear, one) for one in sessions]})
    fw.start_batch(batch.id)
    return str(batch.id)


def states(fw: flywheel.Client, batch_id: str) -> list[str]:
    """Return the states of a batch's jobs, in order."""
    return [fw.get_job(job_id).state.value for job_id in fw.get_batch(batch_id).jobs]


def by_session(outcomes: Mapping[str, Outcome]) -> Callable[[dict[str, Any]], Outcome]:
    """Return a function that selects the outcome of a job by its session."""
    return lambda record: outcomes[record["destination"]["id"]]
