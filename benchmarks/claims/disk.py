"""Peak disk space of a run."""

import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydicom import dcmread

from benchmarks.claims.gear_runs import ASSOCIATIONS, check, gear_for
from benchmarks.claims.outcome import Outcome
from benchmarks.datasets import make_multiframe
from tests.support.footprint import Peak, bytes_on_disk
from tests.support.pacs import StoreSCP

ARCHIVES = 10
IMAGES_IN_ARCHIVE = 4
FRAMES = 10
FRAMES_OF_PLAIN_FILE = 100
ARCHIVES_AT_ONCE = 3
IMAGES_AT_ONCE = 2 * ASSOCIATIONS
PAUSE = 0.005
SLOW = ("--sleep-after", "1")


@dataclass(frozen=True)
class Session:
    """Files of a session, and their maximum total size on disk, in bytes."""

    files: tuple[Path, ...]
    bound: int

    @property
    def size(self) -> int:
        """Total size of all files, in bytes."""
        return sum(file.stat().st_size for file in self.files)


def measure(scale: float, work: Path) -> Iterator[Outcome]:
    """Watch the work folder of a run to a very slow server."""
    session = _session(scale, work)
    with (
        StoreSCP("--ignore", "--fork", *SLOW) as server,
        gear_for(session.files, server.port, server.ae_title, work / "v0") as gear,
    ):
        running = gear.start()
        look = partial(bytes_on_disk, gear.folder / "work", running.pid)
        with Peak(look, PAUSE) as peak:
            result = running.finish()
        check(result)
    yield Outcome(
        claim=f"Bytes on disk at once, of a session of {len(session.files)} files "
        f"({session.size / 1e6:.0f} MB) to a slow server",
        bound=f"at most {session.bound / 1e6:.0f} MB, which are {ARCHIVES_AT_ONCE} archives and "
        f"{IMAGES_AT_ONCE} images",
        measured=f"{peak.value / 1e6:.0f} MB",
        holds=0 < peak.value <= session.bound,
        details=(f"{peak.looks} looks in {result.seconds:.1f} s",),
    )


def _session(scale: float, work: Path) -> Session:
    """Create zips of 20 MB, and two files of 50 MB that are one image each."""
    for name in ("image", "plain"):
        (work / name).mkdir()
    image = make_multiframe(work / "image", max(int(FRAMES * scale), 4)).flywheel_file
    plain = make_multiframe(work / "plain", int(FRAMES_OF_PLAIN_FILE * scale)).flywheel_file
    archives = [work / f"{number}.zip" for number in range(ARCHIVES)]
    for path in archives:
        with zipfile.ZipFile(path, "x", zipfile.ZIP_STORED) as target:
            for number in range(IMAGES_IN_ARCHIVE):
                target.writestr(f"{number}.dcm", _another(image, f"{path.stem}{number}"))
    plain.write_bytes(_another(plain, "98"))
    copy = plain.with_name("another.dcm")
    copy.write_bytes(_another(plain, "99"))
    middle = ARCHIVES // 2
    # A file that is a single image counts as an image and not also as an archive.
    images = [plain.stat().st_size] * 2 + [image.stat().st_size] * (IMAGES_AT_ONCE - 2)
    return Session(
        files=(*archives[:middle], plain, copy, *archives[middle:]),
        bound=ARCHIVES_AT_ONCE * archives[0].stat().st_size + sum(images),
    )


def _another(image: Path, number: str) -> bytes:
    """Return an image with another SOP Instance UID of the same length that ends in `number`."""
    uid = str(dcmread(image, stop_before_pixels=True).SOPInstanceUID)
    changed = uid[: -len(number)] + number
    return image.read_bytes().replace(uid.encode(), changed.encode())
