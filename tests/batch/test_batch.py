"""`dicom-send-batch` on a stand-in Flywheel site: which sessions, what runs, and what it tells."""

import csv
import io
import json
import logging
import signal
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from fw_gear_dicom_send.batch import follow, main
from fw_gear_dicom_send.config import manifest
from fw_gear_dicom_send.report.files_csv import COLUMNS
from tests.support import command, flywheel_site
from tests.support.flywheel_engine import Endless, FlywheelEngine, Played
from tests.support.flywheel_lists import Record, Refusal
from tests.support.flywheel_site import Flip, FlywheelSite, Reset, Stall, Status

TO = ("--destination", "pacs.example.org", "--called-ae", "ARCHIVE")
ROW = ("a1", "lab/Study/S/v/T1/files/t.zip", "t.zip", 5, 5, "Complete")
GOOD = Played(report=[ROW])
FINE = Stall(0)
"""No fault: the answer comes as it is."""
FAILED = Played("failed")
script = partial(command.run, "dicom-send-batch")
on_terminal = partial(command.run_on_terminal, "dicom-send-batch")


class World:
    """A site with a project of sessions, and a user that runs the command in this process."""

    def __init__(self, site: FlywheelSite, folder: Path) -> None:
        self.site = site
        self.folder = folder
        self.gear = site.add_gear(manifest())
        self.project = site.add_project(site.add_group("lab"), "Study")
        self.key_file = folder / "user.json"
        self.key_file.write_text(json.dumps({"key": site.api_key}))

    def add(self, label: str, subject: str = "DOE^JANE", **more: Any) -> str:
        """Add a session with its own subject."""
        return self.site.add_session(self.site.add_subject(self.project, subject), label, **more)

    def arguments(self, *arguments: object) -> list[str]:
        """Return a command line with the key, in short intervals."""
        name, *rest = map(str, arguments)
        more = ["--api-key-file", str(self.key_file)]
        if name != "stop":
            more += ["--report-folder", str(self.folder / "out")]
        if name not in ("stop", "gather"):
            more += ["--interval", "0.02"]
        return [name, *rest, *more]

    def run(self, *arguments: object) -> int:
        """Run the command and return its exit code."""
        return main.main(self.arguments(*arguments))

    def start(self, *arguments: object) -> int:
        """Start a batch on the project."""
        return self.run("start", "--project", "lab/Study", *TO, "--yes", *arguments)

    def prepare(self, *labels: str) -> str:
        """Add sessions, start a batch on them and return its id; no job runs yet."""
        for label in labels:
            self.add(label)
        assert self.start("--no-follow") == 0
        return list(self.site.batches)[-1]

    def proposed(self) -> list[Record]:
        """Return the jobs of the newest batch as they were proposed."""
        batch = list(self.site.batches.values())[-1]
        jobs: list[Record] = batch["proposal"]["preconstructed_jobs"]
        return jobs

    def labels(self) -> list[str]:
        """Return the labels of the sessions that the newest batch is for."""
        if not self.site.batches:
            return []
        ids = [job["destination"]["id"] for job in self.proposed()]
        return [self.site.containers[one]["label"] for one in ids]

    def rows(self, batch_id: str) -> list[dict[str, str]]:
        """Return the rows of the table that was gathered."""
        text = (self.folder / "out" / f"dicom-send_batch-{batch_id}.csv").read_text()
        return list(csv.DictReader(io.StringIO(text)))

    def page(self, batch_id: str) -> str:
        """Return the page that was gathered."""
        return (self.folder / "out" / f"dicom-send_batch-{batch_id}.html").read_text()

    def ended(self, outcome: Callable[[Record], Any]) -> None:
        """Let all jobs run to their end."""
        with FlywheelEngine(self.site, self.folder / "jobs", outcome=outcome) as engine:
            engine.wait()

    def session_of(self, label: str) -> str:
        """Return the id of the session with a label."""
        containers = self.site.containers.values()
        (found,) = (one["_id"] for one in containers if one.get("label") == label)
        return str(found)

    def label_of(self, job: Record) -> str:
        """Return the label of a job's session."""
        return str(self.site.containers[job["destination"]["id"]]["label"])


@pytest.fixture
def world(site: FlywheelSite, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Iterator[World]:
    caplog.set_level(logging.INFO)
    handlers = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield World(site, tmp_path)
    for number, handler in handlers.items():
        signal.signal(number, handler)


def posts(site: FlywheelSite, end: str) -> list[str]:
    """Return the POSTs to paths with an end."""
    return [path for path in site.asked("POST") if path.endswith(end)]


def ignore_filters(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the site give all that a list has, whatever is searched for."""
    selected = flywheel_site.selected
    monkeypatch.setattr(
        flywheel_site,
        "selected",
        lambda records, query, **how: selected(records, {**query, "filter": ""}, **how),
    )


# Which sessions


@pytest.fixture
def months(world: World) -> World:
    """Four sessions of four months, some with tags, one without time."""
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
    monkeypatch: pytest.MonkeyPatch,
    filters: list[str],
    found: list[str],
    filters_at_the_site: bool,
) -> None:
    """A session has to fit all filters, whether or not the site heeds what it is asked for."""
    if not filters_at_the_site:
        ignore_filters(monkeypatch)
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
def test_site_is_asked_for_what_it_can_tell(
    months: World, filters: list[str], asked: str | None
) -> None:
    """Filters are the site's work where it would not misread them."""
    months.start("--no-follow", *filters)
    (query, *_) = [one.query for one in months.site.requests if one.path.endswith("/sessions")]
    assert query.get("filter") == asked


def test_day_is_that_of_the_scanner(world: World) -> None:
    """A scan late in the evening of New York is of that day, though it is the next one in UTC."""
    session = world.add("Visit 1", timestamp="2024-01-11T02:00:00+00:00")
    world.site.containers[session]["timezone"] = "America/New_York"
    assert world.start("--no-follow", "--since", "2024-01-11") == 1
    assert world.start("--no-follow", "--until", "2024-01-10") == 0


def test_list_of_sessions_comes_whole(world: World) -> None:
    """A project with more sessions than the site gives at once is asked for page by page."""
    world.site.page_limit = 2
    world.prepare(*(f"Visit {number}" for number in range(5)))
    assert len(world.labels()) == 5


@pytest.mark.parametrize("by_id", [False, True])
def test_project_and_subject_are_found_by_path_and_id(world: World, by_id: bool) -> None:
    """A project or a subject is named by its path or its id."""
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
    ("given", "told"),
    [
        (["--project", "lab/Nothing"], "--project: there is nothing at that path"),
        (["--subject", "lab/Study/DOE^JOHN"], "--subject: there is nothing at that path"),
        (["--gear-version", "9.9.9"], "the site has no gear dicom-send 9.9.9"),
    ],
)
def test_what_is_not_on_the_site_is_told(
    world: World, caplog: pytest.LogCaptureFixture, given: list[str], told: str
) -> None:
    """A slip is told by its option, without the name of a subject."""
    world.add("Visit 1")
    place = [] if given[0] != "--gear-version" else ["--project", "lab/Study"]
    assert world.run("start", *place, *given, *TO, "--yes") == 1
    assert told in caplog.text
    assert "JOHN" not in caplog.text
    assert world.site.batches == {}


def test_wrong_kind_of_container_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A path to something else is no project."""
    world.add("Visit 1")
    assert world.run("start", "--project", "lab/Study/DOE^JANE", *TO, "--yes") == 1
    assert "--project: what is at that path is a subject" in caplog.text
    assert world.site.batches == {}


def test_sessions_are_given_by_their_ids(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ids come as options, in a file with comments, or on standard input; each counts once."""
    ids = [world.add(label) for label in ("Visit 1", "Visit 2", "Visit 3")]
    text = f"# chosen\n{ids[2]}  # the last\n\n{ids[0]}\n{ids[2]}\n"
    listed = world.folder / "ids.txt"
    listed.write_text(text)
    more = (*TO, "--yes", "--no-follow")
    assert world.run("start", "--session", ids[0], "--session", ids[1], *more) == 0
    assert world.labels() == ["Visit 1", "Visit 2"]
    assert world.run("start", "--sessions-file", listed, *more) == 0
    assert world.labels() == ["Visit 3", "Visit 1"]
    monkeypatch.setattr("sys.stdin", io.StringIO(text))
    assert world.run("start", "--sessions-file", "-", "--label", "1", *more) == 0
    assert world.labels() == ["Visit 1"]


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
def test_sessions_that_have_been_sent_are_left_out(
    world: World, ended: Any, options: tuple[str, ...], is_left: bool
) -> None:
    """A job that is complete, or may become it, to the same server leaves its session out."""
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


def test_jobs_of_other_gears_and_containers_do_not_count(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only a job of this gear on the session itself has sent it."""
    ignore_filters(monkeypatch)
    world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    other, on_an_acquisition = world.site.jobs.values()
    other["gear_info"]["name"] = "dicom-send-else"
    on_an_acquisition["destination"] = {"type": "acquisition", "id": "0"}
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == ["Visit 1", "Visit 2"]


def test_nothing_to_do_is_told(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """All sent already is success, no session that fits is not; neither makes a batch."""
    world.prepare("Visit 1")
    assert world.start("--not-yet-sent") == 0
    assert "All have been sent already" in caplog.text
    assert world.start("--label", "nothing") == 1
    assert "No session fits" in caplog.text
    assert len(world.site.batches) == 1


# What would run


def test_plan_is_shown_before_it_is_asked_for(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Gear, server, options, sessions and what is left out are told; without a yes nothing runs."""
    world.add("Sent")
    assert world.start("--no-follow", "--port", "11112") == 0
    for number in range(22):
        world.add(f"Visit {number}")
    caplog.clear()
    options = ("--not-yet-sent", "--port", "11112", "--verify", "find", "--no-instance-report")
    assert world.run("start", "--project", "lab/Study", *TO, *options) == 1
    lines = [record.getMessage() for record in caplog.records]
    assert lines[:4] == [
        "Gear: dicom-send 0.1.0",
        "Destination: ARCHIVE at pacs.example.org, port 11112",
        "Options: --no-instance-report, --verify find",
        "Sessions: 22",
    ]
    assert lines[4].startswith("  lab/Study: Visit 0 (")
    assert lines[24:26] == ["  and 2 more", "Left out, as already sent: 1"]
    assert "--yes" in lines[-1]
    assert len(world.site.batches) == 1


def test_label_stays_on_its_line(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A label does nothing to a terminal and does not look like a line of the command."""
    batch_id = world.prepare("Visit\n1\x1b[2J")
    world.ended(lambda _: FAILED)
    world.run("retry", batch_id)
    assert caplog.text.count("Visit?1?[2J (") == 2
    assert "\x1b" not in caplog.text


def test_only_given_options_are_those_of_the_jobs(world: World) -> None:
    """The site's defaults hold for options that are not given."""
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


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["--project", "lab/Study"], "--destination is needed"),
        (["--project", "lab/Study", *TO, "--port", "0"], "--port: 0 was given"),
        (["--project", "lab/Study", *TO, "--group", "0x20"], "--group"),
        (["--project", "p/q", *TO, "--file-download-retry-time", "-1"], "--file-download-retry"),
        (["--project", "lab/Study", "--session", "1", *TO], "not allowed with"),
        ([*TO], "is required"),
        (["--project", "lab/Study", *TO, "--label", "("], "--label: it is no regular expression"),
        (["--project", "lab/Study", *TO, "--since", "May"], "--since: 'May' is no date"),
        (["--project", "lab/Study", *TO, "--tls-enabled"], "--key is needed"),
        (["--project", "lab/Study", *TO, "--key", "k.pem"], "--key is of use with --tls-enabled"),
        (["--project", "lab/Study", *TO, "--interval", "0"], "--interval: it is no number"),
        (["--sessions-file", "/nowhere", *TO], "--sessions-file: /nowhere: it cannot be read"),
    ],
)
def test_wrong_usage_is_told_before_the_site_is_asked(
    world: World, caplog: pytest.LogCaptureFixture, arguments: list[str], told: str
) -> None:
    """A command line that cannot be used ends it in one line, which names the option."""
    assert world.run("start", "--yes", *arguments) == 1
    assert told in caplog.text
    assert len(caplog.records) == 1
    assert world.site.requests == []


def test_option_that_the_sites_gear_lacks_is_refused(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An older gear on the site is told apart from the newest one, by what it knows."""
    older = manifest() | {"config": dict(manifest()["config"])}
    del older["config"]["verify"]
    world.site.add_gear(older, "0.0.9")
    world.add("Visit 1")
    assert world.start("--no-follow", "--verify", "find") == 1
    assert "--verify: dicom-send 0.0.9 on the site has no such" in caplog.text
    assert world.start("--no-follow", "--verify", "find", "--gear-version", "0.1.0") == 0
    assert world.proposed()[0]["gear_id"] == world.gear


def test_files_for_tls_are_those_of_the_project(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """Key and certificates become the jobs' inputs, if the project has them."""
    world.add("Visit 1")
    world.site.add_file(world.project, "k.pem", b"1", file_type=None)
    tls = ("--no-follow", "--tls-enabled", "--key", "k.pem", "--cert", "c.pem")
    assert world.start(*tls) == 1
    assert "--cert: lab/Study has no file 'c.pem'" in caplog.text
    world.site.add_file(world.project, "c.pem", b"1", file_type=None)
    assert world.start(*tls) == 0
    place = {"type": "project", "id": world.project}
    assert world.proposed()[0]["inputs"] == {
        "key": {**place, "name": "k.pem"},
        "cert": {**place, "name": "c.pem"},
    }


# To run and to follow


def test_jobs_are_run_and_followed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch is run once, followed by lines of counts, and its reports are gathered."""
    for number in range(3):
        world.add(f"Visit {number}")
    with FlywheelEngine(
        world.site, world.folder, outcome=lambda _: Played(seconds=0.1, report=[ROW])
    ):
        assert world.start() == 0
    lines = [record.getMessage() for record in caplog.records]
    counts = [line for line in lines if "jobs have ended" in line]
    assert counts[-1] == "3 of 3 jobs have ended: 3 complete"
    assert len(counts[:-1]) == len(set(counts[:-1])) >= 3
    (batch_id,) = world.site.batches
    assert f"dicom-send-batch follow {batch_id}" in caplog.text
    assert len(posts(world.site, "/run")) == len(posts(world.site, "/batch/jobs")) == 1
    assert len(world.rows(batch_id)) == 3


def next_batch(site: FlywheelSite) -> str:
    """Return the id that the next batch will have."""
    return f"{int(site.new_id(), 16) + 1:024x}"


def test_run_whose_answer_is_lost_is_not_repeated(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that was run, though the answer did not come, is followed and not run again."""
    world.add("Visit 1")
    world.site.fault(next_batch(world.site), Reset(), Flip())
    with FlywheelEngine(world.site, world.folder, outcome=lambda _: GOOD):
        assert world.start() == 0
    assert "the batch will tell" in caplog.text
    assert len(posts(world.site, "/run")) == 1


def test_batch_that_does_not_run_is_told(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A batch that stays pending is told with its id; it is not run once more."""
    monkeypatch.setattr(main, "RUN_PATIENCE", 0.1)
    monkeypatch.setattr(world.site.queue, "_run", lambda _: (_ for _ in ()).throw(Refusal(503)))
    world.add("Visit 1")
    assert world.start() == 1
    (batch_id,) = world.site.batches
    assert f"The batch {batch_id} does not run: POST" in caplog.records[-1].getMessage()
    assert len(posts(world.site, "/run")) == 1


def test_refused_run_is_final(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A site that refuses to run a batch is not asked whether it runs."""
    world.add("Visit 1")
    world.site.fault(next_batch(world.site), Status(403))
    assert world.start() == 1
    assert caplog.records[-1].getMessage().endswith("/run: 403 Forbidden")


def test_batch_that_was_never_run_is_offered(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A batch that was only created is run by follow, if that is wished."""
    batch_id = world.prepare("Visit 1")
    world.site.batches[batch_id] |= {"state": "pending", "jobs": []}
    world.site.jobs.clear()
    assert world.run("follow", batch_id) == 1
    assert "--yes" in caplog.text
    with FlywheelEngine(world.site, world.folder, outcome=lambda _: GOOD):
        assert world.run("follow", batch_id, "--yes") == 0


def test_site_that_does_not_answer_is_asked_again(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """An answer that cannot be read is told once, and asked for again."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    world.site.fault(batch_id, FINE, Flip(), Flip())
    assert world.run("follow", batch_id) == 0
    assert caplog.text.count("the site is asked again") == 1


def test_questions_are_asked_again_and_changes_are_not(world: World) -> None:
    """A server error is asked again by the client where nothing changes, and only there."""
    world.add("Visit 1")
    world.site.fault(world.project, Status(503))
    world.site.fault("jobs", Status(503))
    assert world.start("--no-follow", "--not-yet-sent") == 0
    world.site.fault("batch", Status(503))
    assert world.start("--no-follow") == 1
    assert len(posts(world.site, "/batch/jobs")) == 2


def test_site_that_is_away_for_long_is_given_up(
    world: World, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The command ends when the site is silent for too long; the batch can be taken up again."""
    monkeypatch.setattr(follow, "LONGEST_SILENCE", 0.1)
    batch_id = world.prepare("Visit 1")
    world.site.fault(batch_id, FINE, *[Flip()] * 1000)
    assert world.run("follow", batch_id) == 1
    assert f"goes on; to take it up again: dicom-send-batch follow {batch_id}" in caplog.text


def test_refused_answer_is_final(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A key that holds no longer, say, ends the command at once."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    world.site.fault(batch_id, FINE, Status(401))
    assert world.run("follow", batch_id) == 1
    assert f"GET /api/batch/{batch_id}: 401 Unauthorized" in caplog.text


def test_unknown_batch_is_told_at_once(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch that the site does not have is an error of one line, for each command."""
    for name in ("follow", "stop", "retry", "gather"):
        caplog.clear()
        assert world.run(name, "5f") == 1
        assert [record.getMessage() for record in caplog.records] == [
            "GET /api/batch/5f: 404 Not Found"
        ]


def test_batch_of_another_gear_is_refused(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch that another gear runs is neither followed nor stopped, run again or gathered."""
    batch_id = world.prepare("Visit 1")
    (job,) = world.site.jobs.values()
    job["gear_info"] = {"name": "dcm2niix"}
    for name in ("follow", "stop", "retry", "gather"):
        caplog.clear()
        assert world.run(name, batch_id, *(["--yes"] if name != "gather" else [])) == 1
        assert f"the batch {batch_id} is one of the gear dcm2niix" in caplog.text
    assert posts(world.site, "/cancel") + posts(world.site, "/retry") == []


def test_progress_is_seen_on_a_terminal(world: World) -> None:
    """On a terminal the plan is asked for, and a bar, the counts and failures are shown."""
    for number in range(3):
        world.add(f"Visit [b{number}]")

    def outcome(job: Record) -> Played:
        is_bad = world.label_of(job) == "Visit [b1]"
        return Played("failed", 0.2) if is_bad else Played(seconds=0.3, report=[ROW])

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        start = world.arguments("start", "--project", "lab/Study", *TO)
        result = on_terminal(*start, cwd=world.folder, typed="y\n")
    assert result.exit_code == 1
    assert "Start 3 jobs? [y/N]" in result.stdout
    assert "3/3" in result.stdout
    assert "3 of 3 jobs have ended: 2 complete, 1 failed" in result.stdout
    assert "Visit [b1] (" in result.stdout.rpartition("3/3")[2]
    assert "secret" not in result.stdout
    assert "JANE" not in result.stdout


def test_no_is_an_answer(world: World) -> None:
    """What is not confirmed on a terminal is not done."""
    world.add("Visit 1")
    start = world.arguments("start", "--project", "lab/Study", *TO)
    result = on_terminal(*start, cwd=world.folder, typed="\n")
    assert (result.exit_code, world.site.batches) == (1, {})
    assert "Nothing was done" in result.stdout


def test_interrupted_batch_goes_on_and_is_taken_up_again(world: World) -> None:
    """Ctrl-C ends the command and not the batch, and tells how to follow it again."""
    world.add("Visit 1")
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: Endless()):
        start = world.arguments("start", "--project", "lab/Study", *TO, "--yes")
        result = on_terminal(
            *start, cwd=world.folder, interrupt_at=lambda printed: "1 running" in printed
        )
    (batch_id,) = world.site.batches
    assert result.exit_code == 1
    assert "was ended by SIGINT" in result.stdout
    assert f"goes on; to take it up again: dicom-send-batch follow {batch_id}" in result.stdout
    (job,) = world.site.jobs.values()
    assert (job["state"], posts(world.site, "/cancel")) == ("running", [])
    world.site.queue.end(job["_id"], "complete")
    assert world.run("follow", batch_id) == 1
    assert world.rows(batch_id)[0]["Status"] == "there is no report"


# To stop, to run again


def test_stop_cancels_what_is_pending(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Pending jobs are cancelled, and how many is told; one that runs goes on."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.site.queue.take()
    assert world.run("stop", batch_id) == 1
    assert posts(world.site, "/cancel") == []
    assert world.run("stop", batch_id, "--yes") == 0
    assert "Cancelled: 2 jobs; running on to their end: 1" in caplog.text
    states = [job["state"] for job in world.site.jobs.values()]
    assert states == ["running", "cancelled", "cancelled"]


def test_stop_cancels_what_runs_if_that_is_wished(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """With --running no job is left; it may be asked for later, when the batch is cancelled."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.site.queue.take()
    assert world.run("stop", batch_id, "--yes") == 0
    assert world.run("stop", batch_id) == 0
    assert "There is nothing to stop" in caplog.text
    assert world.run("stop", batch_id, "--yes", "--running") == 0
    assert "Cancelled: 1 job; running on to their end: 0" in caplog.text
    assert {job["state"] for job in world.site.jobs.values()} == {"cancelled"}
    assert len(posts(world.site, "/cancel")) == len(world.site.asked("PUT")) == 1


def test_stop_cancels_what_is_run_again(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """Jobs that were run again when all had ended are cancelled, though the batch has ended."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 0
    first, second = world.site.batches[batch_id]["jobs"]
    world.site.fault(first, Status(403))
    assert world.run("stop", batch_id, "--yes") == 1
    assert "Visit 1 (" in caplog.text
    assert f"it is not cancelled: PUT /api/jobs/{first}: 403 Forbidden" in caplog.text
    assert world.site.jobs[second]["state"] == "cancelled"


def test_there_may_be_nothing_to_stop(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A batch whose jobs have ended is left as it is."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    assert world.run("stop", batch_id, "--yes") == 0
    assert "There is nothing to stop" in caplog.text
    assert posts(world.site, "/cancel") == []


@pytest.mark.parametrize("stands_beside", [False, True])
def test_only_what_failed_is_run_again(
    world: World, caplog: pytest.LogCaptureFixture, stands_beside: bool
) -> None:
    """The newest job of a session counts, whether or not the site keeps those before it."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    world.ended(lambda job: GOOD if world.label_of(job) == "Visit 1" else FAILED)
    first = list(world.site.batches[batch_id]["jobs"])

    def outcome(_: Record) -> Played:
        if stands_beside:
            batch = world.site.batches[batch_id]
            batch["jobs"] = [*(job for job in batch["jobs"] if job not in first), *first]
        return GOOD

    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        assert world.run("retry", batch_id, "--yes") == 0
    assert "Visit 2 (" in caplog.text
    assert [path.split("/")[3] for path in posts(world.site, "/retry")] == first[1:]
    assert [row["Session"] for row in world.rows(batch_id)] in (
        ["Visit 1", "Visit 2", "Visit 3"],
        ["Visit 2", "Visit 3", "Visit 1"],
    )
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=outcome):
        assert world.run("retry", batch_id, "--yes") == 0
    assert "No job has failed" in caplog.text
    assert len(posts(world.site, "/retry")) == 2


def test_job_that_cannot_be_run_again_does_not_stop_the_others(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """A refusal is told of its session, and the next failed job is run again."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    first, _ = world.site.batches[batch_id]["jobs"]
    del world.site.jobs[first]["request"]
    with FlywheelEngine(world.site, world.folder / "jobs", outcome=lambda _: GOOD):
        assert world.run("retry", batch_id, "--yes") == 1
    assert "Visit 1 (" in caplog.text
    assert f"it is not run again: POST /api/jobs/{first}/retry: 500" in caplog.text
    states = {row["Session"]: row["Job State"] for row in world.rows(batch_id)}
    assert states == {"Visit 1": "failed", "Visit 2": "complete"}
    assert len(posts(world.site, "/retry")) == 2
    assert world.run("retry", batch_id, "--yes", "--no-follow") == 1


def test_cancelled_jobs_are_left_to_a_new_batch(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The site runs no cancelled job again: how to send its session is told."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    assert world.run("stop", batch_id, "--yes") == 0
    assert world.run("retry", batch_id, "--yes") == 1
    assert "Cancelled: 2 jobs; `start --not-yet-sent` takes them" in caplog.text
    assert posts(world.site, "/retry") == []
    assert world.start("--no-follow", "--not-yet-sent") == 0
    assert world.labels() == ["Visit 1", "Visit 2"]


# To gather


def report(label: str, *rows: tuple[object, ...], head: str = "report") -> tuple[str, bytes]:
    """Return the name and content of a report."""
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([COLUMNS, *rows])
    return f"dicom-send_{head}-{label}_2024-03-05_07:08:09.csv", text.getvalue().encode()


def test_reports_become_one_table(world: World) -> None:
    """Each row of a report is told with its session and job, one that has none by its state."""
    batch_id = world.prepare("Visit 1", "Visit 2", "Visit 3")
    more = ("a2", "lab/Study/S/v/T2/files/u.zip", "u.zip", 4, 1, "Incomplete")
    outcomes = {"Visit 1": GOOD, "Visit 2": Played("failed", report=[ROW, more]), "Visit 3": FAILED}
    world.ended(lambda job: outcomes[world.label_of(job)])
    assert world.run("gather", batch_id) == 1
    rows = world.rows(batch_id)
    assert list(rows[0]) == ["Session ID", "Session", "Job ID", "Job State", *COLUMNS]
    told = [(row["Session"], row["Job State"], *(row[one] for one in COLUMNS[2:])) for row in rows]
    assert told == [
        ("Visit 1", "complete", "t.zip", "5", "5", "Complete"),
        ("Visit 2", "failed", "t.zip", "5", "5", "Complete"),
        ("Visit 2", "failed", "u.zip", "4", "1", "Incomplete"),
        ("Visit 3", "failed", "", "", "", "the job failed: its log says why"),
    ]
    assert [row["Job ID"] for row in rows[:2]] == world.site.batches[batch_id]["jobs"][:2]
    page = world.page(batch_id)
    for words in ("Not all images were sent", "11 of 14", "Visit 2</td>", "its log says why"):
        assert words in page
    assert page.index("Visit 2</td>") < page.index("Visit 1</td>")
    assert "JANE" not in page


def test_page_is_inert(world: World) -> None:
    """Neither a label nor a reason can be more than text, and nothing is loaded."""
    evil = "<script src='http://127.0.0.1:9/x.js'></script>"
    batch_id = world.prepare(evil)
    world.ended(lambda _: FAILED)
    next(iter(world.site.jobs.values()))["failure_reason"] = evil
    assert world.run("gather", batch_id) == 1
    page = world.page(batch_id)
    assert "<script" not in page
    assert page.count("&lt;script src=") == 3
    assert "content=\"default-src 'none'; style-src 'unsafe-inline'\"" in page


def test_only_the_jobs_own_report_counts(world: World) -> None:
    """Reports of before and after the job, of an acquisition and of other kinds are passed over."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    wrong = ("x", "x", "x", 1, 0, "Failed")
    world.site.attach(session, *report("Visit 1", wrong))
    world.site.containers[session]["files"][-1]["created"] = "2024-01-01T00:00:00+00:00"
    world.ended(lambda _: GOOD)
    for name in ("Visit 1_T1", "Visit 1"):
        world.site.attach(session, *report(name, wrong))
    world.site.containers[session]["files"][-1]["created"] = "2099-01-01T00:00:00+00:00"
    world.site.attach(session, *report("Visit 1", wrong), {"type": "job", "id": "another"})
    world.site.attach(session, *report("Visit 1", wrong, head="dry-run"))
    name, content = report("Visit 1", wrong)
    world.site.attach(session, name.replace(".csv", "_instances.csv"), content)
    assert world.run("gather", batch_id) == 0
    assert [row["Filename"] for row in world.rows(batch_id)] == ["t.zip"]


def test_report_of_before_the_job_is_none_of_it(world: World) -> None:
    """A job without report does not get that of an earlier job on its session."""
    world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    assert world.start("--no-follow") == 0
    world.ended(lambda _: Played())
    batch_id = list(world.site.batches)[-1]
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == ["there is no report"]


def test_newest_of_two_reports_counts(world: World) -> None:
    """Where a job left two reports the later one holds."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    world.site.attach(session, *report("Visit 1", ("x", "x", "x", 1, 0, "Failed")))
    world.ended(lambda _: GOOD)
    assert world.run("gather", batch_id) == 0


def test_report_of_a_dry_run_is_that_of_its_kind(world: World) -> None:
    """A dry run's report has a name of its own, and the page says that nothing was sent."""
    world.add("Visit 1")
    assert world.start("--no-follow", "--dry-run") == 0
    (batch_id,) = world.site.batches
    session = world.session_of("Visit 1")
    world.site.attach(session, *report("Visit 1", ROW, head="dry-run"))
    world.ended(lambda _: Played())
    assert world.run("gather", batch_id) == 0
    for words in ("dry run: nothing was sent", "All images of all sessions would be sent"):
        assert words in world.page(batch_id)


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"\xff\xfe", "the report cannot be read"),
        (b"a,b\n1,2\n", "the report cannot be read"),
        (b"", "the report cannot be read"),
        (report("", ("a", "p", "f", "many", 0, "Failed"))[1], "the report cannot be read"),
        (report("", ("a", "p", "f", 1))[1], "the report cannot be read"),
        (report("")[1], "there was no file to send"),
        (report("", ("a", "p", "f", 1, 0, "Failed"))[1], "Failed"),
    ],
)
def test_success_has_to_be_told_by_the_report(world: World, content: bytes, told: str) -> None:
    """A complete job whose report is broken, empty or tells of images not sent is no success."""
    batch_id = world.prepare("Visit 1")
    session = world.session_of("Visit 1")
    world.site.attach(session, report("Visit 1")[0], content)
    world.ended(lambda _: Played())
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == [told]


def test_session_that_is_gone_does_not_stop_the_others(world: World) -> None:
    """A session that was deleted meanwhile has a row that says so."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    first = world.site.jobs[world.site.batches[batch_id]["jobs"][0]]["destination"]["id"]
    del world.site.types[first]
    assert world.run("gather", batch_id) == 1
    assert [row["Status"] for row in world.rows(batch_id)] == [
        f"GET /api/sessions/{first}: 404 Not Found",
        "Complete",
    ]


def test_table_is_written_whole_or_not_at_all(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """What was gathered before stays, where the site fails in the midst of it."""
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: GOOD)
    assert world.run("gather", batch_id) == 0
    second = world.site.jobs[world.site.batches[batch_id]["jobs"][1]]["destination"]["id"]
    world.site.fault(second, Flip())
    assert world.run("gather", batch_id) == 1
    assert "not what the API promises" in caplog.text
    world.site.fault(second, Flip())
    assert world.run("follow", batch_id) == 1
    assert f"goes on; to take it up again: dicom-send-batch follow {batch_id}" in caplog.text
    assert len(world.rows(batch_id)) == 2
    assert len(list((world.folder / "out").iterdir())) == 2


def test_folder_for_reports_is_made(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """A folder that is not there is made; one that cannot be is wrong usage."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    (world.folder / "file").write_text("")
    (world.folder / "out").rmdir()
    assert world.run("gather", batch_id) == 0
    gather = ["gather", batch_id, "--api-key-file", str(world.key_file)]
    assert main.main([*gather, "--report-folder", str(world.folder / "file" / "x")]) == 1
    assert "--report-folder: Not a directory" in caplog.text


# The key, and what is printed


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{secret", "it is not"),
        ('["secret"]', "it is not"),
        ('{"key": 5}', "it is not"),
        ('{"key": "secret"}', "the key is not <host>:<key>"),
        (None, "there is no such file"),
    ],
)
def test_key_that_cannot_be_used_is_not_shown(
    world: World, caplog: pytest.LogCaptureFixture, content: str | None, told: str
) -> None:
    """A file that holds no key is wrong usage, told in one line without what it holds."""
    world.key_file.unlink()
    if content:
        world.key_file.write_text(content)
    assert world.run("gather", "5f") == 1
    assert "--api-key-file: " in caplog.text
    assert told in caplog.text
    assert "secret" not in caplog.text


def test_key_is_that_of_fw_login(
    world: World, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """The key is read from where `fw login` keeps it, or asked for on a terminal, or missing."""
    batch_id = world.prepare("Visit 1")
    world.ended(lambda _: GOOD)
    monkeypatch.setenv("HOME", str(world.folder))
    gather = ["gather", batch_id, "--report-folder", str(world.folder / "out")]
    assert main.main(gather) == 1
    assert "no API key" in caplog.text
    monkeypatch.setattr("sys.stdin.isatty", lambda: True, raising=False)
    monkeypatch.setattr("getpass.getpass", lambda _: f"{world.site.api_key} ")
    assert main.main(gather) == 0
    monkeypatch.setattr("getpass.getpass", lambda _: pytest.fail("it is not asked for"))
    kept = world.folder / ".config" / "flywheel" / "user.json"
    kept.parent.mkdir(parents=True)
    kept.write_text(json.dumps({"key": world.site.api_key}))
    assert main.main(gather) == 0


def test_neither_key_nor_subject_is_printed(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """No log of any command shows the key or a subject's label, not even of a failure."""
    caplog.set_level(logging.DEBUG)
    batch_id = world.prepare("Visit 1", "Visit 2")
    world.ended(lambda _: FAILED)
    for name in ("follow", "stop", "retry"):
        world.run(name, batch_id, "--yes", *(["--no-follow"] if name == "retry" else []))
    world.run("gather", batch_id)
    world.site.fault("lookup", Status(500))
    assert world.run("start", "--subject", "lab/Study/DOE^JANE", *TO, "--yes") == 1
    assert "secret" not in caplog.text
    assert "JANE" not in caplog.text


def test_help_shows_each_command_with_an_example(tmp_path: Path) -> None:
    """Each command has a help of its own, with an example that is understood."""
    result = script("--help", cwd=tmp_path)
    assert result.exit_code == 0
    for name in ("start", "follow", "stop", "retry", "gather"):
        example = f"\n  dicom-send-batch {name} "
        assert example in result.stdout
        assert example in script(name, "--help", cwd=tmp_path).stdout
    assert script("--version", cwd=tmp_path).stdout.startswith("dicom-send ")
    assert "--not-yet-sent" in script("--print-completion", "bash", cwd=tmp_path).stdout
