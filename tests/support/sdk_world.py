"""Site that Flywheel's SDK and a batch query in the same way."""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flywheel

from fw_gear_dicom_send.batch.api import BatchAPI
from fw_gear_dicom_send.batch.models import Gear, Plan
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import manifest
from tests.support.stand_in_jobs import sdk_client

CONFIG = {"destination": "pacs", "called_ae": "ARCHIVE", "port": 11112}


@dataclass(frozen=True)
class World:
    """Site with the containers of a batch, and both clients."""

    site: FlywheelSite
    fw: Any
    api: BatchAPI
    gear: str
    project: str
    subject: str
    session: str
    acquisition: str

    def batch(self) -> str:
        """Create a batch without running it."""
        return str(self.fw.create_batch_job_from_jobs(self.proposal()).id)

    def proposal(self) -> Any:
        """Return the SDK's proposal for the session."""
        job = flywheel.InputJob(
            gear_id=self.gear,
            destination={"type": "session", "id": self.session},
            inputs={"key": {"type": "project", "id": self.project, "name": "key.pem"}},
            tags=["hpc"],
            config=CONFIG,
        )
        return flywheel.PremadeJobsBatchProposalInput(jobs=[job])

    def plan(self) -> Plan:
        """Return our plan for the same session."""
        gear = Gear(self.gear, "dicom-send", "5.0.0", {}, frozenset())
        session = self.api.session(self.session)
        configs = {session.project_id: CONFIG}
        return Plan(gear, configs, {"key": "key.pem"}, ("hpc",), (session,), {}, 0)

    def started(self) -> str:
        """Create a batch and run it."""
        batch_id = self.batch()
        self.fw.start_batch(batch_id)
        return batch_id

    def running_job(self) -> str:
        """Start a job."""
        (job,) = self.fw.get_batch(self.started()).jobs
        self.site.queue.take()
        return str(job)

    def failed_job(self) -> str:
        """Fail a job."""
        job = self.running_job()
        self.site.queue.end(job, "failed")
        return job


@contextmanager
def sdk_world(site: FlywheelSite) -> Iterator[World]:
    """Create a world on a site."""
    site.is_admin = True
    gear = site.add_gear(manifest())
    project = site.add_project(site.add_group("lab"), "Study")
    site.add_file(project, "key.pem", b"1")
    subject = site.add_subject(project, "S1")
    session = site.add_session(subject, "Visit 1", timestamp="2024-03-05T07:08:09+00:00")
    site.add_file(session, "a report.csv", b"a,b\n")
    fw = sdk_client(site)
    acquisition = site.add_acquisition(session, "T1")
    api = BatchAPI(site.api_key)
    yield World(site, fw, api, gear, project, subject, session, acquisition)
    fw.shutdown()
