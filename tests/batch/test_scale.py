"""Batch of five hundred sessions; the gear itself sends some of them to a real server."""

import csv
import json
from collections import Counter
from functools import partial
from pathlib import Path

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By

from tests.support import command
from tests.support.browser import CONTRASTS, MIN_CONTRAST, texts
from tests.support.flywheel_engine import FlywheelEngine, Outcome, RunGear, Simulated
from tests.support.flywheel_lists import Record
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import manifest
from tests.support.pacs import Orthanc
from tests.support.sample_files import encoded, made

SESSIONS = 500
SENT_BY_THE_GEAR = (0, 123, 456)
WITHOUT_FILE_AT_FIRST = 321
FAILED_ONCE = range(10, SESSIONS, 25)
FAILED_TWICE = 485
IMAGES = 7
run = partial(command.run, "dicom-send-batch")


def played(number: int) -> Simulated:
    """Return a simulated job that sends a file of some images."""
    path = f"lab/Study/S{number}/Visit {number}/T1/files/t.zip"
    return Simulated(report=[("a", path, "t.zip", IMAGES, IMAGES, "Complete")])


@pytest.fixture
def sessions(site: FlywheelSite) -> list[str]:
    """Sessions of a project on a site that has the gear."""
    site.add_gear(manifest())
    project = site.add_project(site.add_group("lab"), "Study")
    return [
        site.add_session(site.add_subject(project, f"DOE^JANE {number}"), f"Visit {number}")
        for number in range(SESSIONS)
    ]


def test_five_hundred_sessions_are_sent_and_failed_ones_are_retried(
    site: FlywheelSite,
    sessions: list[str],
    orthanc: Orthanc,
    chromium: webdriver.Chrome,
    tmp_path: Path,
) -> None:
    """One command starts 500 jobs and gathers them; another reruns only the failed ones."""

    def give(number: int) -> None:
        acquisition = site.add_acquisition(sessions[number], "T1")
        site.add_file(acquisition, "image.dcm", encoded(made(number)))

    def outcome(job: Record) -> Outcome:
        number = sessions.index(job["destination"]["id"])
        if number in SENT_BY_THE_GEAR or number == WITHOUT_FILE_AT_FIRST:
            return RunGear()
        if number in FAILED_ONCE and job["attempt"] == 1:
            return Simulated("failed")
        if number == FAILED_TWICE and job["attempt"] == 2:
            return Simulated("failed")
        return played(number)

    for number in SENT_BY_THE_GEAR:
        give(number)
    key = tmp_path / "user.json"
    key.write_text(json.dumps({"key": site.api_key}))
    common = ("--api-key-file", key, "--report-folder", tmp_path, "--yes", "--interval", "0.2")
    server = ("--destination", "127.0.0.1", "--port", orthanc.port, "--called-ae", "ORTHANC")
    with FlywheelEngine(site, tmp_path / "jobs", max_running=8, outcome=outcome):
        first = run("start", "--project", "lab/Study", *server, *common, cwd=tmp_path)
        assert first.exit_code == 1, first.stderr
        (batch_id,) = site.batches
        before = _states(tmp_path, batch_id)
        give(WITHOUT_FILE_AT_FIRST)
        second = run("retry", batch_id, *common, cwd=tmp_path)
        assert second.exit_code == 1, second.stderr
        third = run("retry", batch_id, *common, cwd=tmp_path)
        assert third.exit_code == 0, third.stderr
    again = run("start", "--project", "lab/Study", *server, *common, "--not-yet-sent", cwd=tmp_path)
    assert (again.exit_code, len(site.batches)) == (0, 1)

    failed = {sessions[number] for number in (*FAILED_ONCE, WITHOUT_FILE_AT_FIRST)}
    assert {one for one, state in before.items() if state == "failed"} == failed
    assert f"Sessions: {SESSIONS}" in first.stderr
    attempts = Counter(job["destination"]["id"] for job in site.jobs.values())
    wanted = Counter(sessions) + Counter(failed) + Counter([sessions[FAILED_TWICE]])
    assert attempts == wanted
    assert len(orthanc.instances()) == len(SENT_BY_THE_GEAR) + 1
    assert "secret" not in first.stderr + second.stderr + third.stderr

    with (tmp_path / f"dicom-send_batch-{batch_id}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert sorted(row["Session ID"] for row in rows) == sorted(sessions)
    assert {(row["Job State"], row["Status"]) for row in rows} == {("complete", "Complete")}
    by_the_gear = [row for row in rows if row["Filename"] == "image.dcm"]
    assert len(by_the_gear) == len(SENT_BY_THE_GEAR) + 1

    images = (SESSIONS - len(by_the_gear)) * IMAGES + len(by_the_gear)
    _check_page(chromium, tmp_path / f"dicom-send_batch-{batch_id}.html", images)


def _check_page(browser: webdriver.Chrome, page: Path, images: int) -> None:
    """Check that the page shows all sessions and images, is readable and loads nothing."""
    browser.get(page.as_uri())
    assert f" | DICOM send: batch {page.stem.rpartition('-')[2]} | " in browser.title
    assert texts(browser, ".outcome") == ["All images of all sessions were sent"]
    assert dict(zip(texts(browser, ".tiles dt"), texts(browser, ".tiles dd"), strict=True)) == {
        "Sessions complete": "500 of 500",
        "Images sent": f"{images:,} of {images:,}",
        "Files complete": "500 of 500",
    }
    rows = "#complete-sessions tbody tr.good"
    assert len(browser.find_elements(By.CSS_SELECTOR, rows)) == SESSIONS
    assert browser.execute_script("return performance.getEntriesByType('resource').length") == 0
    assert all(contrast >= MIN_CONTRAST for _, contrast in browser.execute_script(CONTRASTS))


def _states(folder: Path, batch_id: str) -> dict[str, str]:
    with (folder / f"dicom-send_batch-{batch_id}.csv").open(newline="") as file:
        return {row["Session ID"]: row["Job State"] for row in csv.DictReader(file)}
