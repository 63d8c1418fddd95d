"""Looks up locked requirements in PyPI's list of vulnerabilities, with pip-audit.

usage: python scripts/audit.py LOCKED_FILE...

SECURITY.md lists the vulnerabilities that do not apply. The exit code is 1 if others are found,
otherwise 2 if a requirement could not be looked up, otherwise 0.
"""

import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

LOCKED = re.compile(r"^([\w.-]+)==([^\s;]+)", re.MULTILINE)
EXPLAINED = re.compile(r"^\| ((?:CVE|GHSA|PYSEC)-[\w-]+) \| ([\w.-]+) ([\w.]+) \|", re.MULTILINE)
SECURITY = Path(__file__).resolve().parents[1] / "SECURITY.md"


def lists(files: Sequence[str]) -> Iterator[str]:
    """Yield lists of all locked requirements; each has at most one version of a package.

    They have no markers, as those for other versions of Python count, too.
    """
    versions: dict[str, list[str]] = {}
    for file in files:
        for name, version in LOCKED.findall(Path(file).read_text()):
            if version not in versions.setdefault(name, []):
                versions[name].append(version)
    for number in range(max(map(len, versions.values()))):
        yield "".join(f"{name}=={v[number]}\n" for name, v in versions.items() if number < len(v))


def looked_up(requirements: str) -> list[dict[str, Any]]:
    """Return what pip-audit reports about each requirement."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "requirements.txt")
        path.write_text(requirements)
        ended = subprocess.run(  # noqa: S603 - only this script's own arguments
            [
                *(sys.executable, "-m", "pip_audit", "--requirement", path),
                *("--no-deps", "--disable-pip", "--format=json", "--progress-spinner=off"),
            ],
            capture_output=True,
            text=True,
            check=False,
        )
    try:
        return list(json.loads(ended.stdout)["dependencies"])
    except ValueError:
        *_, cause = ["no answer", *ended.stderr.splitlines()]
        return [{"name": line, "skip_reason": cause} for line in requirements.splitlines()]


def main(files: Sequence[str]) -> int:
    """Print the result of the audit, and return the exit code."""
    explained = {identifier for identifier, *_ in EXPLAINED.findall(SECURITY.read_text())}
    found = [item for requirements in lists(files) for item in looked_up(requirements)]
    applying, not_applying = [], 0
    unknown: dict[str, list[str]] = {}
    for item in found:
        if "skip_reason" in item:
            cause = item["skip_reason"].partition(": ")[0]
            unknown.setdefault(cause, []).append(item["name"])
        for vulnerability in item.get("vulns", ()):
            names = {vulnerability["id"], *vulnerability["aliases"]}
            if names & explained:
                not_applying += 1
            else:
                applying.append(f"{item['name']} {item['version']}: {', '.join(sorted(names))}")
    for cause, names in unknown.items():
        sys.stdout.write(f"not looked up ({cause}): {', '.join(names)}\n")
    for line in applying:
        sys.stdout.write(f"vulnerable: {line}\n")
    missing = sum(map(len, unknown.values()))
    sys.stdout.write(
        f"{len(found) - missing} of {len(found)} requirements looked up: {len(applying)} "
        f"vulnerabilities, and {not_applying} that SECURITY.md explains\n"
    )
    return 1 if applying else 2 if missing else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
