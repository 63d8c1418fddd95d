"""What is sent to: a fresh server for each run, on this machine, as near or as far as it seems."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass

from benchmarks.proxy import DelayingProxy
from tests.support.pacs import HOST, Orthanc, StoreSCP

ROUND_TRIP = 0.05
STORESCP_OPTIONS = ("--ignore", "--fork")


@dataclass(frozen=True)
class Destination:
    """A server that listens on `port` of 127.0.0.1.

    `stored` tells how many images it holds, `sending_seconds` how long it was connected to, once
    it is closed; each returns None where that is not known.
    """

    port: int
    ae_title: str
    stored: Callable[[], int | None]
    sending_seconds: Callable[[], float | None]


@dataclass(frozen=True)
class Target:
    """A kind of server; `open` starts one of it. Sending to one that `is_slow` takes minutes."""

    name: str
    title: str
    open: Callable[[], AbstractContextManager[Destination]]
    is_slow: bool = False


def unknown() -> None:
    """Tell that a number is not known."""


@contextmanager
def _orthanc() -> Iterator[Destination]:
    with Orthanc() as server:
        yield Destination(
            server.port,
            server.ae_title,
            stored=lambda: int(server.get("/statistics").json()["CountInstances"]),
            sending_seconds=unknown,
        )


@contextmanager
def _storescp() -> Iterator[Destination]:
    with StoreSCP(*STORESCP_OPTIONS) as server:
        yield Destination(server.port, server.ae_title, unknown, unknown)


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


ORTHANC = Target("orthanc", "Orthanc", _orthanc)
STORESCP = Target("storescp", "storescp", _storescp)
DISTANCE = Target("distance", "storescp, 50 ms away", _distant_storescp, is_slow=True)
