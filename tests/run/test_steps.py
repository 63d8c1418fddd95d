"""Datasets that are not sent are closed at once, not when Python gets to it."""

import gc
import warnings
from collections.abc import Callable, Collection
from pathlib import Path

import pytest

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.models import Container, FileEntry, SendConfig
from fw_gear_dicom_send.network.types import PeerAE, Sent
from fw_gear_dicom_send.report.events import Observer
from fw_gear_dicom_send.report.file_counts import FileCounts
from fw_gear_dicom_send.run.steps import Equipment, send
from tests.support.results import sent
from tests.support.sample_files import encoded, made, uid_of

CONFIG = SendConfig(
    peer=PeerAE("pacs.example.org", 104, "PACS", "flywheel"),
    tls=None,
    tag=None,
    send_retry_time=0,
    associations=2,
    report=False,
)


class Folder:
    """Files that are on disk already."""

    def __init__(self, path: Path, images: Collection[int]) -> None:
        self.entries = []
        self._path = path
        for number in images:
            name = f"{number}.dcm"
            (path / name).write_bytes(encoded(made(number)))
            self.entries.append(FileEntry(Container("session", "s"), name, f"lab/{name}"))

    def fetcher(self, _: Path) -> Callable[[FileEntry], Path]:
        """Return what tells where a file is."""
        return lambda entry: self._path / entry.name

    def release(self, path: Path) -> None:
        """Leave a file where it is."""


class Sender:
    """Sends whatever it is given, and closes it."""

    given_up = None

    def __init__(self) -> None:
        self.uids: list[str] = []

    def send(self, instance: SOPInstance) -> Sent:
        """Note an image."""
        self.uids.append(instance.sop_instance_uid)
        instance.dataset.close()
        return sent()


class Stored:
    """The images that the server has already."""

    def __init__(self, uids: Collection[str]) -> None:
        self.seen: list[SOPInstance] = []
        self._uids = uids

    def has(self, instance: SOPInstance) -> bool:
        """Tell whether it has an image, which is kept."""
        self.seen.append(instance)
        return instance.sop_instance_uid in self._uids


@pytest.fixture
def files(tmp_path: Path) -> Folder:
    """Three files of an image each."""
    return Folder(tmp_path, (1, 2, 3))


def test_an_image_that_the_server_has_is_closed(files: Folder, tmp_path: Path) -> None:
    """It counts as stored, and is not sent."""
    sender, stored = Sender(), Stored({uid_of(1), uid_of(3)})
    counts = FileCounts(files.entries)
    send(Equipment(CONFIG, files, tmp_path, sender, Observer(), stored), counts)
    assert sender.uids == [uid_of(2)]
    assert len(stored.seen) == 3
    assert all(image.dataset.source.closed for image in stored.seen)
    assert [(row.images, row.stored) for row in counts.reports()] == [(1, 1)] * 3


def test_an_image_that_is_not_wanted_is_closed(files: Folder, tmp_path: Path) -> None:
    """Of a file that is sent once more the images that have arrived are passed over."""
    sender = Sender()
    first, second, third = files.entries
    wanted = {first: frozenset[str](), second: frozenset({uid_of(2)}), third: frozenset({"1.2"})}
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        send(
            Equipment(CONFIG, files, tmp_path, sender, Observer()),
            FileCounts(files.entries),
            wanted,
        )
        gc.collect()
    assert sender.uids == [uid_of(2)]
    assert [warning for warning in caught if warning.category is ResourceWarning] == []
