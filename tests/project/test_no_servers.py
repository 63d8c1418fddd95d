"""`pytest --no-servers`: `make check` needs no program except Python."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.preloaded import REPOSITORY

A_SERVER = "tests/project/test_support.py::test_orthanc_clear"
A_BROWSER = "tests/report/test_run_page.py::test_a_successful_run_says_so"
A_TOOL = "tests/dicom/transcode/test_vr_encodings.py::test_explicit_to_implicit_keeps_every_value"
OPENSSL = "tests/gear/test_tls.py::test_the_example_of_the_documentation"
A_PYTHON_SERVER = "tests/project/test_support.py::test_python_scp_accepts_a_private_class"
A_SITE = "tests/gear/test_server_check.py::test_a_name_of_the_local_machine_works"
NEITHER = "tests/test_retry.py::test_equal_waits_are_an_interval"


@pytest.mark.slow
@pytest.mark.parametrize("has_programs", [True, False])
def test_tests_that_start_programs_are_skipped(tmp_path: Path, has_programs: bool) -> None:
    """They are skipped and never fail, even if their programs are missing."""
    path = os.environ["PATH"] if has_programs else str(tmp_path)
    selected = [A_SERVER, A_BROWSER, A_TOOL, OPENSSL, A_PYTHON_SERVER, A_SITE, NEITHER]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "--no-servers", *selected],
        cwd=REPOSITORY,
        env={**os.environ, "PATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout
    *_, counts = ended.stdout.splitlines()
    assert counts.startswith("3 passed, 7 skipped in ")
