"""Storage SCPs for tests: Orthanc, DCMTK's storescp and a scripted pynetdicom server.

Each is a context manager that listens on a free port of 127.0.0.1 and leaves nothing behind.
"""

from tests.support.programs import ServerError
from tests.support.servers.dcmtk import DcmQRSCP, StoreSCP
from tests.support.servers.nginx import Nginx
from tests.support.servers.orthanc import DicomWebOrthanc, Orthanc
from tests.support.servers.process import HOST, free_port
from tests.support.servers.scripted import (
    SUCCESS,
    AssociationRequest,
    CStore,
    ProposedContext,
    PythonSCP,
    Status,
)

__all__ = [
    "HOST",
    "SUCCESS",
    "AssociationRequest",
    "CStore",
    "DcmQRSCP",
    "DicomWebOrthanc",
    "Nginx",
    "Orthanc",
    "ProposedContext",
    "PythonSCP",
    "ServerError",
    "Status",
    "StoreSCP",
    "free_port",
]
