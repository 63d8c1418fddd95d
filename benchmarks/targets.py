"""Targets: a fresh server on this machine for each run, nearby or a round trip away."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

from benchmarks.connections import ConnectionWatch
from benchmarks.far import FAR_HOST, far_path, inside
from benchmarks.sink import sink
from tests.support.certificates import Identity, issue
from tests.support.pacs import HOST, DicomWebOrthanc, Orthanc, StoreSCP

STORESCP_OPTIONS = ("--ignore", "--fork")
WEB_PATH = "/dicom-web"


@dataclass(frozen=True)
class Destination:
    """Server that listens on `port` of `host`.

    `stored` returns the number of stored images, or None if unknown. `tls` is the identity of a
    server that requires TLS. `path` is that of a DICOMweb service. `sending_seconds` is the time
    with a connection, known after the server is closed.
    """

    port: int
    ae_title: str
    stored: Callable[[], int | None]
    tls: Identity | None = None
    path: str = ""
    host: str = HOST
    sending_seconds: Callable[[], float] = float

    @property
    def url(self) -> str:
        """The base URL of a DICOMweb service, or an empty text."""
        return f"http://{self.host}:{self.port}{self.path}" if self.path else ""

    @property
    def options(self) -> dict[str, object]:
        """The options of the gear that select the server."""
        if self.url:
            return {"destination": self.url}
        return {"destination": self.host, "port": self.port, "called_ae": self.ae_title}


Server = Callable[[], AbstractContextManager[Destination]]


@dataclass(frozen=True)
class Target:
    """Kind of server: `start` starts one, `start_tls` one that requires TLS.

    It is `round_trip` seconds away. Sending to a distant one takes minutes.
    """

    name: str
    title: str
    start: Server
    start_tls: Server | None = None
    round_trip: float = 0.0

    @contextmanager
    def open(self, *, uses_tls: bool = False) -> Iterator[Destination]:
        """Start a server, and watch the connections to it.

        This thread is in the sender's network namespace until the server is closed.
        """
        start = self.start_tls if uses_tls and self.start_tls else self.start
        with ExitStack() as stack:
            if self.round_trip:
                path = stack.enter_context(far_path(self.round_trip))
                with inside(path.far):
                    server = stack.enter_context(start())
                server = replace(server, host=FAR_HOST, stored=inside(path.far)(server.stored))
                stack.enter_context(inside(path.near))
            else:
                server = stack.enter_context(start())
            watch = stack.enter_context(ConnectionWatch(server.port))
            yield replace(server, sending_seconds=lambda: watch.seconds)


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
    with Orthanc(**settings) as server:
        yield Destination(server.port, server.ae_title, partial(_stored, server), tls)


def _stored(server: Orthanc) -> int:
    return int(server.get("/statistics").json()["CountInstances"])


@contextmanager
def _storescp(tls: Identity | None = None) -> Iterator[Destination]:
    options = ("+tls", str(tls.key), str(tls.cert), "+cf", str(tls.ca)) if tls else ()
    with StoreSCP(*STORESCP_OPTIONS, *options) as server:
        yield Destination(server.port, server.ae_title, unknown, tls)


@contextmanager
def _web_orthanc() -> Iterator[Destination]:
    with DicomWebOrthanc() as server:
        yield Destination(server.http_port, "", partial(_stored, server), path=WEB_PATH)


@contextmanager
def _web_sink() -> Iterator[Destination]:
    with sink() as port:
        yield Destination(port, "", unknown, path=WEB_PATH)


ORTHANC = Target("orthanc", "Orthanc", _orthanc, partial(_with_tls, _orthanc))
STORESCP = Target("storescp", "storescp", _storescp, partial(_with_tls, _storescp))
WEB_ORTHANC = Target("web-orthanc", "Orthanc by DICOMweb", _web_orthanc)
WEB_SINK = Target("web-sink", "sink by DICOMweb", _web_sink)
BESIDE_SINK = replace(STORESCP, name="c-store", title="storescp by C-STORE")
WEB_DISTANCE = replace(
    WEB_SINK, name="web-distance", title="sink by DICOMweb, 50 ms away", round_trip=0.05
)
NEAR_AND_FAR = tuple(
    replace(
        server,
        name=f"{server.name}-{milliseconds}ms",
        title=f"{server.title}, {milliseconds} ms away" if milliseconds else server.title,
        round_trip=milliseconds / 1000,
    )
    for server in (STORESCP, ORTHANC)
    for milliseconds in (0, 10, 50, 150)
)
