"""A file of which a stopped run has read everything has no rest."""

from collections.abc import Callable
from pathlib import Path
from signal import Signals
from threading import Event

import pytest

from fw_gear_dicom_send.delivery.results import Sent, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.errors import CancelledError
from fw_gear_dicom_send.models import ImageRecord
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.steps import Resources, send
from tests.support.sample_files import ArchiveMember, encoded, made, tar_of, uid_of, zip_of
from tests.support.steps import CONFIG, Folder, Sender
from tests.support.waiting import PATIENCE


class Holding(Sender):
    """Sender that keeps one image until the run stops."""

    def __init__(self, number: int) -> None:
        super().__init__()
        self._held = uid_of(number)
        self._is_over = Event()

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent:
        """Send an image, or keep it."""
        if instance.sop_instance_uid == self._held:
            assert self._is_over.wait(PATIENCE)
        return super().send(instance, earlier)

    def finish(self) -> None:
        """Send the kept image."""
        self._is_over.set()


class Stop(Observer):
    """Observer that stops the run at an image."""

    def __init__(self, number: int) -> None:
        self._uid = uid_of(number)

    def image(self, record: ImageRecord) -> None:
        """Stop the run if this is the image."""
        if record.sop_instance_uid == self._uid:
            raise CancelledError(Signals.SIGTERM)


# The stopped run leaves the archive that it read to the garbage collector.
@pytest.mark.filterwarnings("default::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("pack", [zip_of, tar_of])
def test_an_archive_that_was_read_to_its_end_has_no_rest(
    tmp_path: Path, pack: Callable[[Path, list[ArchiveMember]], Path]
) -> None:
    """Its first image was in flight until the run stopped in the next file."""
    files = Folder(tmp_path)
    pack(tmp_path / "a", [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in (1, 2)])
    (tmp_path / "b").write_bytes(encoded(made(3)))
    files.add("a")
    files.add("b")
    counts = FileCounts(files.entries)
    with pytest.raises(CancelledError):
        send(Resources(CONFIG, files, tmp_path, Holding(1), Stop(3)), counts)
    assert [(row.images, row.sent, row.may_have_more) for row in counts.reports()] == [
        (2, 2, False),
        (1, 1, False),
    ]
