"""Each request of a batch equals the request of Flywheel's public SDK for the same purpose."""

import json
import warnings
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from flywheel.finder import Finder

from fw_gear_dicom_send.batch.models import NewJob, StoredFile
from fw_gear_dicom_send.models import Container
from tests.support.flywheel_site import FlywheelSite
from tests.support.sdk_world import World, sdk_world

NOW = datetime.now(UTC)
CONFIG = {"destination": "pacs", "called_ae": "ARCHIVE", "port": 11112}
ASKED_BY_THE_SDK_ALONE = ("/api/version", "/api/config", "/api/auth/status")


@pytest.fixture
def world(site: FlywheelSite) -> Iterator[World]:
    with sdk_world(site) as made:
        yield made


def recorded(world: World, ask: Callable[[], object]) -> list[tuple[object, ...]]:
    """Return the requests received by the site."""
    world.site.requests.clear()
    ask()
    return [
        (one.method, one.path, dict(one.query), json.loads(one.body) if one.body else None)
        for one in world.site.requests
        if one.path not in ASKED_BY_THE_SDK_ALONE
    ]


Asks = Callable[[World], object]

SAME: dict[str, tuple[Asks, Asks]] = {
    "newest gear": (lambda w: w.fw.lookup("gears/dicom-send"), lambda w: w.api.gear()),
    "gear version": (
        lambda w: w.fw.lookup("gears/dicom-send/5.0.0"),
        lambda w: w.api.gear("5.0.0"),
    ),
    "project by path": (
        lambda w: w.fw.lookup("lab/Study"),
        lambda w: w.api.container("project", "lab/Study"),
    ),
    "subject by path": (
        lambda w: w.fw.lookup("lab/Study/S1"),
        lambda w: w.api.container("subject", "lab/Study/S1"),
    ),
    "project by id": (
        lambda w: w.fw.get_project(w.project),
        lambda w: w.api.container("project", w.project),
    ),
    "subject by id": (
        lambda w: w.fw.get_subject(w.subject),
        lambda w: w.api.container("subject", w.subject),
    ),
    "acquisition of a session": (
        lambda w: [w.fw.get_acquisition(w.acquisition), w.fw.get_session(w.session)],
        lambda w: w.api.place_of(Container("acquisition", w.acquisition)),
    ),
    "project with its files": (
        lambda w: w.fw.get_project(w.project),
        lambda w: w.api.project(w.project),
    ),
    "session": (lambda w: w.fw.get_session(w.session), lambda w: w.api.session(w.session)),
    "acquisitions of sessions": (
        lambda w: [
            w.fw.get_session(w.session),
            *Finder(w.fw, "get_project_acquisitions", w.project).iter_find(
                f"parents.session=|[{w.session},{w.session}]"
            ),
        ],
        lambda w: list(w.api.files_below([w.api.session(w.session)] * 2)),
    ),
    "acquisitions of a session": (
        lambda w: list(w.fw.get_session(w.session).acquisitions.iter()),
        lambda w: list(w.api.files_below([w.api.session(w.session)])),
    ),
    "information of a session": (
        lambda w: w.fw.get_session(w.session),
        lambda w: w.api.info(w.session),
    ),
    "sessions of a project": (
        lambda w: list(w.fw.get_project(w.project).sessions.iter_find("label=~Visit")),
        lambda w: [
            w.api.container("project", w.project),
            *w.api.sessions_of("project", w.project, "label=~Visit"),
        ],
    ),
    "sessions of a subject": (
        lambda w: list(w.fw.get_subject(w.subject).sessions.iter()),
        lambda w: [
            w.api.container("subject", w.subject),
            *w.api.sessions_of("subject", w.subject, ""),
        ],
    ),
    "batches": (lambda w: w.fw.get_all_batches(), lambda w: list(w.api.batches())),
    "jobs of a project": (
        lambda w: list(
            w.fw.jobs.iter_find(
                f"parents.project={w.project}", "gear_info.name=~^(dicom-send|dicom-send-rule)$"
            )
        ),
        lambda w: w.api.jobs_of(w.project),
    ),
    "own jobs of a project": (
        lambda w: w.fw.get_current_user_jobs(
            filter=f"parents.project={w.project},gear_info.name=~^(dicom-send|dicom-send-rule)$",
            limit=250,
        ),
        lambda w: w.api.own_jobs_of(w.project),
    ),
    "jobs on a session": (
        lambda w: w.fw.get_session_jobs(w.session, limit=250),
        lambda w: w.api.jobs_on(w.session),
    ),
    "report": (
        lambda w: w.fw.download_file_from_session_as_data(w.session, "a report.csv"),
        lambda w: w.api.read(StoredFile(Container("session", w.session), "a report.csv", NOW)),
    ),
}


@pytest.mark.parametrize("name", SAME)
def test_read_requests_equal_those_of_the_sdk(world: World, name: str) -> None:
    """A read request has the same path, query and body."""
    theirs, ours = SAME[name]
    assert recorded(world, lambda: ours(world)) == recorded(world, lambda: theirs(world))
    assert world.site.requests


def test_proposal_equals_that_of_the_sdk(world: World) -> None:
    """A batch is created with the same body, with files of the project as inputs."""
    plan = world.plan()
    ours = recorded(world, lambda: world.api.create(plan.jobs(1)))
    assert ours == recorded(world, world.batch)
    assert ours[0][:2] == ("POST", "/api/batch/jobs")


def _input_job(world: World, batch_id: str) -> Any:
    """Return the SDK's job for the session, as one more of a batch."""
    (job,) = world.proposal().jobs
    job.batch = batch_id
    return job


CHANGES: dict[str, tuple[Callable[[World], str], Callable[[World, str], object], Any]] = {
    "run": (World.batch, lambda w, one: w.fw.start_batch(one), lambda w, one: w.api.start(one)),
    "batch with its jobs": (
        World.started,
        lambda w, one: w.fw.get_batch(one, jobs=True),
        lambda w, one: w.api.get(one),
    ),
    "cancel": (
        World.started,
        lambda w, one: w.fw.cancel_batch(one),
        lambda w, one: w.api.cancel(one),
    ),
    "cancel a job": (
        World.running_job,
        lambda w, one: w.fw.change_job_state(one, "cancelled"),
        lambda w, one: w.api.cancel_job(one),
    ),
    "add a job": (
        World.started,
        lambda w, one: w.fw.add_job(_input_job(w, one)),
        lambda w, one: w.api.add(
            one, NewJob(w.gear, CONFIG, {"key": "key.pem"}, ("hpc",), w.session, w.project)
        ),
    ),
    "retry": (
        World.failed_job,
        lambda w, one: w.fw.retry_job(one),
        lambda w, one: w.api.retry(one),
    ),
}


@pytest.mark.parametrize("name", CHANGES)
def test_change_requests_equal_those_of_the_sdk(world: World, name: str) -> None:
    """A request that changes something has the same path, query and body."""
    prepare, theirs, ours = CHANGES[name]
    first, second = prepare(world), prepare(world)
    mine = recorded(world, lambda: ours(world, first))
    others = recorded(world, lambda: theirs(world, second))
    assert mine == [_with(request, second, first) for request in others]


def _with(request: tuple[object, ...], old: str, new: str) -> tuple[object, ...]:
    return tuple(json.loads(json.dumps(request).replace(old, new)))


def test_responses_are_read_like_in_the_sdk(world: World) -> None:
    """Ids, states and counts are those that the SDK reads from the responses."""
    batch_id = world.started()
    theirs, ours = world.fw.get_batch(batch_id), world.api.get(batch_id)
    assert (ours.id, ours.state) == (theirs.id, theirs.state)
    assert [job.id for job in ours.jobs] == theirs.jobs
    (job,) = ours.jobs
    same = world.fw.get_job(job.id)
    assert (job.id, job.state, job.attempt, job.created) == (
        same.id,
        same.state,
        same.attempt,
        same.created,
    )
    assert job.container.id == same.destination.id == world.session
    assert job.config["port"] == same.config["config"]["port"]
    assert [one.id for one in world.api.jobs_of(world.project) or ()] == [job.id]
    gear = world.fw.lookup("gears/dicom-send")
    assert (world.api.gear().id, world.api.gear().version) == (gear.id, gear.gear.version)
    assert world.api.cancel(batch_id) == 1


def test_key_is_sent_like_in_the_sdk(world: World) -> None:
    """The key is in one header and in no URL."""
    world.site.requests.clear()
    world.api.session(world.session)
    (request,) = world.site.requests
    assert [name for name, value in request.headers.items() if "secret" in value] == [
        "Authorization"
    ]
