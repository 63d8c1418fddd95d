"""Imports of the entry points before their real work."""

import json
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.flywheel_site import FlywheelSite
from tests.support.gear_runs import gear_on
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.preloaded import REPOSITORY, unmeasured
from tests.support.sample_files import TEST_FILES, encoded, made
from tests.support.send_command import rows_of, to

pytestmark = pytest.mark.slow

HEAVY = {
    "asyncio",
    "backoff",
    "cryptography",
    "flywheel",
    "fw_core_client",
    "gdcm",
    "imagecodecs",
    "inflate64",
    "numpy",
    "pydantic",
    "pydicom",
    "pynetdicom",
    "requests",
    "rich",
    "shtab",
}
"""Libraries that take at least 0.03 s to import."""
MAX_GEAR_MODULES = 700
UNUSED = {
    "concurrent.futures.thread",
    "dataclasses",
    "email",
    "encodings.idna",
    "html",
    "importlib.metadata",
    "inspect",
    "mimetypes",
    "platform",
    "ssl",
    "subprocess",
    "xml",
}
"""Modules of Python that neither help nor a run without TLS needs, 5 to 40 ms each."""
UNUSED_BY_HELP = UNUSED | {"csv", "json", "socket", "tarfile", "tempfile", "tomllib", "zipfile"}
SERIES = TEST_FILES / "dicomdirtests/77654033/CT2"
COMMAND = """
import sys
before = set(sys.modules)
from fw_gear_dicom_send.cli.main import main
try:
    main(sys.argv[1:])
finally:
    names = sorted(set(sys.modules) - before)
    import json
    print("\\n" + json.dumps(names))
"""
INTERRUPTED = """
import signal, sys
class Finder:
    def find_spec(self, name, path, target=None):
        if name == "fw_gear_dicom_send.cli.main":
            signal.raise_signal(signal.SIGINT)
sys.meta_path.insert(0, Finder())
from fw_gear_dicom_send.__main__ import main
main()
"""
GEAR = """
import json, sys
import run
imported = sorted(sys.modules)
import flywheel, numpy
print(json.dumps(imported))
"""
STAMP = """
import json, sys
from pathlib import Path
from fw_gear_dicom_send.dicom.part10 import skips
from fw_gear_dicom_send.dicom.stamp import stamp
from fw_gear_dicom_send.dicom.types import PrivateTag
from fw_gear_dicom_send.dicom.uids import name_of
file = Path(sys.argv[1])
assert not skips(file.read_bytes()[:4096])
image = stamp(file.open("rb"), PrivateTag(0x21, "Flywheel", "DICOM send"), file.parent)
assert name_of(image.sop_class_uid) == "CT Image Storage"
assert name_of(image.transfer_syntax_uid) == "Explicit VR Little Endian"
print(json.dumps(sorted(sys.modules)))
"""


def imported(code: str, *arguments: str) -> set[str]:
    """Return the modules that a program has imported, from the JSON in its last line of output."""
    run = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=REPOSITORY,
        env=unmeasured(),
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
def test_help_and_usage_errors_import_few_modules(arguments: list[str]) -> None:
    """Neither help nor a usage error needs a library."""
    assert imported(COMMAND, *arguments) & HEAVY == set()


@pytest.mark.parametrize("option", ["--help", "--help-all", "--version"])
def test_a_text_needs_the_table_of_options_only(option: str) -> None:
    """No module for sending is imported, and few in all."""
    modules = imported(COMMAND, option)
    assert modules & UNUSED_BY_HELP == set()
    assert len(modules) < 110


def test_an_image_in_explicit_vr_needs_no_data_dictionary() -> None:
    """It is detected, stamped and named without pydicom, which takes 0.25 s to import."""
    assert imported(STAMP, str(SERIES / "17106")) & HEAVY == set()


def test_a_run_sends_without_libraries(storescp: StoreSCP, tmp_path: Path) -> None:
    """Images in explicit VR are sent and reported with none, and with few modules of Python."""
    arguments = (SERIES, *to(storescp), "--report-folder", tmp_path / "reports")
    modules = imported(COMMAND, *map(str, arguments))
    assert modules & (HEAVY | UNUSED) == set()
    assert len(modules) < 280
    assert [row["Images Sent"] for row in rows_of(tmp_path / "reports")] == ["4"]


def test_the_gear_imports_few_modules() -> None:
    """Its toolkit gets neither the SDK nor numpy, which can be imported later."""
    modules = imported(GEAR)
    assert modules & HEAVY == {"fw_core_client", "pydantic", "requests"}
    assert len(modules) < MAX_GEAR_MODULES


@pytest.mark.usefixtures("real_starts")
def test_a_session_is_sent_without_rare_modules(
    site: FlywheelSite, python_scp: PythonSCP, tmp_path: Path
) -> None:
    """This includes libraries for terminals, TLS and rare archives, queries and codecs."""
    project = site.add_project(site.add_group("lab"), "A")
    session = site.add_session(site.add_subject(project, "1"), "2")
    site.add_file(site.add_acquisition(session, "CT"), "1.dcm", encoded(made(1)))
    gear = gear_on(tmp_path, site, python_scp.port, session)
    gear.environment["PYTHONPROFILEIMPORTTIME"] = "1"
    result = gear.run()
    assert (result.exit_code, len(site.reports)) == (0, 1)
    # A package is listed even if its import fails; its modules are not.
    modules = set(re.findall(r"^import time:.*\| +(\w+\.[\w.]+)$", result.stderr, re.M))
    needed = {"fw_core_client", "pydantic", "requests"}
    assert {module.split(".")[0] for module in modules} & HEAVY == needed
    own = {"dicom.transcode", "dicomweb", "network.commitment", "network.query"}
    assert not modules & {f"fw_gear_dicom_send.{name}" for name in own}


@pytest.mark.skipif(sys.platform == "win32", reason="no signal ends a process there")
def test_ctrl_c_during_the_imports_ends_the_command_silently() -> None:
    """A user who sees a typing error at once gets no traceback."""
    run = subprocess.run(
        [sys.executable, "-c", INTERRUPTED], cwd=REPOSITORY, capture_output=True, check=False
    )
    assert (run.returncode, run.stdout, run.stderr) == (-signal.SIGINT, b"", b"")
