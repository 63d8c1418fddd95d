"""What is sent to: a fresh server for each run, on this machine, as near or as far as it seems."""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from benchmarks.connections import ConnectionWatch
from benchmarks.proxy import DelayingProxy
from tests.support.certificates import Identity, issue
from tests.support.pacs import HOST, Orthanc, StoreSCP

ROUND_TRIP = 0.05
STORESCP_OPTIONS = ("--ignore", "--fork")


@dataclass(frozen=True)
class Destination:
    """A server that listens on `port` of 127.0.0.1.

    `stored` tells how many images it holds, None where that is not known; `sending_seconds` how
    long it was connected to, once it is closed. `tls` is whose certificate it has, and
    takes, if it takes TLS only.
    """

    port: int
    ae_title: str
    stored: Callable[[], int | None]
    sending_seconds: Callable[[], float]
    tls: Identity | None = None


@dataclass(frozen=True)
class Target:
    """A kind of server; `open` starts one of it, `open_tls` one that takes TLS only.

    Sending to one that `is_slow` takes minutes.
    """

    name: str
    title: str
    open: Callable[[], AbstractContextManager[Destination]]
    open_tls: Callable[[], AbstractContextManager[Destination]] | None = None
    is_slow: bool = False


def unknown() -> None:
    """Tell that a number is not known."""


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
            stored=lambda: int(server.get("/statistics").json()["CountInstances"]),
            sending_seconds=lambda: watch.seconds,
            tls=tls,
        )


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


ORTHANC = Target("orthanc", "Orthanc", _orthanc, partial(_with_tls, _orthanc))
STORESCP = Target("storescp", "storescp", _storescp, partial(_with_tls, _storescp))
DISTANCE = Target("distance", "storescp, 50 ms away", _distant_storescp, is_slow=True)
