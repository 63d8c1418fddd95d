"""Storage SCPs to send to: Orthanc, DCMTK's storescp, and a scripted one of pynetdicom.

Each is a context manager that listens on a free port of 127.0.0.1 and leaves nothing behind.
"""

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import requests
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt, register_uid
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, uid_to_service_class

HOST = "127.0.0.1"
START_SECONDS = 30
START_ATTEMPTS = 3
SUCCESS = 0x0000


class ServerError(Exception):
    """A server is not installed or does not start."""


def free_port() -> int:
    """Return a TCP port of 127.0.0.1 that nothing listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


class _ServerProcess:
    """A server program in a process group and a temporary folder of its own."""

    program: str

    def __init__(self) -> None:
        self.port = 0
        self._process: subprocess.Popen[bytes] | None = None
        self._folder = Path()

    def _prepare(self) -> list[str]:
        """Choose ports, write into `_folder` what the program needs, return its arguments."""
        raise NotImplementedError

    def _ports(self) -> list[int]:
        return [self.port]

    def __enter__(self) -> Self:
        program = shutil.which(self.program, path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        if program is None:
            raise ServerError(f"{self.program} is not installed")
        for _ in range(START_ATTEMPTS):
            try:
                self._start(program)
                return self
            except ServerError as error:
                failure = error
        raise failure

    def _start(self, program: str) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix=f"{self.program}-"))
        try:
            arguments = self._prepare()
            with (self._folder / "log").open("wb") as log:
                self._process = subprocess.Popen(
                    [program, *arguments],
                    cwd=self._folder,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                    start_new_session=True,
                )
            self._wait_until_it_answers(self._process)
        except BaseException:
            self._end()
            raise

    def _wait_until_it_answers(self, process: "subprocess.Popen[bytes]") -> None:
        deadline = time.monotonic() + START_SECONDS
        waiting = self._ports()
        while waiting:
            if process.poll() is not None:
                raise ServerError(f"{self.program} ended at once; it printed:\n{self.output()}")
            if time.monotonic() > deadline:
                raise ServerError(f"{self.program} does not answer; it printed:\n{self.output()}")
            try:
                socket.create_connection((HOST, waiting[0]), timeout=1).close()
                waiting = waiting[1:]
            except OSError:
                time.sleep(0.02)

    def __exit__(self, *exception: object) -> None:
        self._end()

    def _end(self) -> None:
        self.kill()
        shutil.rmtree(self._folder, ignore_errors=True)

    def kill(self) -> None:
        """End the server at once, as a power cut would."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self._process = None

    def output(self) -> str:
        """Return what the server has printed."""
        return (self._folder / "log").read_text(errors="replace")


class Orthanc(_ServerProcess):
    """An Orthanc that takes every SOP class and transfer syntax.

    `settings` are any of Orthanc's configuration options, e.g. `DicomCheckCalledAet=True`.
    """

    program = "Orthanc"

    def __init__(self, ae_title: str = "ORTHANC", **settings: object) -> None:
        super().__init__()
        self.ae_title = ae_title
        self._settings = settings
        self._http_port = 0
        self._session = requests.Session()
        self._session.trust_env = False

    def _prepare(self) -> list[str]:
        self.port = free_port()
        self._http_port = free_port()
        settings: dict[str, object] = {
            "Name": "test",
            "StorageDirectory": str(self._folder / "storage"),
            "IndexDirectory": str(self._folder / "storage"),
            "HttpServerEnabled": True,
            "HttpPort": self._http_port,
            "RemoteAccessAllowed": False,
            "AuthenticationEnabled": False,
            "DicomServerEnabled": True,
            "DicomPort": self.port,
            "DicomAet": self.ae_title,
            "DicomCheckCalledAet": False,
            "DicomAlwaysAllowStore": True,
            "DicomAlwaysAllowEcho": True,
            "DicomAlwaysAllowFind": True,
            "AcceptedTransferSyntaxes": ["*"],
            "UnknownSopClassAccepted": True,
            "OverwriteInstances": True,
            "Plugins": [],
        }
        path = self._folder / "orthanc.json"
        path.write_text(json.dumps(settings | self._settings))
        return [str(path)]

    def _ports(self) -> list[int]:
        return [self.port, self._http_port]

    def __exit__(self, *exception: object) -> None:
        """End it."""
        self._session.close()
        super().__exit__(*exception)

    def get(self, path: str) -> requests.Response:
        """Ask Orthanc's REST API."""
        response = self._session.get(f"http://{HOST}:{self._http_port}{path}", timeout=60)
        response.raise_for_status()
        return response

    def ids(self) -> dict[str, str]:
        """Return Orthanc's id of each instance it has stored, by SOP Instance UID."""
        instances = self.get("/instances?expand").json()
        return {item["MainDicomTags"]["SOPInstanceUID"]: item["ID"] for item in instances}

    def files(self) -> Iterator[bytes]:
        """Yield the DICOM file of each stored instance, one in memory at a time."""
        for identifier in self.ids().values():
            yield self.get(f"/instances/{identifier}/file").content

    def instances(self) -> dict[str, bytes]:
        """Return the DICOM file of each stored instance, by SOP Instance UID."""
        return {
            uid: self.get(f"/instances/{identifier}/file").content
            for uid, identifier in self.ids().items()
        }

    def clear(self) -> None:
        """Delete all that is stored."""
        for identifier in self.get("/patients").json():
            url = f"http://{HOST}:{self._http_port}/patients/{identifier}"
            self._session.delete(url, timeout=60).raise_for_status()


class StoreSCP(_ServerProcess):
    """DCMTK's storescp, with the options given.

    Without `accept` it takes every storage SOP class that DCMTK knows, uncompressed; `"+xa"` lets
    it take every transfer syntax, `"-pm"` unknown SOP classes, `"--fork"` several associations at
    a time. `accept` names the SOP classes to take instead, each with its transfer syntaxes.
    """

    program = "storescp"

    def __init__(
        self,
        *options: str,
        ae_title: str = "STORESCP",
        accept: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        super().__init__()
        self.ae_title = ae_title
        self._options = options
        self._accept = accept

    def _prepare(self) -> list[str]:
        self.port = free_port()
        images = self._folder / "images"
        images.mkdir()
        options = list(self._options)
        if self._accept is not None:
            path = self._folder / "storescp.cfg"
            path.write_text(_association_config(self._accept))
            options += ["-xf", str(path), "Default"]
        return ["-aet", self.ae_title, "-od", str(images), *options, str(self.port)]

    def received(self) -> list[Path]:
        """Return the files received."""
        return sorted(path for path in (self._folder / "images").rglob("*") if path.is_file())


class DcmQRSCP(_ServerProcess):
    """DCMTK's dcmqrscp, an archive that stores uncompressed images and answers queries."""

    program = "dcmqrscp"
    ae_title = "QRSCP"

    def _prepare(self) -> list[str]:
        self.port = free_port()
        (self._folder / "db").mkdir()
        path = self._folder / "dcmqrscp.cfg"
        path.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 16\n"
            "HostTable BEGIN\nHostTable END\nVendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\n{self.ae_title} {self._folder / 'db'} RW (200, 1024mb) ANY\n"
            "AETable END\n"
        )
        return ["--config", str(path)]


def _association_config(accept: Mapping[str, Sequence[str]]) -> str:
    """Write DCMTK's association negotiation profile (its asconfig.txt) for what to accept."""
    syntaxes = ["[[TransferSyntaxes]]"]
    contexts = ["[[PresentationContexts]]", "[Contexts]"]
    for number, (sop_class, transfer_syntaxes) in enumerate(accept.items(), 1):
        syntaxes.append(f"[Syntaxes{number}]")
        syntaxes += [f"TransferSyntax{i} = {uid}" for i, uid in enumerate(transfer_syntaxes, 1)]
        contexts.append(f"PresentationContext{number} = {sop_class}\\Syntaxes{number}")
    profile = ["[[Profiles]]", "[Default]", "PresentationContexts = Contexts"]
    return "\n".join([*syntaxes, *contexts, *profile, ""])


@dataclass(frozen=True)
class CStore:
    """A C-STORE request exactly as it came (PS3.7 9.1.1)."""

    association: int
    message_id: int
    abstract_syntax: str
    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    dataset: bytes

    def file(self) -> bytes:
        """Return what came as a DICOM file (PS3.10 7.1)."""
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = self.sop_class_uid
        meta.MediaStorageSOPInstanceUID = self.sop_instance_uid
        meta.TransferSyntaxUID = self.transfer_syntax
        target = DicomBytesIO()
        target.write(bytes(128) + b"DICM")
        write_file_meta_info(target, meta, enforce_standard=True)
        return bytes(target.getvalue()) + self.dataset


@dataclass(frozen=True)
class ProposedContext:
    """A presentation context as the peer proposed it."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class AssociationRequest:
    """An association as the peer asked for it; `number` counts from 1."""

    number: int
    calling_ae: str
    called_ae: str
    contexts: tuple[ProposedContext, ...]


Status = int | Dataset


class PythonSCP:
    """A storage SCP that answers as told and records what came, for what real servers won't do.

    Args:
        accept: SOP classes to accept, each with its transfer syntaxes; every standard storage
            class and transfer syntax without it.
        status: The status of each answer: one for all, a sequence (Success after its end), or a
            callable that is asked with each request.
        ae_title: Its AE title.
        handlers: More pynetdicom event handlers, as `(event, handler)`.

    `ae` is its pynetdicom AE: set what a test needs (`maximum_associations`,
    `require_called_aet`, ...) before it is entered.
    """

    def __init__(
        self,
        accept: Mapping[str, Sequence[str]] | None = None,
        status: Status | Iterable[int] | Callable[[CStore], Status] = SUCCESS,
        *,
        ae_title: str = "PYTHONSCP",
        handlers: Sequence[tuple[evt.EventType, Callable[[evt.Event], Any]]] = (),
    ) -> None:
        self.ae_title = ae_title
        self.port = 0
        self.ae = AE(ae_title)
        self._handlers = [*handlers, *self._own_handlers()]
        self._status = _status_source(status)
        self._lock = threading.Lock()
        self._numbers: dict[object, int] = {}
        self._stored: list[CStore] = []
        self._requests: list[AssociationRequest] = []
        self._released = 0
        self._aborted = 0
        self.ae.add_supported_context(Verification, ALL_TRANSFER_SYNTAXES)
        if accept is None:
            accept = {
                str(context.abstract_syntax): ALL_TRANSFER_SYNTAXES
                for context in AllStoragePresentationContexts
            }
        for sop_class, transfer_syntaxes in accept.items():
            if uid_to_service_class(sop_class) is not StorageServiceClass:
                name = "Private" + sop_class.replace(".", "_")
                register_uid(UID(sop_class), name, StorageServiceClass)
            self.ae.add_supported_context(sop_class, list(transfer_syntaxes))

    def _own_handlers(self) -> list[tuple[evt.EventType, Callable[[evt.Event], Any]]]:
        return [
            (evt.EVT_CONN_OPEN, self._on_open),
            (evt.EVT_REQUESTED, self._on_requested),
            (evt.EVT_C_STORE, self._on_store),
            (evt.EVT_RELEASED, self._on_released),
            (evt.EVT_ABORTED, self._on_aborted),
        ]

    def __enter__(self) -> Self:
        """Listen on a free port."""
        self._server = self.ae.start_server((HOST, 0), block=False, evt_handlers=self._handlers)
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop listening and abort what associations are left."""
        stopping = threading.Thread(target=self._server.shutdown)
        stopping.start()
        with contextlib.suppress(OSError):  # wakes the server, which looks up twice a second
            socket.create_connection((HOST, self.port), timeout=1).close()
        stopping.join()
        for association in self.ae.active_associations:
            association.abort()

    @property
    def stored(self) -> tuple[CStore, ...]:
        """The C-STORE requests so far, in the order in which they came."""
        with self._lock:
            return tuple(self._stored)

    def files(self) -> Iterator[bytes]:
        """Yield the DICOM file of each image that came, stored or not."""
        return (record.file() for record in self.stored)

    @property
    def associations(self) -> tuple[AssociationRequest, ...]:
        """The associations that were asked for so far."""
        with self._lock:
            return tuple(self._requests)

    @property
    def released(self) -> int:
        """How many associations the peer has released."""
        with self._lock:
            return self._released

    @property
    def aborted(self) -> int:
        """How many associations have been aborted, by the peer or by its vanishing."""
        with self._lock:
            return self._aborted

    def _on_open(self, event: evt.Event) -> None:
        event.assoc.dul.socket.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _on_requested(self, event: evt.Event) -> None:
        request = event.assoc.requestor.primitive
        contexts = tuple(
            ProposedContext(
                str(context.abstract_syntax), tuple(str(uid) for uid in context.transfer_syntax)
            )
            for context in request.presentation_context_definition_list
        )
        with self._lock:
            number = len(self._requests) + 1
            self._numbers[event.assoc] = number
            self._requests.append(
                AssociationRequest(
                    number, request.calling_ae_title, request.called_ae_title, contexts
                )
            )

    def _on_store(self, event: evt.Event) -> Status:
        request = event.request
        with self._lock:
            record = CStore(
                association=self._numbers[event.assoc],
                message_id=request.MessageID,
                abstract_syntax=str(event.context.abstract_syntax),
                transfer_syntax=str(event.context.transfer_syntax),
                sop_class_uid=str(request.AffectedSOPClassUID),
                sop_instance_uid=str(request.AffectedSOPInstanceUID),
                dataset=request.DataSet.getvalue(),
            )
            self._stored.append(record)
        return self._status(record)

    def _on_released(self, _event: evt.Event) -> None:
        with self._lock:
            self._released += 1

    def _on_aborted(self, _event: evt.Event) -> None:
        with self._lock:
            self._aborted += 1


def _status_source(
    status: Status | Iterable[int] | Callable[[CStore], Status],
) -> Callable[[CStore], Status]:
    if isinstance(status, int | Dataset):
        return lambda _record: status
    if callable(status):
        return status
    lock = threading.Lock()
    script = iter(status)

    def scripted(_record: CStore) -> Status:
        with lock:
            return next(script, SUCCESS)

    return scripted
