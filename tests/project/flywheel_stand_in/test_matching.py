"""The stand-in site matches files to a gear's inputs, as in its batch dialog."""

import json
from typing import Any

import flywheel
import pytest
from jsonschema import Draft4Validator

from tests.support.flywheel_site import FlywheelSite
from tests.support.preloaded import REPOSITORY
from tests.support.site_clients import add_session
from tests.support.stand_in_jobs import OPTIONS

MANIFEST = json.loads((REPOSITORY / "manifest.json").read_text())
TLS = ("key", "cert", "add_cert_file")


def propose(fw: flywheel.Client, gear: str, session: str, policy: str) -> Any:
    """Propose a batch on the acquisitions of a session."""
    targets = [flywheel.ContainerReference(type="session", id=session)]
    proposal = flywheel.BatchProposalInput(
        gear_id=gear, targets=targets, config=OPTIONS, optional_input_policy=policy
    )
    return fw.propose_batch(proposal)


def inputs_of(fw: flywheel.Client, site: FlywheelSite, proposed: Any) -> list[dict[str, str]]:
    """Start a batch, and return the names of the input files of its jobs."""
    fw.start_batch(proposed.id)
    return [
        {name: file["name"] for name, file in job["inputs"].items()} for job in site.jobs.values()
    ]


def test_an_acquisitions_file_is_its_jobs_input(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """A DICOM file matches only the gear's `file`, not its key or certificate."""
    for name in ("a.dicom.zip", "b.dcm"):
        site.add_file(site.add_acquisition(sessions[0], name), name, b"1")
    proposed = propose(fw, gear, sessions[0], "flexible")
    assert len(proposed.matched) == 2
    assert inputs_of(fw, site, proposed) == [{"file": "a.dicom.zip"}, {"file": "b.dcm"}]


def test_tls_files_are_found_by_name(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """A PEM file matches all TLS inputs, in any case, and is not an image."""
    site.add_file(site.add_acquisition(sessions[0], "TLS"), "Server.PEM", b"1")
    proposed = propose(fw, gear, sessions[0], "flexible")
    assert inputs_of(fw, site, proposed) == [dict.fromkeys(TLS, "Server.PEM")]


def test_two_files_for_one_input_match_nothing(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """An acquisition with two DICOM files gets no job."""
    acquisition = site.add_acquisition(sessions[0], "CT")
    for name in ("a.dcm", "b.dcm"):
        site.add_file(acquisition, name, b"1")
    proposed = propose(fw, gear, sessions[0], "flexible")
    assert [len(proposed.matched), len(proposed.ambiguous), len(proposed.not_matched)] == [0, 1, 0]
    assert site.batches == {}


@pytest.mark.parametrize(("policy", "state"), [("ignored", "matched"), ("required", "not_matched")])
def test_a_policy_decides_on_optional_inputs(
    site: FlywheelSite, fw: flywheel.Client, gear: str, policy: str, state: str
) -> None:
    """They are left out, or all of them are required."""
    session = add_session(site)
    site.add_file(site.add_acquisition(session, "CT"), "a.dcm", b"1")
    proposed = propose(fw, gear, session, policy)
    assert len(getattr(proposed, state)) == 1
    if state == "matched":
        assert inputs_of(fw, site, proposed) == [{}]


def test_other_json_files_are_not_an_identity(
    site: FlywheelSite, fw: flywheel.Client, gear: str, sessions: list[str]
) -> None:
    """Acquisitions often have a JSON file for each series, which is not an identity."""
    acquisition = site.add_acquisition(sessions[0], "T1")
    for name in ("t1.dcm.zip", "t1.json", "pacs-Identity.json"):
        site.add_file(acquisition, name, b"1")
    proposed = propose(fw, gear, sessions[0], "flexible")
    assert inputs_of(fw, site, proposed) == [
        {"file": "t1.dcm.zip", "identity": "pacs-Identity.json"}
    ]


@pytest.mark.parametrize("name", TLS)
@pytest.mark.parametrize(
    ("file", "fits"),
    [
        ("key.pem", True),
        ("server.key", True),
        ("ca.CRT", True),
        ("a b.Cer", True),
        ("a.dcm.zip", False),
        ("pem", False),
        ("key.pem.zip", False),
        ("key.pem\n.dcm", False),
    ],
)
def test_names_of_tls_files(name: str, file: str, fits: bool) -> None:
    """These are PEM files with the usual extensions."""
    schema = {"properties": {"name": MANIFEST["inputs"][name]["name"]}}
    assert Draft4Validator(schema).is_valid({"name": file}) is fits
