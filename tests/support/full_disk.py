"""Sources and senders without space on disk for some images."""

from collections import Counter
from collections.abc import Collection
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Lock

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.delivery.sender import Parallel
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import DownloadFailure, FileEntry, FileReport
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.earlier_reports import EarlierImage
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.known_images import KnownImages
from fw_gear_dicom_send.run.quarantine import DEFAULT_QUARANTINE, QuarantinePolicy
from fw_gear_dicom_send.run.steps import Resources, is_missing, send
from fw_gear_dicom_send.source import Fetcher
from fw_gear_dicom_send.values import replace
from tests.support.choosy import number_of
from tests.support.results import reason_with
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.steps import CONFIG, Folder, Sender
from tests.support.waiting import wait_for

NO_SPACE = NotSent(Reason(Kind.NO_SPACE))


class Disk(Folder):
    """Source of zips, which counts the files on disk and fails for some when read again."""

    def __init__(self, path: Path, *images: Collection[int]) -> None:
        super().__init__(path)
        self.fetched: list[str] = []
        self.lying: list[str] = []
        self.lost: set[str] = set()
        for number, numbers in enumerate(images):
            members = [ArchiveMember(f"{n}", encoded(made(n))) for n in numbers]
            self.add(zip_of(path / f"{number}.zip", members).name)

    @property
    def is_read_again(self) -> bool:
        """Whether a file was fetched again."""
        return len(self.fetched) > len(self.entries)

    def fetcher(self, _: Path) -> Fetcher:
        """Return a fetcher with two threads."""
        return Fetcher(self.fetch, Parallel.of(2))

    def fetch(self, entry: FileEntry) -> Path | DownloadFailure:
        """Put a file on disk."""
        is_lost = entry.name in self.lost and entry.name in self.fetched
        self.fetched.append(entry.name)
        if is_lost:
            return DownloadFailure(reason_with("lost"))
        self.lying.append(entry.name)
        return self.path / entry.name

    def release(self, path: Path) -> None:
        """Remove a file from disk."""
        self.lying.remove(path.name)


class Crowded(Sender):
    """Sender without space for some images in their first tries.

    `others` lists the numbers of images and files beside each image of a second reading.
    """

    def __init__(self, full: dict[int, float], disk: Disk | None = None) -> None:
        super().__init__()
        self.tries: Counter[int] = Counter()
        self.in_flight = 0
        self.others: list[int] = []
        self._full = full
        self._disk = disk
        self._counting = Lock()

    def send(  # type: ignore[override]
        self,
        instance: SOPInstance,
        earlier: Suspect | None = None,  # noqa: ARG002
    ) -> Sent | NotSent:
        """Send an image, or fail for lack of space."""
        number = number_of(instance.sop_instance_uid)
        with self._counting:
            self.tries[number] += 1
            self.in_flight += 1
        if self._disk and self._disk.is_read_again:
            wait_for(lambda: self.in_flight > 1, 0.1)
            self.others.append(self.in_flight - 1 + len(self._disk.lying) - 1)
        try:
            return self.answer(number, instance)
        finally:
            with self._counting:
                self.in_flight -= 1

    def answer(self, number: int, instance: SOPInstance) -> Sent | NotSent:
        """Decide by the number of tries."""
        if self.tries[number] > self._full.get(number, 0):
            return super().send(instance)
        return NO_SPACE


def rows(
    source: Folder,
    sender: Sender,
    *,
    associations: int = 4,
    observer: Observer | None = None,
    quarantine: QuarantinePolicy = DEFAULT_QUARANTINE,
    missing: dict[FileEntry, frozenset[str]] | None = None,
    sent: Collection[SOPInstance] = (),
) -> list[FileReport]:
    """Send all images, or those `missing` of the `sent` ones, and return the rows of the report."""
    counts = FileCounts(source.entries)
    config = replace(CONFIG, associations=associations)
    resources = Resources(
        config, source, source.path, sender, observer or Observer(), quarantine=quarantine
    )
    known = KnownImages()
    for image in sent:
        known.add(EarlierImage(image.sop_instance_uid, image.dataset.size, image.dataset.crc32()))
    first = replace(resources, known=known)
    wanted = [] if missing is None else [partial(is_missing, first, missing)]
    with suppress(CancelledError):
        send(resources, counts, *wanted)
    return counts.reports()


def codes(row: FileReport) -> list[tuple[str, int]]:
    """Return the codes of the failures of a row, each with its number of images."""
    return [(remark.kind.code, remark.images) for remark in row.remarks if remark.failure]
