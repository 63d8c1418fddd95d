"""Orthanc server for sending, queried through its REST API."""

import json
from collections.abc import Iterator
from pathlib import Path

import requests
from requests.adapters import HTTPAdapter
from urllib3.util import Retry

from tests.support.programs import ServerError
from tests.support.servers.process import HOST, ServerProcess, free_port


class Orthanc(ServerProcess):
    """Orthanc that accepts every SOP class and transfer syntax.

    `settings` are Orthanc configuration options, e.g. `DicomCheckCalledAet=True`.
    """

    program = "Orthanc"

    def __init__(self, ae_title: str = "ORTHANC", **settings: object) -> None:
        super().__init__()
        self.ae_title = ae_title
        self._settings = settings
        self._http_port = 0
        self._session = requests.Session()
        # A connection that stays open would belong to no single test. Orthanc sometimes drops one.
        self._session.headers["Connection"] = "close"
        self._session.mount("http://", HTTPAdapter(max_retries=Retry(3, allowed_methods=None)))
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

    def get(self, path: str) -> requests.Response:
        """Query Orthanc's REST API."""
        response = self._session.get(f"http://{HOST}:{self._http_port}{path}", timeout=60)
        self._session.close()  # A test leaves no connection behind.
        response.raise_for_status()
        return response

    def ids(self) -> dict[str, str]:
        """Return Orthanc's id of each stored instance, by SOP Instance UID."""
        instances = self.get("/instances?expand").json()
        return {item["MainDicomTags"]["SOPInstanceUID"]: item["ID"] for item in instances}

    def files(self) -> Iterator[bytes]:
        """Yield the DICOM file of each stored instance, one at a time."""
        for identifier in self.ids().values():
            yield self.get(f"/instances/{identifier}/file").content

    def instances(self) -> dict[str, bytes]:
        """Return the DICOM file of each stored instance, by SOP Instance UID."""
        return {
            uid: self.get(f"/instances/{identifier}/file").content
            for uid, identifier in self.ids().items()
        }

    def clear(self) -> None:
        """Delete all stored instances."""
        for identifier in self.get("/patients").json():
            url = f"http://{HOST}:{self._http_port}/patients/{identifier}"
            self._session.delete(url, timeout=60).raise_for_status()
        self._session.close()


class DicomWebOrthanc(Orthanc):
    """Orthanc with its DICOMweb plugin."""

    plugin = "/usr/share/orthanc/plugins/libOrthancDicomWeb.so"

    def __init__(self, **settings: object) -> None:
        super().__init__(Plugins=[self.plugin], DicomWeb={"Root": "/dicom-web/"}, **settings)

    def _prepare(self) -> list[str]:
        if not Path(self.plugin).exists():
            raise ServerError("the DICOMweb plugin of Orthanc is not installed (orthanc-dicomweb)")
        return super()._prepare()

    @property
    def http_port(self) -> int:
        """The port of the HTTP server."""
        return self._http_port

    @property
    def url(self) -> str:
        """The base URL of the DICOMweb service."""
        return f"http://{HOST}:{self._http_port}/dicom-web"
