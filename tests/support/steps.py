"""Test doubles for the steps of a run: files on disk, and senders without a server."""

from collections.abc import Collection
from pathlib import Path
from threading import Lock

from fw_gear_dicom_send.delivery.results import Sent, Suspect
from fw_gear_dicom_send.dicom.types import SOPInstance
from fw_gear_dicom_send.models import Container, FileEntry
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.reasons import Reason
from fw_gear_dicom_send.source import Fetcher
from tests.support.configs import send_config
from tests.support.results import sent
from tests.support.sample_files import encoded, made

CONFIG = send_config(
    PeerAE("pacs.example.org", 104, "PACS", "flywheel"),
    send_retry_time=0,
    associations=2,
    report_files=(),
)


class Folder:
    """Files that are already on disk; `released` lists the released ones."""

    def __init__(self, path: Path, images: Collection[int] = ()) -> None:
        """Write a file for each image."""
        self.entries: list[FileEntry] = []
        self.released: list[str] = []
        self.path = path
        for number in images:
            (path / f"{number}.dcm").write_bytes(encoded(made(number)))
            self.add(f"{number}.dcm")

    def add(self, name: str) -> FileEntry:
        """Add an existing file."""
        entry = FileEntry(Container("session", "s"), name, f"lab/{name}")
        self.entries.append(entry)
        return entry

    def fetcher(self, _: Path) -> Fetcher:
        """Return a callable that returns the path of a file."""
        return Fetcher(lambda entry: self.path / entry.name)

    def release(self, path: Path) -> None:
        """Leave the file in place."""
        self.released.append(path.name)


class Healthy:
    """Health of a server that accepts every image."""

    given_up = None


class Sender:
    """Sender that accepts every image."""

    health = Healthy()
    images_per_request = 1

    def __init__(self) -> None:
        """Start without sent images."""
        self.uids: list[str] = []
        self.remarks: list[tuple[Reason, ...]] = []
        self._lock = Lock()

    def send(self, instance: SOPInstance, earlier: Suspect | None = None) -> Sent:  # noqa: ARG002
        """Record an image."""
        with self._lock:
            self.uids.append(instance.sop_instance_uid)
            self.remarks.append(instance.remarks)
        return sent()

    def trim(self, number: int) -> None:
        """Do nothing: the sender has no connections."""

    def finish(self) -> None:
        """Do nothing: the sender keeps no images."""

    def abort(self) -> None:
        """Do nothing."""
