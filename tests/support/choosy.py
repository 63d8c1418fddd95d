"""Server that rejects some images, and runs of the sending steps against it."""

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock

from fw_gear_dicom_send.delivery.results import NotSent
from fw_gear_dicom_send.models import Container, DownloadFailure, FileEntry, FileReport, ImageRecord
from fw_gear_dicom_send.network.store import StorageSCU
from fw_gear_dicom_send.network.timeouts import Timeouts
from fw_gear_dicom_send.network.transport import Transport
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.retry import RetryPolicy
from fw_gear_dicom_send.run.quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from fw_gear_dicom_send.run.steps import Resources, send
from fw_gear_dicom_send.source import Fetcher
from tests.support.clock import Clock
from tests.support.configs import send_config
from tests.support.fault_scp import FaultSCP, Peer
from tests.support.peers import peer_of
from tests.support.results import reason_with
from tests.support.sample_files import ArchiveMember, encoded, made, uid_of, zip_of
from tests.support.sending import unconverted
from tests.support.waiting import LONG_TIMEOUTS


@dataclass
class Choosy:
    """Server that aborts the association for some images and rejects others with A7xx.

    This happens `times` per image, or always. `tries` counts the requests for each image.
    """

    killers: Collection[int] = ()
    refused: Collection[int] = ()
    times: float = float("inf")
    status: int = 0xA700
    tries: Counter[str] = field(default_factory=Counter)
    _lock: Lock = field(default_factory=Lock)

    def __call__(self, peer: Peer) -> None:
        """Accept the association and answer its images."""
        peer.accept()
        killers, refused = (set(map(uid_of, some)) for some in (self.killers, self.refused))
        while True:
            image = peer.read_image()
            uid = image.sop_instance_uid
            with self._lock:
                self.tries[uid] += 1
                is_bad = self.tries[uid] <= self.times
            if uid in killers and is_bad:
                peer.abort()
                return
            peer.answer(image, self.status if uid in refused and is_bad else 0)


class Archives:
    """Zips on disk with images of these numbers; `fetched` lists each file that was read.

    Files in `lost` can be read only once.
    """

    def __init__(self, folder: Path, *images: Sequence[int]) -> None:
        self.fetched: list[str] = []
        self.lost: set[str] = set()
        self.entries = []
        self._folder = folder
        for number, numbers in enumerate(images):
            members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in numbers]
            path = zip_of(folder / f"{number}.zip", members)
            size = path.stat().st_size
            self.entries.append(
                FileEntry(Container("session", "s"), path.name, f"lab/{path.name}", size)
            )

    def fetcher(self, _: Path) -> Fetcher:
        """Return a callable that returns the path of a file."""
        return Fetcher(self._fetch)

    def release(self, path: Path) -> None:
        """Leave the file in place."""

    def _fetch(self, entry: FileEntry) -> Path | DownloadFailure:
        is_lost = entry.name in self.lost and entry.name in self.fetched
        self.fetched.append(entry.name)
        return DownloadFailure(reason_with("lost")) if is_lost else self._folder / entry.name


class Records(Observer):
    """Records of the images in order, and of the files that are done."""

    def __init__(self) -> None:
        self.images: list[ImageRecord] = []
        self.files: list[FileReport] = []

    def image(self, record: ImageRecord) -> None:
        """Record an image."""
        self.images.append(record)

    def file(self, report: FileReport) -> None:
        """Record a file."""
        self.files.append(report)


@dataclass
class Run:
    """Run of the sending steps, and its outcome."""

    records: Records
    rows: list[FileReport]
    waits: list[float]

    @property
    def not_sent(self) -> dict[int, NotSent]:
        """Reasons of the images that were not sent, by image number."""
        return {
            number_of(one.sop_instance_uid): one.result
            for one in self.records.images
            if isinstance(one.result, NotSent)
        }

    @property
    def order(self) -> list[int]:
        """Numbers of the images in the order in which they were reported."""
        return [number_of(one.sop_instance_uid) for one in self.records.images]


def number_of(uid: str) -> int:
    """Return the number of an image."""
    return int(uid.rpartition(".")[2])


def run_steps(
    server: FaultSCP,
    source: Archives,
    folder: Path,
    *,
    associations: int = 1,
    retry_time: float = 300,
    timeouts: Timeouts = LONG_TIMEOUTS,
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE,
    records: Records | None = None,
    clock: Clock | None = None,
) -> Run:
    """Send all images of a source, on a clock that never really waits."""
    records, counts = records or Records(), FileCounts(source.entries)
    clock = clock or Clock(tick=1e-6)
    config = send_config(
        peer_of(server),
        send_retry_time=retry_time,
        associations=associations,
        report_files=(),
    )
    scu = StorageSCU(
        peer_of(server),
        unconverted,
        associations=associations,
        retry_time=retry_time,
        transport=Transport(timeouts=timeouts),
        policy=RetryPolicy(min_wait=2, jitter=False, clock=clock),
    )
    send(Resources(config, source, folder, scu, records, quarantine=quarantine), counts)
    scu.close()
    return Run(records, counts.reports(), [wait for wait in clock.waits if wait])
