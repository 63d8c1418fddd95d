"""docs/flywheel.md lists each request of the gear and of batches with its SDK call."""

import io
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import flywheel
    from flywheel.finder import Finder

from tests.batch.test_requests import CHANGES, SAME
from tests.support.flywheel_http import Replace, Request
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear_runs import gear_on
from tests.support.pacs import PythonSCP
from tests.support.request_table import Row, is_ours, pruned, row_of, rows, unlisted
from tests.support.sample_files import encoded, made
from tests.support.sdk_world import World, sdk_world

pytestmark = pytest.mark.slow

NAME = "a b.dcm"
FILES = {"acquisitions of sessions", "acquisitions of a session"}


@pytest.fixture
def world(site: FlywheelSite) -> Iterator[World]:
    with sdk_world(site) as found:
        yield found


def rows_of(requests: list[Request]) -> set[str]:
    found = [row_of(request) for request in requests if is_ours(request)]
    return {row.request for row in found if row}


def rows_by(who: str) -> set[str]:
    return {row.request for row in rows() if who in row.by}


def test_each_row_has_its_own_request() -> None:
    """No request is in the table twice."""
    assert len({row.request for row in rows()}) == len(rows()) > 20


def test_rows_match_the_requests_of_batches() -> None:
    """Batches make exactly the requests that the table lists for them."""
    asks: list[Callable[[World], list[Request]]] = [_new_batch, _later_questions]
    asks += [partial(_question, ours) for _, ours in SAME.values()]
    asks += [partial(_change, prepare, ours) for prepare, _, ours in CHANGES.values()]
    requests: list[Request] = []
    for ask in asks:
        with FlywheelSite() as site, sdk_world(site) as world:
            requests += ask(world)
    assert unlisted(requests) == set()
    assert rows_of(requests) == rows_by("batch")


def _question(ours: Callable[[World], object], world: World) -> list[Request]:
    world.site.requests.clear()
    ours(world)
    return world.site.requests


def _change(
    prepare: Callable[[World], str], ours: Callable[[World, str], object], world: World
) -> list[Request]:
    one = prepare(world)
    world.site.requests.clear()
    ours(world, one)
    return world.site.requests


def _new_batch(world: World) -> list[Request]:
    world.api.create(world.plan().jobs(1))
    return world.site.requests


def _later_questions(world: World) -> list[Request]:
    """Return requests about a failed job, an unlisted job and a storage."""
    site, api = world.site, world.api
    batch_id = world.started()
    site.queue.take()
    (job,) = api.get(batch_id).jobs
    site.queue.end(job.id, "failed")
    site.requests.clear()
    (job,) = api.get(batch_id).jobs
    api.describe(job)
    api.retry(job.id)
    site.lists_jobs = False
    api.get(batch_id)
    site.signed_url = True
    SAME["report"][1](world)
    return site.requests


def test_rows_match_the_requests_of_the_gear(
    tmp_path: Path, world: World, python_scp: PythonSCP
) -> None:
    """Gear runs make exactly the requests that the table lists for them."""
    site = world.site
    file_id = site.add_file(world.acquisition, NAME, encoded(made(1)))
    site.fault(file_id, Replace(encoded(made(2))))
    requests: list[Request] = []
    for number, (kind, container, signed) in enumerate(
        [
            ("subject", world.subject, False),
            ("session", world.session, True),
            ("acquisition", world.acquisition, True),
        ]
    ):
        site.requests.clear()
        site.signed_url = signed
        gear = gear_on(tmp_path / str(number), site, python_scp.port, container, kind)
        result = gear.run()
        assert result.exit_code == 0, result.log
        requests += site.requests
    requests += marking_requests(tmp_path, world, python_scp.port)
    assert unlisted(requests) == set()
    assert rows_of(requests) == rows_by("gear")


def marking_requests(folder: Path, world: World, port: int) -> list[Request]:
    """Return the requests of runs on a file and on a container of an old site, and on a file."""
    site, content, name = world.site, encoded(made(1)), "b.dcm"
    site.add_file(world.acquisition, name, content)
    site.requests.clear()
    for number, (is_old, is_on_file) in enumerate([(True, True), (True, False), (False, True)]):
        site.is_old = is_old
        gear = gear_on(folder / f"m{number}", site, port, world.acquisition, "acquisition")
        if is_on_file:
            gear.give(name, content, parent_id=world.acquisition)
        assert gear.run().exit_code == 0
    return site.requests


@pytest.mark.parametrize(
    "row", [row for row in rows() if row.call != "none"], ids=lambda row: row.request
)
def test_sdk_call_of_each_row_makes_its_request(world: World, row: Row) -> None:
    """The SDK call in the last column makes the request in the first column."""
    site = world.site
    file_id = site.add_file(world.acquisition, NAME, b"image")
    spec = flywheel.FileSpec("r.csv", io.BytesIO(b"a,b"), size=3)
    names: dict[str, Any] = {
        "Finder": Finder,
        "file": file_id,
        "fw": world.fw,
        "name": NAME,
        "spec": spec,
        **{name: getattr(world, name) for name in ("project", "subject", "session", "acquisition")},
    }
    makers = {
        "batch": world.batch,
        "started": world.started,
        "running": world.running_job,
        "failed": world.failed_job,
        "proposal": world.proposal,
    }
    names |= {name: make() for name, make in makers.items() if name in row.call}
    site.signed_url = "signed" in row.request or "ticket" in row.request
    site.requests.clear()
    eval(row.call, names)
    assert any(row.fits(request) for request in site.requests), site.requests


@pytest.mark.parametrize("name", sorted(SAME.keys() - FILES))
def test_batches_need_no_other_fields(world: World, name: str) -> None:
    """Batches read the same from responses with only the listed fields.

    They pass on the file records of the sessions' acquisitions.
    """
    world.api.retry(world.failed_job())
    world.site.add_file(world.acquisition, NAME, b"1")
    for container in (world.session, world.acquisition):
        world.site.containers[container]["tags"] = ["seen"]
    ours = SAME[name][1]
    before = ours(world)
    world.site.pruned = pruned
    assert ours(world) == before


@pytest.mark.parametrize("name", CHANGES)
def test_changes_need_no_other_fields(world: World, name: str) -> None:
    """A batch makes and reports its changes with such responses, too."""
    prepare, _, ours = CHANGES[name]
    one = prepare(world)
    world.site.pruned = pruned
    ours(world, one)


@pytest.mark.parametrize("signed_url", [False, True])
@pytest.mark.parametrize("kind", ["subject", "session", "acquisition"])
def test_the_gear_needs_no_other_fields(
    tmp_path: Path, world: World, python_scp: PythonSCP, kind: str, signed_url: bool
) -> None:
    """A run succeeds on a site that returns only the listed fields."""
    site = world.site
    site.pruned, site.signed_url = pruned, signed_url
    file_id = site.add_file(world.acquisition, NAME, encoded(made(1)))
    site.fault(file_id, Replace(encoded(made(2))))
    gear = gear_on(tmp_path, site, python_scp.port, getattr(world, kind), kind)
    result = gear.run()
    assert result.exit_code == 0, result.log
    assert len(python_scp.stored) == len(site.reports) == 1
    assert bool(site.requested("PUT")) == signed_url
