"""Machine and software versions of the measurements."""

import json
import os
import platform
import re
import subprocess
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

from benchmarks.results import Machine

MANIFEST = Path(__file__).resolve().parents[1] / "manifest.json"
LIBRARIES = ("pynetdicom", "pydicom")


def this_machine() -> Machine:
    """Describe the machine; only Linux provides all details."""
    found = re.search(r"^model name\s*:\s*(.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    return Machine(
        cpu=found[1] if found else platform.machine(),
        cores=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        system=platform.freedesktop_os_release()["PRETTY_NAME"],
        kernel=platform.release(),
        versions={
            "dicom-send": json.loads(MANIFEST.read_text())["version"],
            "Python": platform.python_version(),
            **{library: version(library) for library in LIBRARIES},
            **dict(_program_versions()),
        },
    )


def _program_versions() -> Iterator[tuple[str, str]]:
    path = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    for name, program in (("DCMTK", "dcmsend"), ("Orthanc", "Orthanc")):
        told = subprocess.run(  # noqa: S603 - the benchmark's own commands
            [program, "--version"],
            capture_output=True,
            text=True,
            env=os.environ | path,
            check=False,
        )
        found = re.search(r"\d+\.\d+\.\d+", told.stdout)
        yield name, found[0] if found else "unknown"
