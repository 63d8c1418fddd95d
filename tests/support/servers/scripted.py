"""Storage SCP of pynetdicom that answers as a test specifies and records the requests."""

import contextlib
import copy
import functools
import socket
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_file_meta_info
from pydicom.uid import UID
from pynetdicom import (  # type: ignore[attr-defined]
    AE,
    ALL_TRANSFER_SYNTAXES,
    AllStoragePresentationContexts,
    build_context,
    evt,
    register_uid,
)
from pynetdicom.presentation import PresentationContext
from pynetdicom.service_class import StorageServiceClass
from pynetdicom.sop_class import Verification, uid_to_service_class  # type: ignore[attr-defined]

from tests.support.servers.process import HOST

SUCCESS = 0x0000
Status = int | Dataset


@dataclass(frozen=True)
class CStore:
    """C-STORE request exactly as received (PS3.7 9.1.1)."""

    association: int
    message_id: int
    abstract_syntax: str
    transfer_syntax: str
    sop_class_uid: str
    sop_instance_uid: str
    dataset: bytes

    def file(self) -> bytes:
        """Return the request as a DICOM file (PS3.10 7.1)."""
        meta = FileMetaDataset()
        meta.MediaStorageSOPClassUID = self.sop_class_uid  # type: ignore[assignment]
        meta.MediaStorageSOPInstanceUID = self.sop_instance_uid  # type: ignore[assignment]
        meta.TransferSyntaxUID = self.transfer_syntax  # type: ignore[assignment]
        target = DicomBytesIO()
        target.write(bytes(128) + b"DICM")
        write_file_meta_info(target, meta, enforce_standard=True)
        return bytes(target.getvalue()) + self.dataset


@dataclass(frozen=True)
class ProposedContext:
    """Presentation context as proposed by the peer."""

    abstract_syntax: str
    transfer_syntaxes: tuple[str, ...]


@dataclass(frozen=True)
class AssociationRequest:
    """Association as requested by the peer; `number` starts at 1."""

    number: int
    calling_ae: str
    called_ae: str
    contexts: tuple[ProposedContext, ...]


class PythonSCP:
    """Storage SCP that responds as configured and records requests, unlike real servers.

    Args:
        accept: SOP classes to accept, each with its transfer syntaxes; by default every standard
            storage class and transfer syntax.
        status: Status of each response: one for all, a sequence (Success after its end), or a
            callable that receives each request.
        ae_title: Its AE title.
        handlers: Additional pynetdicom event handlers, as `(event, handler)`.

    `ae` is its pynetdicom AE: a test can set its attributes (`maximum_associations`,
    `require_called_aet`, ...) before entering the SCP.
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
        self._standard = _standard_contexts() if accept is None else ()
        for sop_class, transfer_syntaxes in (accept or {}).items():
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
        self._server = self.ae.start_server(
            (HOST, 0),
            block=False,
            evt_handlers=self._handlers,
            contexts=_Contexts([*self.ae.supported_contexts, *self._standard]),
        )
        self.port = self._server.socket.getsockname()[1]
        return self

    def __exit__(self, *exception: object) -> None:
        """Stop listening and abort the remaining associations."""
        stopping = threading.Thread(target=self._server.shutdown)
        stopping.start()
        with contextlib.suppress(OSError):  # Wake the server, which polls twice a second.
            socket.create_connection((HOST, self.port), timeout=1).close()
        stopping.join()
        for association in self.ae.active_associations:
            association.abort()
            association.dul.socket.close()

    @property
    def stored(self) -> tuple[CStore, ...]:
        """C-STORE requests so far, in order of arrival."""
        with self._lock:
            return tuple(self._stored)

    def files(self) -> Iterator[bytes]:
        """Yield the DICOM file of each received image, stored or not."""
        return (record.file() for record in self.stored)

    @property
    def associations(self) -> tuple[AssociationRequest, ...]:
        """Associations requested so far."""
        with self._lock:
            return tuple(self._requests)

    @property
    def released(self) -> int:
        """Number of associations that the peer has released."""
        with self._lock:
            return self._released

    @property
    def aborted(self) -> int:
        """Number of associations aborted by the peer or by its disappearance."""
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


class _Contexts(list[PresentationContext]):
    """Contexts that pynetdicom copies for each association; deep copies would take 60 ms."""

    def __deepcopy__(self, _memo: object) -> list[PresentationContext]:
        """Share the lists of transfer syntaxes, which no association changes."""
        return [copy.copy(context) for context in self]


@functools.cache
def _standard_contexts() -> tuple[PresentationContext, ...]:
    """Return every standard storage class with every transfer syntax."""
    classes = (str(context.abstract_syntax) for context in AllStoragePresentationContexts)
    return tuple(build_context(name, ALL_TRANSFER_SYNTAXES) for name in classes)


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
