"""Statements of the documents about the code."""

import json
import os
import re
import subprocess
import sys
import tomllib
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import pytest

from scripts import clone, conformance, man_page, reasons
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import IN_THE_IMAGE, MOUNTED
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of

pytestmark = pytest.mark.slow

NAMED_TEST = re.compile(r"`([\w/]+\.py)::(test_\w+)`")


def test_the_conformance_statement_is_current() -> None:
    """The file equals the output of `make docs`."""
    assert conformance.TARGET.read_text() == conformance.statement()


def test_the_list_of_reasons_is_current() -> None:
    """The file equals the output of `make docs`."""
    assert reasons.TARGET.read_text() == reasons.document()


def test_the_manual_pages_are_current() -> None:
    """The files equal the output of `make docs`."""
    for path, text in man_page.documents().items():
        assert path.read_text() == text


@pytest.mark.parametrize("page", clone.TARGETS, ids=lambda page: page.name)
def test_the_address_of_the_repository_is_current(page: Path) -> None:
    """Each page equals the output of `make docs`, and shows the address once."""
    text = page.read_text()
    assert text == clone.document(text)
    assert text.count("git clone ") == 1


@pytest.mark.parametrize("document", ["reliability.md"])
def test_each_named_test_exists(document: str) -> None:
    """A table of tested faults names existing tests."""
    text = (REPOSITORY / "docs" / document).read_text()
    named = NAMED_TEST.findall(text)
    assert named
    for file, test in named:
        assert f"\ndef {test}(" in (REPOSITORY / "tests" / file).read_text(), (file, test)


def test_the_architecture_names_the_rooms_of_the_package() -> None:
    """The list has each folder, and the table of changes names existing files."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    package = REPOSITORY / "fw_gear_dicom_send"
    rooms = {path.parent.name for path in package.glob("*/__init__.py")}
    assert set(re.findall(r"^([a-z]+)/ ", text, re.MULTILINE)) == rooms
    (table,) = re.findall(r"\| To change \| Open \|\n(.*?)\n\n", text, re.DOTALL)
    named = re.findall(r"`([\w/]+(?:\.py|/))`", table)
    assert len(table.splitlines()) == 12
    assert [name for name in named if not (package / name).exists()] == []


def test_the_architecture_has_a_row_for_each_package() -> None:
    """It says why the command and the gear do not use more of it."""
    text = (REPOSITORY / "docs" / "architecture.md").read_text()
    (table,) = re.findall(r"\| package \| does \| not more, because \|\n(.*?)\n\n", text, re.DOTALL)
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    needed = chain(project["dependencies"], *map(extras.get, ("batch", "compression", "gear")))
    names = {re.findall(r"[\w-]+", requirement)[0] for requirement in needed} - {project["name"]}
    assert re.findall(r"^\| ([\w-]+) \| .+ \| .+ \|$", table, re.MULTILINE) == sorted(names)


# Running the gear without Docker


@dataclass(frozen=True)
class Place:
    """Folder from TESTING.md, and values for the placeholders of its code blocks."""

    folder: Path
    names: dict[str, str]

    def run(self, block: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run a code block of the document."""
        for placeholder, name in self.names.items():
            block = block.replace(placeholder, name)
        return subprocess.run(
            ["sh", "-c", block],
            check=False,
            cwd=self.folder,
            env=os.environ | environment,
            capture_output=True,
            text=True,
            timeout=60,
        )


def blocks_of_testing() -> list[str]:
    text = (REPOSITORY / "docs" / "TESTING.md").read_text()
    return re.findall(r"^```sh\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


@pytest.fixture
def place(tmp_path: Path, site: FlywheelSite, python_scp: PythonSCP) -> Place:
    """Copy of the image's files with a virtual environment, and a session to send."""
    folder = tmp_path / "dicom-send"
    folder.mkdir()
    for name in IN_THE_IMAGE:
        (folder / name).symlink_to(REPOSITORY / name)
    (folder / ".venv").symlink_to(sys.prefix)
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
    acquisition = site.add_acquisition(session, "CT")
    site.add_file(acquisition, "ct.dcm", encoded(made(1)))
    return Place(
        folder,
        {
            "pacs.example.org": "127.0.0.1",
            "11112": str(python_scp.port),
            "<site>:<your key>": site.api_key,
            "<id of a session>": session,
            "<id of an acquisition>": acquisition,
        },
    )


def test_a_session_is_sent_as_in_testing(
    place: Place, site: FlywheelSite, python_scp: PythonSCP
) -> None:
    """The first block sends a session after its placeholders are filled in."""
    session, _ = blocks_of_testing()
    ended = place.run(session)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(python_scp.stored) == 1
    assert site.reports[0].content.endswith(b"ct.dcm,1,1,Complete\n")


def test_a_file_is_sent_as_in_testing(
    place: Place, site: FlywheelSite, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """The second block sends one file."""
    members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in (1, 2)]
    archive = zip_of(tmp_path / "any.zip", members)
    (place.folder / "input").mkdir()
    (place.folder / "output").mkdir()
    (place.folder / "work").mkdir()
    _, file = blocks_of_testing()
    ended = place.run(file, DICOM_FILE=str(archive))
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert len(python_scp.stored) == 2
    assert site.reports[0].content.endswith(b"scan.zip,2,2,Complete\n")


def test_the_command_in_testing_matches_the_manifest() -> None:
    """The command and the mounts for the image are those of the engine and of the tests."""
    text = (REPOSITORY / "docs" / "TESTING.md").read_text()
    manifest = json.loads((REPOSITORY / "manifest.json").read_text())
    image = manifest["custom"]["gear-builder"]["image"]
    assert f"{image} /bin/sh -c '{manifest['command']}'" in text
    mounted = re.findall(r"-v \$PWD/(\S+):/flywheel/v0/(\S+)", text)
    assert {(name, name) for name in MOUNTED} == set(mounted)
