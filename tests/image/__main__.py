"""Run the gear's image like the engine, and check the results.

python -m tests.image IMAGE

The container has a read-only root file system, a random uid, only the manifest's environment, and
the network of this process, which should have no external access.
"""

import csv
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pydicom
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from tests.support import wording
from tests.support.certificates import HOST, issue
from tests.support.flywheel_http import Upload
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import MOUNTED, GearFolder
from tests.support.pacs import PythonSCP, StoreSCP
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of

PLACE = "/flywheel/v0"
MAX_USER_ID = 1 << 30
RUN_SECONDS = 60
MAX_MEGABYTES = 600
TAG = (0x0021, 0x1000)


class CheckError(Exception):
    """A check has failed."""


@dataclass(frozen=True)
class Ended:
    """Container that has ended."""

    exit_code: int
    output: str


@dataclass(frozen=True)
class Image:
    """Image under test."""

    name: str

    def start(self, gear: GearFolder, name: str) -> "subprocess.Popen[str]":
        """Start the manifest's command in a container, like the engine."""
        manifest = json.loads((gear.folder / "manifest.json").read_text())
        environment: dict[str, str] = manifest["environment"]
        (gear.folder / "config.json").write_text(json.dumps(_inside(gear)))
        for folder in ("output", "work"):
            (gear.folder / folder).chmod(0o777)
        uid = random.randrange(2000, MAX_USER_ID)
        mounts = [f"--volume={gear.folder / item}:{PLACE}/{item}" for item in MOUNTED]
        return subprocess.Popen(
            [
                *("podman", "run", "--rm", f"--name={name}", "--network=host"),
                *("--read-only", "--read-only-tmpfs=false", f"--user={uid}:{uid}"),
                *mounts,
                *(f"--workdir={PLACE}", "--entrypoint=", self.name),
                # The engine ignores the variables of the image.
                *("env", "-i", *(f"{key}={value}" for key, value in environment.items())),
                *("/bin/sh", "-c", manifest["command"]),
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, gear: GearFolder) -> Ended:
        """Run the gear to its end."""
        process = self.start(gear, f"dicom-send-test-{os.getpid()}")
        output, _ = process.communicate(timeout=RUN_SECONDS)
        return Ended(process.returncode, output)

    def shell(self, script: str) -> str:
        """Return the output of a script in the image, run as the image's own user."""
        return subprocess.run(
            [
                *("podman", "run", "--rm", "--network=none", "--entrypoint=", self.name),
                *("/bin/sh", "-c", script),
            ],
            capture_output=True,
            text=True,
            check=True,
        ).stdout

    def megabytes(self) -> float:
        """Return the image size including its base."""
        inspected = subprocess.run(
            ["podman", "image", "inspect", "--format={{.Size}}", self.name],
            capture_output=True,
            text=True,
            check=True,
        )
        return int(inspected.stdout) / 1e6


def _inside(gear: GearFolder) -> Mapping[str, object]:
    """Return config.json with the container paths of the inputs."""
    text = json.dumps(gear.config).replace(str(gear.folder), PLACE)
    return dict(json.loads(text))


def main(argv: Sequence[str]) -> int:
    """Run each check; return 0 if all succeed."""
    image = Image(argv[0])
    failed = 0
    sys.stdout.write(f"{image.name} has {image.megabytes():.0f} MB with its base\n")
    for check in CHECKS:
        try:
            with tempfile.TemporaryDirectory(prefix="image-test-") as folder:
                check(image, Path(folder))
            outcome = "ok"
        except (CheckError, subprocess.SubprocessError) as error:
            failed += 1
            outcome = f"FAILED: {error}"
        sys.stdout.write(f"{(check.__doc__ or '').splitlines()[0]} {outcome}\n")
        sys.stdout.flush()
    sys.stdout.write(f"{len(CHECKS) - failed} passed, {failed} failed\n")
    return 1 if failed else 0


def network_is_isolated(_: Image, __: Path) -> None:
    """The network contains only this test."""
    interfaces = [path.name for path in Path("/sys/class/net").iterdir()]
    flags = Path("/proc/net/route").read_text().splitlines()[1:]
    expect(flags == [], f"there are routes, and the interfaces {interfaces}")


def image_is_small_and_clean(image: Image, _: Path) -> None:
    """The image is small, world-readable, does not run as root, and has no tools or caches."""
    expect(image.megabytes() < MAX_MEGABYTES, f"it has {image.megabytes():.0f} MB")
    expect(image.shell("id -u") == "1000\n", "it runs as root")
    found = image.shell(
        "find /flywheel/v0 /opt/venv ! -type l ! -perm -o=r; "
        "find /flywheel/v0 /opt/venv ! -type l -perm -o=w; "
        "find /root/.cache /opt/build /opt/venv/bin/pip 2>/dev/null; "
        "find /opt/venv/lib/*/site-packages -maxdepth 1 "
        "-name pip -o -name setuptools -o -name flywheel; "
        "command -v gcc; true"
    )
    expect(not found, f"it has {found.split()[:5]}")
    listed = set(image.shell(f"ls {PLACE}").split())
    wanted = {"LICENSE", "fw_gear_dicom_send", "manifest.json", "run.py", "input", "output", "work"}
    expect(listed - {"__pycache__"} == wanted, f"it has {sorted(listed)}")
    environment = json.loads((Path("manifest.json")).read_text())["environment"]
    paths = image.shell('echo "$PATH"').strip()
    expect(paths == environment["PATH"], f"its PATH is {paths}, the manifest's another one")


def session_is_sent(image: Image, folder: Path) -> None:
    """A session is sent to a server without compressed syntaxes, and is reported."""
    compressed = made(3)
    compressed.compress(RLELossless)
    members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in (1, 2)]
    archive = zip_of(folder / "a.zip", [*members, ArchiveMember("3.dcm", encoded(compressed))])
    with (
        FlywheelSite() as site,
        PythonSCP(
            {"1.2.840.10008.5.1.4.1.1.2": [ExplicitVRLittleEndian, ImplicitVRLittleEndian]}
        ) as scp,
    ):
        gear = _gear(folder, site, archive, scp.port)
        ended = image.run(gear)
        tagged = [
            pydicom.dcmread(_written(folder, request.file())).get(TAG) for request in scp.stored
        ]
        expect(ended.exit_code == 0, ended.output)
        expect([element.value for element in tagged if element] == ["DICOM send"] * 3, str(tagged))
        expect(_rows(site.reports) == [("a.zip", "3", "3", "Complete")], ended.output)
    expect(not list((gear.folder / "work").iterdir()), "something is left in work/")
    expect(_left(gear) == [], "something is left in output/")


def session_is_sent_over_tls(image: Image, folder: Path) -> None:
    """An input file is sent over TLS with a key that only the engine has."""
    identity = issue(folder / "tls")
    options = ("+tls", str(identity.key), str(identity.cert), "+cf", str(identity.ca), "+xa")
    with FlywheelSite() as site, StoreSCP(*options) as scp:
        gear = _gear(folder, site, encoded(made(1)), scp.port, tls_enabled=True)
        for name, path in (
            ("key", identity.key),
            ("cert", identity.cert),
            ("add_cert_file", identity.ca),
        ):
            path.chmod(0o644)
            gear.give(path.name, path, parent_id="p", input_name=name)
        ended = image.run(gear)
        expect(ended.exit_code == 0, ended.output)
        expect(len(scp.received()) == 1, ended.output)
        expect("server certificate: " in ended.output, ended.output)


def rejected_report_is_left_for_the_engine(image: Image, folder: Path) -> None:
    """With a read-only key, the reports are left in output/."""
    with FlywheelSite(upload_status=403) as site, PythonSCP() as scp:
        gear = _gear(folder, site, encoded(made(1)), scp.port)
        ended = image.run(gear)
    expect(ended.exit_code == 0, ended.output)
    reports = _left(gear)
    expect([path.suffix for path in reports] == [".csv", ".html", ".csv", ".json"], str(reports))
    expect(reports[0].read_text().endswith("1,1,Complete\n"), reports[0].read_text())


def cancelled_job_is_reported(image: Image, folder: Path) -> None:
    """SIGTERM to the container ends the run gracefully with its report."""
    answered: list[int] = []

    def answer_slowly(_: object) -> int:
        answered.append(1)
        time.sleep(0.5)
        return 0x0000

    archive = zip_of(
        folder / "a.zip", [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in range(100)]
    )
    with FlywheelSite() as site, PythonSCP(status=answer_slowly) as scp:
        name = f"dicom-send-cancel-{os.getpid()}"
        process = image.start(_gear(folder, site, archive, scp.port), name)
        deadline = time.monotonic() + RUN_SECONDS
        while not answered and time.monotonic() < deadline:
            time.sleep(0.05)
        begun = time.monotonic()
        subprocess.run(["podman", "kill", "--signal=TERM", name], check=True, capture_output=True)
        output, _ = process.communicate(timeout=RUN_SECONDS)
        expect(time.monotonic() - begun < 12, "it took too long")
        expect(process.returncode == 1, output)
        expect(f"{wording.STOPPED_BY} SIGTERM" in output, output)
        expect(_rows(site.reports)[0][3] == "Incomplete", output)


CHECKS: tuple[Callable[[Image, Path], None], ...] = (
    network_is_isolated,
    image_is_small_and_clean,
    session_is_sent,
    session_is_sent_over_tls,
    rejected_report_is_left_for_the_engine,
    cancelled_job_is_reported,
)


def expect(holds: bool, otherwise: str) -> None:
    """Raise CheckError if a condition is false."""
    if not holds:
        raise CheckError(otherwise)


def _gear(
    folder: Path, site: FlywheelSite, content: bytes | Path, port: int, **options: object
) -> GearFolder:
    project = site.add_project(site.add_group("lab"), "Study")
    session = site.add_session(site.add_subject(project, "sub-01"), "visit 1")
    name = "a.zip" if isinstance(content, Path) else "a.dcm"
    site.add_file(site.add_acquisition(session, "CT"), name, content, file_type="dicom")
    config = {"destination": HOST, "port": port, "called_ae": "PACS"} | options
    return GearFolder(folder / "v0", config, api_key=site.api_key, destination_id=session)


def _left(gear: GearFolder) -> list[Path]:
    """Return the files in output/ that the engine attaches: all except the metadata."""
    left = sorted((gear.folder / "output").iterdir())
    return [path for path in left if path.name != ".metadata.json"]


def _rows(uploads: Sequence[Upload]) -> list[tuple[str, ...]]:
    lines = [line for upload in uploads for line in upload.content.decode().splitlines()]
    return [tuple(row[2:]) for row in csv.reader(lines[1:])]


def _written(folder: Path, content: bytes) -> Path:
    path = folder / "received.dcm"
    path.write_bytes(content)
    return path


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
