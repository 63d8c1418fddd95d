"""What the entry points import before they know what to do."""

import json
import subprocess
import sys

import pytest

from tests.support.gear import REPOSITORY

HEAVY = {
    "asyncio",
    "backoff",
    "cryptography",
    "flywheel",
    "fw_core_client",
    "gdcm",
    "inflate64",
    "numpy",
    "pydantic",
    "pydicom",
    "pynetdicom",
    "requests",
    "rich",
    "shtab",
}
"""Libraries that take 0.03 s or more to import."""
COMMAND = """
import json, sys
from fw_gear_dicom_send.cli.send import main
try:
    main(sys.argv[1:])
finally:
    print("\\n" + json.dumps(sorted(sys.modules)))
"""
GEAR = """
import json, sys
import flywheel_gear_toolkit
before = set(sys.modules)
import run
print(json.dumps(sorted(set(sys.modules) - before)))
"""


def imported(code: str, *arguments: str) -> set[str]:
    """Return what a program has imported at its end, by the JSON in the last line it prints."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    return set(json.loads(run.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["echo", "--help"],
        ["nowhere", "--destination", "x", "--called-ae", "X"],
        [__file__, "--port", "0", "--destination", "x", "--called-ae", "X"],
        ["echo", "--destination", "x"],
    ],
)
def test_help_and_usage_errors_import_only_what_they_need(arguments: list[str]) -> None:
    """Neither what is asked for nor what is wrong with a command line needs a library."""
    assert imported(COMMAND, *arguments) & HEAVY == set()


def test_the_gear_imports_no_library_that_few_runs_need() -> None:
    """Beyond the gear toolkit and its own client there is nothing for the terminal or for TLS."""
    assert imported(GEAR) & {"cryptography", "inflate64", "rich", "shtab"} == set()
