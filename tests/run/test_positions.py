"""The record of an image says how much of its file is read."""

from pathlib import Path

from fw_gear_dicom_send.models import ImageRecord
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.steps import Resources, send
from tests.support.sample_files import ArchiveMember, encoded, made, zip_of
from tests.support.steps import CONFIG, Folder, Sender


class Positions(Observer):
    """Observer that keeps the positions of all images."""

    def __init__(self) -> None:
        self.seen: list[int] = []

    def image(self, record: ImageRecord) -> None:
        """Keep the position."""
        self.seen.append(record.position)


def test_positions_grow_up_to_the_size_of_the_file(tmp_path: Path) -> None:
    """Progress shows them."""
    files, observer = Folder(tmp_path), Positions()
    members = [ArchiveMember(f"{n}.dcm", encoded(made(n))) for n in range(3)]
    archive = zip_of(tmp_path / "a", members)
    files.add("a")
    send(Resources(CONFIG, files, tmp_path, Sender(), observer), FileCounts(files.entries))
    first, second, third = sorted(observer.seen)
    assert 0 < first < second < third <= archive.stat().st_size
