"""Selection of the sessions of a batch."""

import io
from typing import Any

import pytest

from fw_gear_dicom_send.batch.api import BatchAPI
from fw_gear_dicom_send.errors import SiteError
from fw_gear_dicom_send.retry import ONCE
from tests.support.batch_world import FAILED, GOOD, TO, World
from tests.support.flywheel_engine import Endless
from tests.support.flywheel_http import Status
from tests.support.flywheel_site import FlywheelSite

pytestmark = pytest.mark.slow


@pytest.fixture
def months(world: World) -> World:
    """Four sessions in four months, some with tags, one without a time."""
    world.add("Visit 1", timestamp="2024-01-10T08:00:00+00:00", tags=["odd", "ready"])
    world.add("Visit 2", timestamp="2024-02-10T08:00:00+00:00", tags=["ready"])
    world.add("Visit 3, again", timestamp="2024-03-10T23:59:59+00:00", tags=["odd"])
    world.add("2024")
    world.add("Visit gone", deleted=True)
    return world


ALL = ["Visit 1", "Visit 2", "Visit 3, again", "2024"]


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ([], ALL),
        (["--label", "^Visit"], ALL[:3]),
        (["--label", "[12]$"], ALL[:2]),
        (["--label", "3, a"], ALL[2:3]),
        (["--label", "2024"], ALL[3:]),
        (["--label", "(?!.*1)V"], ALL[1:3]),
        (["--since", "2024-02-10"], ALL[1:3]),
        (["--until", "2024-02-10"], ALL[:2]),
        (["--since", "2024-01-11", "--until", "2024-03-10"], ALL[1:3]),
        (["--until", "2024-03-09"], ALL[:2]),
        (["--tag", "odd"], [ALL[0], ALL[2]]),
        (["--tag", "odd", "--tag", "ready"], ALL[:1]),
        (["--tag", "odd", "--since", "2024-02-01", "--label", "Visit"], ALL[2:3]),
    ],
)
@pytest.mark.parametrize("filters_at_the_site", [True, False])
def test_filters_choose_sessions(
    months: World,
    filters: list[str],
    found: list[str],
    filters_at_the_site: bool,
) -> None:
    """A session must match all filters, whether or not the site applies them."""
    if not filters_at_the_site:
        months.site.applies_filters = False
    months.start("--no-follow", *filters)
    assert months.labels() == found


@pytest.mark.parametrize(
    ("filters", "asked"),
    [
        (["--label", "^Visit"], "label=~^Visit"),
        (["--label", "1, 2"], None),
        (["--label", "2024"], None),
        (["--tag", "odd", "--tag", "ready"], "tags=odd"),
        (
            ["--since", "2024-02-10", "--until", "2024-02-10"],
            "timestamp>=2024-02-09,timestamp<2024-02-12",
        ),
    ],
)
def test_site_filters_as_far_as_it_can(
    months: World, filters: list[str], asked: str | None
) -> None:
    """Filters are passed to the site unless it would misinterpret them."""
    months.start("--no-follow", *filters)
    (query, *_) = [one.query for one in months.site.requests if one.path.endswith("/sessions")]
    assert query.get("filter") == asked


@pytest.mark.parametrize("filters_at_the_site", [True, False])
def test_sessions_without_a_day_are_counted(
    months: World, caplog: pytest.LogCaptureFixture, filters_at_the_site: bool
) -> None:
    """With a date filter, the output counts otherwise matching sessions without a date."""
    months.site.applies_filters = filters_at_the_site
    months.add("Visit without a day", tags=["odd"])
    for filters, message in (
        (["--since", "2024-02-10"], 2),
        (["--until", "2024-02-10", "--tag", "odd"], 1),
        (["--since", "2030-01-01", "--label", "Visit 1"], 0),
        ([], 0),
    ):
        caplog.clear()
        months.start("--no-follow", *filters)
        line = f"Skipped (no scan date): {message}"
        assert (line in caplog.text) is bool(message)
        assert ("no scan date" in caplog.text) is bool(message)


def test_day_is_in_the_time_zone_of_the_scanner(world: World) -> None:
    """A scan late in the evening in New York counts for that day, although UTC is a day ahead."""
    session = world.add("Visit 1", timestamp="2024-01-11T02:00:00+00:00")
    world.site.containers[session]["timezone"] = "America/New_York"
    assert world.start("--no-follow", "--since", "2024-01-11") == 1
    assert world.start("--no-follow", "--until", "2024-01-10") == 0


def test_list_of_sessions_is_complete(world: World) -> None:
    """A project with more sessions than one page is requested page by page."""
    world.site.page_limit = 2
    world.prepare(*(f"Visit {number}" for number in range(5)))
    assert len(world.labels()) == 5


@pytest.mark.parametrize("place", ["lab/Study", "lab/Study/<id:{}>"])
def test_admin_sends_projects_of_other_users(world: World, place: str) -> None:
    """A site admin who is not a member of a project finds it, its subjects and their sessions."""
    world.site.is_admin, world.site.is_member = True, False
    session = world.add("Visit 1")
    subject = world.site.containers[session]["parents"]["subject"]
    kind = "--subject" if "{" in place else "--project"
    arguments = ("start", kind, place.format(subject), *TO, "--yes", "--no-follow")
    assert world.run(*arguments) == 0
    assert world.labels() == ["Visit 1"]


@pytest.mark.parametrize("by_id", [False, True])
def test_project_and_subject_are_found_by_path_and_id(world: World, by_id: bool) -> None:
    """A project or a subject is given by its path or its id."""
    first = world.add("Visit 1", "S1")
    world.add("Visit 2", "S2")
    subject = world.site.containers[first]["parents"]["subject"]
    places = {"--project": "lab/Study", "--subject": "lab/Study/S1"}
    if by_id:
        places = {"--project": world.project, "--subject": subject}
    for option, place in places.items():
        assert world.run("start", option, place, *TO, "--yes", "--no-follow") == 0
    first_batch, second_batch = world.site.batches.values()
    assert len(first_batch["jobs"]) == 2
    assert len(second_batch["jobs"]) == 1


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["--project", "lab/Nothing"], "--project: the site has no project 'lab/Nothing'"),
        (["--project", "5f"], "--project: the site has no project '5f'"),
        (["--subject", "lab/Study/S2"], "--subject: the site has no subject 'lab/Study/S2'"),
        (["--session", "abc"], "--session: the site has no session 'abc'"),
        (["--gear-version", "9.9.9"], "the site has no gear 'dicom-send 9.9.9'"),
    ],
)
def test_missing_container_is_reported(
    world: World, caplog: pytest.LogCaptureFixture, given: list[str], message: str
) -> None:
    """The error names the option and the value."""
    world.add("Visit 1")
    place = [] if given[0] != "--gear-version" else ["--project", "lab/Study"]
    assert world.run("start", *place, *given, *TO, "--yes") == 2
    assert message in caplog.text
    assert world.site.batches == {}


def test_wrong_kind_of_container_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A path to another kind of container is not a project."""
    world.add("Visit 1")
    assert world.run("start", "--project", "lab/Study/DOE^JANE", *TO, "--yes") == 2
    assert "--project: 'lab/Study/DOE^JANE' is not a project; its type is subject" in caplog.text
    assert world.site.batches == {}


def test_sessions_are_given_by_id(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Ids come from options, a file with comments or standard input; duplicates count once."""
    ids = [world.add(label) for label in ("Visit 1", "Visit 2", "Visit 3")]
    text = f"# chosen\n{ids[2]}  # the last\n\n{ids[0]}\n{ids[2]}\n"
    listed = world.folder / "ids.txt"
    listed.write_text(text)
    more = (*TO, "--yes", "--no-follow")
    assert world.run("start", "--session", ids[0], "--session", ids[1], *more) == 0
    assert world.labels() == ["Visit 1", "Visit 2"]
    assert world.run("start", "--sessions-file", listed, *more) == 0
    assert world.labels() == ["Visit 3", "Visit 1"]
    unknown = world.folder / "unknown.txt"
    unknown.write_text("5f\n")
    assert world.run("start", "--sessions-file", unknown, *more) == 2
    assert "--sessions-file: the site has no session '5f'" in caplog.text
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert world.run("start", "--sessions-file", "-", "--label", "1", *more) == 0
    assert world.labels() == ["Visit 1"]


@pytest.mark.parametrize("is_admin", [True, False])
@pytest.mark.parametrize(
    ("ended", "options", "is_left"),
    [
        (GOOD, (), False),
        (None, (), False),
        (Endless(), (), False),
        (FAILED, (), True),
        (GOOD, ("--dry-run",), True),
        (GOOD, ("--port", "105"), True),
        (GOOD, ("--port", "104"), False),
        (GOOD, ("--called-ae", "OTHER"), True),
        (GOOD, ("--destination", "other"), True),
        (GOOD, ("--destination", "PACS.example.org"), False),
        (GOOD, ("--calling-ae", "ME"), False),
    ],
)
def test_sent_sessions_are_left_out(
    world: World, ended: Any, options: tuple[str, ...], is_left: bool, is_admin: bool
) -> None:
    """A session with a complete or unfinished job for the same server is left out."""
    world.site.is_admin = is_admin
    world.prepare("Visit 1")
    world.site.batches.clear()
    world.site.jobs.clear()
    assert world.start("--no-follow", *options) == 0
    if isinstance(ended, Endless):
        world.site.queue.take()
    elif ended:
        world.ended(lambda _: ended)
    world.add("Visit 2")
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == (["Visit 1", "Visit 2"] if is_left else ["Visit 2"])


@pytest.mark.parametrize("is_shown", [True, False])
def test_jobs_of_other_users_are_found_by_their_sessions(
    world: World, caplog: pytest.LogCaptureFixture, is_shown: bool
) -> None:
    """An ordinary user finds other users' jobs through each session, if the site shows them."""
    world.prepare("Visit 1", "Visit 2")
    world.ended(lambda job: GOOD if world.label_of(job) == "Visit 1" else FAILED)
    for job in world.site.jobs.values():
        job["origin"] = {"type": "user", "id": "other@example.org"}
    if not is_shown:
        for label in ("Visit 1", "Visit 2"):
            world.site.fault(f"{world.session_of(label)}/jobs", Status(403))
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == (["Visit 2"] if is_shown else ["Visit 1", "Visit 2"])
    assert ("does not show the jobs of other users on 2 sessions" in caplog.text) is not is_shown


@pytest.mark.parametrize("options", [(), ("--sent-tag", "at-pacs"), ("--sent-tag", "")])
def test_tag_alone_does_not_mean_sent(world: World, options: tuple[str, ...]) -> None:
    """A tag names neither the server nor the files, so a session without a job or mark is sent."""
    for number, tag in ((1, "dicom-send"), (2, "at-pacs"), (3, "ready")):
        world.add(f"Visit {number}", tags=[tag])
    assert world.start("--no-follow", "--not-yet-sent", *options) == 0
    assert world.labels() == ["Visit 1", "Visit 2", "Visit 3"]


def test_jobs_of_the_gear_for_rules_count(world: World) -> None:
    """A session that was sent by the same gear under its other name is left out."""
    world.prepare("Visit 1")
    (job,) = world.site.jobs.values()
    job["gear_info"]["name"] = "dicom-send-rule"
    world.add("Visit 2")
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == ["Visit 2"]


def test_jobs_of_other_gears_and_containers_do_not_count(world: World) -> None:
    """Only a job of this gear on the session itself counts."""
    world.site.applies_filters = False
    world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    other, on_an_acquisition = world.site.jobs.values()
    other["gear_info"]["name"] = "dicom-send-else"
    on_an_acquisition["destination"] = {"type": "acquisition", "id": "0"}
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == ["Visit 1", "Visit 2"]


def test_empty_selection_is_reported(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """It is success if all were sent, and failure if none matches; neither creates a batch."""
    world.prepare("Visit 1")
    assert world.start("--not-yet-sent") == 0
    assert "All sessions were sent already" in caplog.text
    assert world.start("--label", "nothing") == 1
    assert "No session matches" in caplog.text
    assert len(world.site.batches) == 1


def test_a_site_that_fails_to_list_jobs_has_not_refused_the_list(site: FlywheelSite) -> None:
    """A refused list is None, so other lists are queried; any other failure is raised."""
    api = BatchAPI(site.api_key, ONCE)
    site.fault("any", Status(403), Status(503))
    assert api.jobs_of("any") is None
    with pytest.raises(SiteError, match="503"):
        api.jobs_of("any")
