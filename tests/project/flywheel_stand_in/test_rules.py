"""Gear rules on the stand-in site: validation, and runs of the gear on new files."""

import json
from pathlib import Path
from typing import Any

import flywheel
import pytest

from tests.support.flywheel_engine import FlywheelEngine
from tests.support.flywheel_site import FlywheelSite
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, made, uid_of
from tests.support.stand_in_jobs import sdk_client

RULE_MANIFEST = json.loads((REPOSITORY / "manifest-rule.json").read_text())
DICOM = {"type": "file.type", "value": "dicom"}
PIPELINE = (REPOSITORY / "docs" / "SCALING.md").read_text().partition("### After other gears")[2]
CONDITIONS = PIPELINE.split("```json")[1].split("```")[0]
HELD = {"type": "file.tags", "value": "do-not-send"}


@pytest.fixture
def rule_gear(site: FlywheelSite) -> str:
    """Gear for rules."""
    return site.add_gear(RULE_MANIFEST)


def add_rule(fw: flywheel.Client, project: str, gear: str, **more: Any) -> Any:
    """Add a rule that runs a gear on new DICOM files, except held ones."""
    rule = {"gear_id": gear, "name": "Send", "all": [DICOM], "any": [], "not": [HELD], **more}
    return fw.add_project_rule(project, rule)


def refused(fw: flywheel.Client, project: str, gear: str, **more: Any) -> str:
    """Return the reason why the site rejects a rule."""
    with pytest.raises(flywheel.ApiException) as caught:
        add_rule(fw, project, gear, **more)
    assert caught.value.status == 400
    return str(caught.value)


def test_a_gear_without_required_file_is_rejected(
    fw: flywheel.Client, project: str, gear: str
) -> None:
    """No input of `dicom-send` is required, so none is left for the rule's file."""
    assert "Rule must have exactly 1 non-fixed gear value" in refused(fw, project, gear)


def test_fixed_inputs_count_against_required_ones(
    site: FlywheelSite, fw: flywheel.Client, project: str, rule_gear: str
) -> None:
    """The only required input is the file; if it is fixed, none is left for the rule's file."""
    site.add_file(project, "key.pem", b"1")
    fixed = {"type": "project", "id": project, "name": "key.pem", "input": "key"}
    message = refused(fw, project, rule_gear, fixed_inputs=[fixed])
    assert "Rule must have exactly 1 non-fixed gear value" in message


def test_a_rule_sends_each_new_file(
    site: FlywheelSite, project: str, rule_gear: str, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The gear for rules gets a job for each file that matches the rule, and sends it."""
    fw = sdk_client(site)
    session = site.add_session(site.add_subject(project, "S1"), "Visit 1")
    acquisition = site.add_acquisition(session, "CT")
    site.add_file(acquisition, "old.dcm", encoded(made(1)))
    to = {"destination": "127.0.0.1", "port": python_scp.port, "called_ae": "PACS"}
    add_rule(fw, project, rule_gear, config=to)
    site.add_file(acquisition, "a.dcm", encoded(made(2)))
    site.add_file(acquisition, "notes.txt", b"1")
    site.add_file(acquisition, "held.dcm", encoded(made(3)), tags=["do-not-send"])
    (job,) = site.jobs.values()
    at = {"type": "acquisition", "id": acquisition}
    assert job["inputs"] == {"file": {**at, "name": "a.dcm"}}
    assert (job["destination"], job["tags"]) == (at, ["auto", "dicom-send-rule"])
    with FlywheelEngine(site, tmp_path) as engine:
        engine.wait()
    assert job["state"] == "complete", engine.results[job["_id"]].log
    assert len(python_scp.stored) == 1


def test_a_disabled_rule_does_nothing(
    site: FlywheelSite, fw: flywheel.Client, project: str, rule_gear: str
) -> None:
    """A rule is created disabled, so that it can be reviewed before it runs."""
    add_rule(fw, project, rule_gear, disabled=True)
    site.add_file(project, "a.dcm", b"1")
    assert site.jobs == {}


def add_raw(site: FlywheelSite, project: str) -> str:
    """Add a file that other gears will replace; return its id."""
    session = site.add_session(site.add_subject(project, "S1"), "Visit 1")
    return site.add_file(site.add_acquisition(session, "CT"), "a.dcm", encoded(made(1)))


def run(site: FlywheelSite, folder: Path) -> None:
    """Run all jobs, which have to succeed."""
    with FlywheelEngine(site, folder) as engine:
        engine.wait()
    for job in site.jobs.values():
        assert job["state"] == "complete", engine.results[job["_id"]].log


def uids(server: PythonSCP) -> list[str]:
    """Return the UIDs that a server has stored."""
    return [stored.sop_instance_uid for stored in server.stored]


def test_a_replaced_file_is_sent_twice(
    site: FlywheelSite,
    project: str,
    rule_gear: str,
    python_scp: PythonSCP,
    tmp_path: Path,
) -> None:
    """A rule on the type runs again for each version; the tag of the gear triggers nothing."""
    to = {"destination": "127.0.0.1", "port": python_scp.port, "called_ae": "PACS"}
    add_rule(sdk_client(site), project, rule_gear, config=to)
    file_id = add_raw(site, project)
    run(site, tmp_path)
    assert len(site.jobs) == 1
    site.replace_file(file_id, encoded(made(2)))
    run(site, tmp_path)
    assert len(site.jobs) == 2
    assert len(python_scp.stored) == 2


def test_a_rule_on_the_last_gears_tag_sends_only_the_last_version(
    site: FlywheelSite,
    project: str,
    rule_gear: str,
    python_scp: PythonSCP,
    tmp_path: Path,
) -> None:
    """The conditions in docs/SCALING.md match when the last gear has set its tag."""
    to = {"destination": "127.0.0.1", "port": python_scp.port, "called_ae": "PACS"}
    rule = {"name": "Send", "gear_id": rule_gear, "config": to, "all": json.loads(CONDITIONS)}
    sdk_client(site).add_project_rule(project, rule | {"any": [], "not": []})
    file_id = add_raw(site, project)
    site.tag_file(file_id, "dicom-fixer")
    site.replace_file(file_id, encoded(made(2)))
    assert site.jobs == {}
    site.tag_file(file_id, "ready-to-send")
    site.tag_file(file_id, "another")
    run(site, tmp_path)
    assert len(site.jobs) == 1
    assert uids(python_scp) == [uid_of(2)]
    # The warning in docs/SCALING.md: a file keeps its tags.
    site.replace_file(file_id, encoded(made(1)))
    assert len(site.jobs) == 2


def test_two_rules_on_one_tag_send_to_two_servers(
    site: FlywheelSite, project: str, rule_gear: str
) -> None:
    """Both start a job if they match at the same time; a later one is taken for the first."""
    fw, file_id = sdk_client(site), add_raw(site, project)
    for tag, host in (("ready", "a"), ("ready", "b"), ("checked", "c")):
        condition = {"type": "file.tags", "value": tag}
        add_rule(fw, project, rule_gear, config={"destination": host}, all=[DICOM, condition])
    site.tag_file(file_id, "ready")
    hosts = [job["config"]["config"]["destination"] for job in site.jobs.values()]
    assert hosts == ["a", "b"]
    site.tag_file(file_id, "checked")
    assert len(site.jobs) == 2
