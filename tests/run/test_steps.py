"""Datasets are closed immediately, not by garbage collection."""

import signal
from collections.abc import Collection
from functools import partial
from pathlib import Path
from threading import Event

import pytest

from fw_gear_dicom_send.delivery.results import NotSent, Sent, Suspect
from fw_gear_dicom_send.delivery.sender import QueryError
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.exit_codes import exit_code
from fw_gear_dicom_send.models import DownloadFailure, FileEntry, ImageRecord
from fw_gear_dicom_send.reasons import Kind, Reason
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.known_images import KnownImages
from fw_gear_dicom_send.run.steps import Resources, is_missing, send
from fw_gear_dicom_send.source import Fetcher
from tests.support.closing import nothing_left_open
from tests.support.sample_files import uid_of
from tests.support.signals import signal_at_thread
from tests.support.steps import CONFIG, Folder, Sender

PATIENCE = 30
THREADS = 3
"""Threads of a run: one for downloads, and one for each association."""


class Stored(KnownImages):
    """Images that are already on the server."""

    def __init__(self, uids: Collection[str]) -> None:
        super().__init__()
        self.seen: list[SOPInstance] = []
        self._uids = uids

    def is_on_server(self, instance: SOPInstance) -> bool:
        """Return whether the server has an image, and keep the image."""
        self.seen.append(instance)
        return instance.sop_instance_uid in self._uids


@pytest.fixture
def files(tmp_path: Path) -> Folder:
    """Three files with one image each."""
    return Folder(tmp_path, (1, 2, 3))


def test_an_existing_image_is_closed(files: Folder, tmp_path: Path) -> None:
    """It counts as stored and is not sent."""
    sender, stored = Sender(), Stored({uid_of(1), uid_of(3)})
    counts = FileCounts(files.entries)
    send(Resources(CONFIG, files, tmp_path, sender, Observer(), known=stored), counts)
    assert sender.uids == [uid_of(2)]
    assert len(stored.seen) == 3
    assert all(image.dataset.source.closed for image in stored.seen)
    assert [(row.images, row.stored) for row in counts.reports()] == [(1, 1)] * 3


class Unanswered(KnownImages):
    """Images of a server that answers no query."""

    def is_on_server(self, instance: SOPInstance) -> bool:  # noqa: ARG002
        """Fail."""
        raise QueryError(Reason(Kind.QUERY_FAILED, "no"))


def test_an_image_that_cannot_be_looked_up_is_sent(files: Folder, tmp_path: Path) -> None:
    """It does not count as existing, and has a remark."""
    sender = Sender()
    counts = FileCounts(files.entries)
    send(Resources(CONFIG, files, tmp_path, sender, Observer(), known=Unanswered()), counts)
    assert sorted(sender.uids) == [uid_of(1), uid_of(2), uid_of(3)]
    assert sender.remarks == [(Reason(Kind.NOT_LOOKED_UP, "no"),)] * 3
    assert [(row.sent, row.already_stored) for row in counts.reports()] == [(1, 0)] * 3


def test_an_image_that_is_not_requested_is_closed(files: Folder, tmp_path: Path) -> None:
    """When a file is resent, its images that have arrived are skipped."""
    sender = Sender()
    first, second, third = files.entries
    wanted = {first: frozenset[str](), second: frozenset({uid_of(2)}), third: frozenset({"1.2"})}
    resources = Resources(CONFIG, files, tmp_path, sender, Observer())
    with nothing_left_open():
        send(resources, FileCounts(files.entries), partial(is_missing, resources, wanted))
    assert sender.uids == [uid_of(2)]


class Rejecting(Sender):
    """Sender that rejects all images but the first, and keeps them."""

    def __init__(self) -> None:
        super().__init__()
        self.images: list[SOPInstance] = []
        self.were_open: list[bool] = []

    def send(  # type: ignore[override]
        self, instance: SOPInstance, earlier: Suspect | None = None
    ) -> Sent | NotSent:
        """Keep an image."""
        self.were_open.append(not instance.dataset.source.closed)
        self.images.append(instance)
        return (
            NotSent(Reason(Kind.REFUSED))
            if len(self.images) > 1
            else super().send(instance, earlier)
        )


def test_a_sent_or_rejected_image_is_closed_afterwards(files: Folder, tmp_path: Path) -> None:
    """It is open until its result is known."""
    sender = Rejecting()
    send(Resources(CONFIG, files, tmp_path, sender, Observer()), FileCounts(files.entries))
    assert sender.were_open == [True] * 3
    assert all(image.dataset.source.closed for image in sender.images)


class Held(Sender):
    """Sender that keeps its images until the end, like a server that is slow to answer."""

    def __init__(self) -> None:
        super().__init__()
        self._is_over = Event()

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent:
        """Send an image at the end."""
        self._is_over.wait(PATIENCE)
        return super().send(instance, earlier)

    def finish(self) -> None:
        """Release the images."""
        self._is_over.set()


@pytest.mark.parametrize("number", range(THREADS))
@pytest.mark.usefixtures("own_signals")
def test_a_signal_does_not_interrupt_the_start_of_threads(
    files: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """It ends the run after all starts, and each sent image is counted."""
    begun = signal_at_thread(monkeypatch, number, signal.SIGTERM)
    sender, counts = Held(), FileCounts(files.entries)
    resources = Resources(CONFIG, files, tmp_path, sender, Observer())
    assert exit_code(lambda: send(resources, counts) or 0) == 128 + signal.SIGTERM
    assert len(begun) == THREADS
    assert not any(thread.is_alive() for thread in begun)
    assert sum(row.sent for row in counts.reports()) == len(sender.uids)


class SignalledObserver(Observer):
    """Observer that gets a signal at the first image."""

    def __init__(self) -> None:
        self.images = 0

    def image(self, record: ImageRecord) -> None:
        """Count an image."""
        assert record.sop_instance_uid
        signal.raise_signal(signal.SIGTERM)
        self.images += 1


@pytest.mark.usefixtures("own_signals")
def test_a_signal_does_not_interrupt_the_count_of_an_image(files: Folder, tmp_path: Path) -> None:
    """It ends the run after an image was counted."""
    counts, observer = FileCounts(files.entries), SignalledObserver()
    resources = Resources(CONFIG, files, tmp_path, Sender(), observer)
    assert exit_code(lambda: send(resources, counts) or 0) == 128 + signal.SIGTERM
    assert observer.images == sum(row.sent for row in counts.reports()) > 0


class Crowded(Folder):
    """Source without room for a file while another one is in the work folder."""

    def __init__(self, path: Path, images: Collection[int]) -> None:
        super().__init__(path, images)
        self.failures = 0
        self.lying: list[Path] = []

    def fetcher(self, _: Path) -> Fetcher:
        """Return a function that fails while there is no room."""

        def fetch(entry: FileEntry) -> Path | DownloadFailure:
            if self.lying:
                self.failures += 1
                return DownloadFailure(Reason(Kind.DOWNLOAD_NOT_WRITTEN, "No space left on device"))
            self.lying.append(self.path / entry.name)
            return self.lying[0]

        return Fetcher(fetch)

    def release(self, path: Path) -> None:
        """Make room."""
        self.lying.remove(path)


def test_a_download_waits_for_the_previous_file_to_leave(tmp_path: Path) -> None:
    """A work folder with room for one file is sufficient."""
    files = Crowded(tmp_path, range(20))
    counts = FileCounts(files.entries)
    send(Resources(CONFIG, files, tmp_path, Sender(), Observer()), counts)
    assert [row.sent for row in counts.reports()] == [1] * 20


def test_a_download_that_never_fits_fails(tmp_path: Path) -> None:
    """The failure is reported, and the run ends."""
    files = Crowded(tmp_path, [1])
    files.lying.append(tmp_path)
    counts = FileCounts(files.entries)
    send(Resources(CONFIG, files, tmp_path, Sender(), Observer()), counts)
    (row,) = counts.reports()
    assert [remark.kind.code for remark in row.remarks] == ["download-not-written"]
    assert files.failures == 1
