"""Targets: a fresh server on this machine for each run, optionally with a delay."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.connections import ConnectionWatch
from benchmarks.proxy import DelayingProxy
from benchmarks.sink import sink
from tests.support.certificates import Identity, issue
from tests.support.pacs import HOST, DicomWebOrthanc, Orthanc, StoreSCP

ROUND_TRIP = 0.05
STORESCP_OPTIONS = ("--ignore", "--fork")


@dataclass(frozen=True)
class Destination:
    """Server that listens on `port` of 127.0.0.1.

    `stored` returns the number of stored images, or None if unknown. `sending_seconds` is the time
    with a connection, known after the server is closed. `tls` is the identity of a server that
    requires TLS. `url` is the base URL of a DICOMweb server.
    """

    port: int
    ae_title: str
    stored: Callable[[], int | None]
    sending_seconds: Callable[[], float]
    tls: Identity | None = None
    url: str = ""

    @property
    def options(self) -> dict[str, object]:
        """The options of the gear that select the server."""
        if self.url:
            return {"destination": self.url}
        return {"destination": HOST, "port": self.port, "called_ae": self.ae_title}


@dataclass(frozen=True)
class Target:
    """Kind of server; `open` starts one, `open_tls` one that requires TLS.

    Sending to a server that `is_slow` takes minutes.
    """

    name: str
    title: str
    open: Callable[[], AbstractContextManager[Destination]]
    open_tls: Callable[[], AbstractContextManager[Destination]] | None = None
    is_slow: bool = False


def unknown() -> None:
    """Return None for an unknown number."""


@contextmanager
def _with_tls(
    open_server: Callable[[Identity | None], AbstractContextManager[Destination]],
) -> Iterator[Destination]:
    with (
        tempfile.TemporaryDirectory(prefix="benchmark-tls-") as folder,
        open_server(issue(Path(folder) / "server")) as destination,
    ):
        yield destination


@contextmanager
def _orthanc(tls: Identity | None = None) -> Iterator[Destination]:
    settings: dict[str, object] = {}
    if tls:
        settings = {
            "DicomTlsEnabled": True,
            "DicomTlsPrivateKey": str(tls.key),
            "DicomTlsCertificate": str(tls.cert),
            "DicomTlsTrustedCertificates": str(tls.ca),
        }
    with Orthanc(**settings) as server, ConnectionWatch(server.port) as watch:
        yield Destination(
            server.port,
            server.ae_title,
            stored=partial(_stored, server),
            sending_seconds=lambda: watch.seconds,
            tls=tls,
        )


def _stored(server: Orthanc) -> int:
    return int(server.get("/statistics").json()["CountInstances"])


@contextmanager
def _storescp(tls: Identity | None = None) -> Iterator[Destination]:
    options = ("+tls", str(tls.key), str(tls.cert), "+cf", str(tls.ca)) if tls else ()
    with (
        StoreSCP(*STORESCP_OPTIONS, *options) as server,
        ConnectionWatch(server.port) as watch,
    ):
        yield Destination(server.port, server.ae_title, unknown, lambda: watch.seconds, tls)


@contextmanager
def _distant_storescp() -> Iterator[Destination]:
    with (
        StoreSCP(*STORESCP_OPTIONS) as server,
        DelayingProxy(HOST, server.port, ROUND_TRIP) as proxy,
    ):
        yield Destination(
            proxy.port,
            server.ae_title,
            stored=unknown,
            sending_seconds=lambda: proxy.traffic.seconds,
        )


@contextmanager
def _web_orthanc() -> Iterator[Destination]:
    with DicomWebOrthanc() as server, ConnectionWatch(server.http_port) as watch:
        yield Destination(
            server.http_port,
            "",
            stored=partial(_stored, server),
            sending_seconds=lambda: watch.seconds,
            url=server.url,
        )


@contextmanager
def _web_sink() -> Iterator[Destination]:
    with sink() as port, ConnectionWatch(port) as watch:
        yield _web_destination(port, lambda: watch.seconds)


@contextmanager
def _distant_web_sink() -> Iterator[Destination]:
    with sink() as port, DelayingProxy(HOST, port, ROUND_TRIP) as proxy:
        yield _web_destination(proxy.port, lambda: proxy.traffic.seconds)


def _web_destination(port: int, sending_seconds: Callable[[], float]) -> Destination:
    return Destination(port, "", unknown, sending_seconds, url=f"http://{HOST}:{port}/dicom-web")


ORTHANC = Target("orthanc", "Orthanc", _orthanc, partial(_with_tls, _orthanc))
STORESCP = Target("storescp", "storescp", _storescp, partial(_with_tls, _storescp))
DISTANCE = Target("distance", "storescp, 50 ms away", _distant_storescp, is_slow=True)
WEB_ORTHANC = Target("web-orthanc", "Orthanc by DICOMweb", _web_orthanc)
WEB_SINK = Target("web-sink", "sink by DICOMweb", _web_sink)
BESIDE_SINK = replace(STORESCP, name="c-store", title="storescp by C-STORE")
WEB_DISTANCE = Target(
    "web-distance", "sink by DICOMweb, 50 ms away", _distant_web_sink, is_slow=True
)
