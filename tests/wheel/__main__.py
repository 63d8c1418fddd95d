"""Send an image with a wheel that is installed in an environment of its own.

python -m tests.wheel ENVIRONMENT [--without-extras]
"""

import subprocess
import sys
import tempfile
from pathlib import Path

from tests.support.gear import SYSTEM_PATH
from tests.support.instances import dataset_of
from tests.support.pacs import PythonSCP
from tests.support.preloaded import REPOSITORY
from tests.support.sample_files import encoded, made
from tests.support.send_command import to

MAX_SECONDS = 60
FIND_PACKAGE = "import fw_gear_dicom_send; print(fw_gear_dicom_send.__file__)"


def main(environment: Path, *options: str) -> None:
    """Check the installed files, and run each command in an empty folder.

    Without the packages of the extras, the batch command cannot run.
    """
    image = encoded(made(1))
    with tempfile.TemporaryDirectory() as name, PythonSCP() as server:
        folder = Path(name)
        (folder / "a.dcm").write_bytes(image)
        package = Path(run(folder, environment, "python", "-c", FIND_PACKAGE).strip()).parent
        batch = ended(folder, environment, "dicom-send-batch", "--help").returncode
        run(folder, environment, "dicom-send", "a.dcm", *to(server))
        received = [each.dataset for each in server.stored]
    source = REPOSITORY / package.name
    checks = {
        "the package is in the environment": package.is_relative_to(environment),
        "each file is installed": files_in(package) == files_in(source),
        "the manual pages are installed": all(
            is_same(environment / "share/man/man1", REPOSITORY / "docs", f"{command}.1")
            for command in ("dicom-send", "dicom-send-batch")
        ),
        "the image arrives unchanged": received == [dataset_of(image)],
        "the batch command has its packages": batch == (2 if options else 0),
    }
    for check, holds in checks.items():
        sys.stdout.write(f"{check}: {'ok' if holds else 'FAILED'}\n")
    failed = list(checks.values()).count(False)
    sys.stdout.write(f"{len(checks) - failed} passed, {failed} failed\n")
    sys.exit(failed)


def run(folder: Path, environment: Path, program: str, *arguments: object) -> str:
    """Run an installed program without the repository, and return its output."""
    done = ended(folder, environment, program, *arguments)
    done.check_returncode()
    return done.stdout


def ended(
    folder: Path, environment: Path, program: str, *arguments: object
) -> subprocess.CompletedProcess[str]:
    """Run an installed program without the repository until it ends."""
    return subprocess.run(
        [environment / "bin" / program, *map(str, arguments)],
        cwd=folder,
        env={"PATH": SYSTEM_PATH},
        stdout=subprocess.PIPE,
        text=True,
        timeout=MAX_SECONDS,
        check=False,
    )


def files_in(package: Path) -> dict[Path, bytes]:
    """Return the files in a folder without bytecode, by their paths relative to it."""
    return {
        path.relative_to(package): path.read_bytes()
        for path in package.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }


def is_same(one: Path, other: Path, name: str) -> bool:
    """Return whether two folders have the same file."""
    return (one / name).is_file() and (one / name).read_bytes() == (other / name).read_bytes()


if __name__ == "__main__":
    main(Path(sys.argv[1]).absolute(), *sys.argv[2:])
