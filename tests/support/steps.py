"""What the steps of a run are tested with: files on disk, and senders that send to nobody."""

from collections.abc import Collection
from pathlib import Path
from threading import Lock

from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.models import Container, FileEntry, SendConfig
from fw_gear_dicom_send.network.types import PeerAE, Sent
from fw_gear_dicom_send.source import Fetcher
from tests.support.results import sent
from tests.support.sample_files import encoded, made

CONFIG = SendConfig(
    peer=PeerAE("pacs.example.org", 104, "PACS", "flywheel"),
    tls=None,
    tag=None,
    send_retry_time=0,
    associations=2,
    report=False,
)


class Folder:
    """Files that are on disk already; `released` are those that were."""

    def __init__(self, path: Path, images: Collection[int] = ()) -> None:
        """Write a file for each image."""
        self.entries: list[FileEntry] = []
        self.released: list[str] = []
        self.path = path
        for number in images:
            (path / f"{number}.dcm").write_bytes(encoded(made(number)))
            self.add(f"{number}.dcm")

    def add(self, name: str) -> FileEntry:
        """Add a file that is there."""
        entry = FileEntry(Container("session", "s"), name, f"lab/{name}")
        self.entries.append(entry)
        return entry

    def fetcher(self, _: Path) -> Fetcher:
        """Return what tells where a file is."""
        return Fetcher(lambda entry: self.path / entry.name)

    def release(self, path: Path) -> None:
        """Leave a file where it is."""
        self.released.append(path.name)


class Sender:
    """Sends whatever it is given, and closes it."""

    given_up = None

    def __init__(self) -> None:
        """Begin with nothing sent."""
        self.uids: list[str] = []
        self._lock = Lock()

    def send(self, instance: SOPInstance) -> Sent:
        """Note an image."""
        with self._lock:
            self.uids.append(instance.sop_instance_uid)
        instance.dataset.close()
        return sent()

    def finish(self) -> None:
        """Let nothing go that is held."""

    def abort(self) -> None:
        """Do nothing more."""
