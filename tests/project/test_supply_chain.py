"""What the image installs is pinned, and its known vulnerabilities are explained."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.audit import EXPLAINED
from tests.support.preloaded import REPOSITORY

LOCKED_FILES = sorted(REPOSITORY.glob("requirements*.txt"))
REQUIREMENT = re.compile(r"^[\w.-]+==\S+.*(?:\n    .*)*", re.MULTILINE)
BASE = re.compile(r"^ARG BASE_IMAGE=(python:3\.12\.\d+-slim-bookworm)$", re.MULTILINE)
ANSWER = """
import json, sys
[listed] = [open(sys.argv[at + 1]).read() for at, a in enumerate(sys.argv) if a == "--requirement"]
found = [dict(zip(("name", "version"), line.split("=="))) for line in listed.splitlines()]
for item in found:
    item["vulns"] = [
        {"id": i, "aliases": [a]} for n, i, a in VULNERABILITIES if n == item["name"]
    ]
    if item["name"] in MISSING:
        item = item.pop("vulns"), item.update(skip_reason=f"not found: {item['name']}")
print(json.dumps({"dependencies": found, "fixes": []}))
"""


def audit(tmp_path: Path, program: str) -> tuple[int, str]:
    """Run the audit with a stand-in for pip-audit; return its exit code and output."""
    (tmp_path / "pip_audit.py").write_text(program)
    locked = tmp_path / "locked.txt"
    locked.write_text(
        "a==1.0 \\\n    --hash=sha256:0\nb==2.0 ; python_full_version < '3.12' \\\n"
        "    --hash=sha256:0\nb==2.1 ; python_full_version >= '3.12' \\\n    --hash=sha256:0\n"
    )
    ended = subprocess.run(
        [sys.executable, REPOSITORY / "scripts" / "audit.py", locked],
        env={**os.environ, "PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.stderr == ""
    return ended.returncode, ended.stdout


def answer(vulnerabilities: list[tuple[str, str, str]], missing: list[str]) -> str:
    return f"VULNERABILITIES = {vulnerabilities}\nMISSING = {missing}{ANSWER}"


@pytest.mark.parametrize(
    ("vulnerabilities", "missing", "exit_code", "parts"),
    [
        ([], [], 0, ["3 of 3"]),
        ([("a", "PYSEC-1", "CVE-2026-56445")], [], 0, ["0 vulnerabilities, and 1 that"]),
        ([("a", "CVE-2026-56445", "PYSEC-1")], [], 0, ["0 vulnerabilities, and 1 that"]),
        ([("b", "PYSEC-1", "CVE-1")], [], 1, ["b 2.0: CVE-1, PYSEC-1", "b 2.1: CVE-1, PYSEC-1"]),
        ([], ["a"], 2, ["2 of 3", "not looked up (not found): a"]),
        ([("b", "PYSEC-1", "CVE-1")], ["a"], 1, ["2 of 3", "not looked up (not found): a"]),
    ],
    ids=["none", "explained", "explained by id", "others", "missing answer", "both"],
)
def test_the_exit_code_of_an_audit(
    tmp_path: Path,
    vulnerabilities: list[tuple[str, str, str]],
    missing: list[str],
    exit_code: int,
    parts: list[str],
) -> None:
    """It is 0 only if all versions were looked up, and each vulnerability is explained."""
    code, output = audit(tmp_path, answer(vulnerabilities, missing))
    assert code == exit_code
    assert all(part in output for part in parts), output


@pytest.mark.parametrize("program", ["", "import sys; sys.exit('no route to host')"])
def test_an_audit_without_an_answer(tmp_path: Path, program: str) -> None:
    """If nothing could be looked up, all requirements are named, and the audit fails."""
    code, output = audit(tmp_path, program)
    assert code == 2
    assert "a==1.0, b==2.0" in output
    assert "0 of 3" in output


def test_each_explained_vulnerability_is_of_a_locked_version() -> None:
    """A new version of a package needs a new explanation, or none."""
    rows = EXPLAINED.findall((REPOSITORY / "SECURITY.md").read_text())
    assert len(rows) == len(
        re.findall(r"^\| [A-Z]+-\d", (REPOSITORY / "SECURITY.md").read_text(), re.M)
    )
    locked = (REPOSITORY / "requirements.txt").read_text()
    assert [f"{name}=={version}" in locked for _, name, version in rows] == [True] * len(rows)
    assert rows


@pytest.mark.parametrize("file", LOCKED_FILES, ids=lambda file: file.name)
def test_each_locked_requirement_has_a_hash(file: Path) -> None:
    """This includes the build tools and pip-audit."""
    requirements = REQUIREMENT.findall(file.read_text())
    assert requirements
    assert all("--hash=sha256:" in requirement for requirement in requirements)


def test_only_the_dockerfile_names_the_base_image() -> None:
    """It names an exact version."""
    (tag,) = BASE.findall((REPOSITORY / "Dockerfile").read_text())
    suite = tag.partition("-")[2]
    found = [
        path
        for folder in (
            ".",
            "docs",
            "scripts",
            "tests",
            "tests/image",
            "tests/project",
            "tests/wheel",
            ".ci",
        )
        for path in (REPOSITORY / folder).iterdir()
        if path.suffix in ("", ".md", ".sh", ".py", ".yml") and path.is_file()
        if suite.encode() in path.read_bytes().replace(BASE.pattern.encode(), b"")
    ]
    assert [path.name for path in found] == ["Dockerfile"]
