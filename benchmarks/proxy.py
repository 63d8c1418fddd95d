"""TCP proxy in a separate process, which makes a server seem distant.

python -m benchmarks.proxy HOST PORT ROUND_TRIP_SECONDS
"""

import asyncio
import contextlib
import json
import selectors
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Self

REPOSITORY = Path(__file__).resolve().parents[1]
CHUNK = 1 << 16
MAX_BYTES_IN_TRANSIT = 1 << 24
SECONDS_TO_END = 2


@dataclass(frozen=True)
class Traffic:
    """Traffic through the proxy: `seconds` from the first connection's start to the last one's end.

    Both are the times when the client opens and closes a connection.
    """

    connections: int
    seconds: float


class DelayingProxy:
    """Forwards connections on `port` to a server that seems `round_trip` seconds away.

    Each direction is delayed by half of it. Each connection starts one round trip late, like a real
    connection set-up. `traffic` is known after the proxy has ended.
    """

    def __init__(self, host: str, port: int, round_trip: float) -> None:
        """Set the destination of the connections."""
        self.port = 0
        self.traffic = Traffic(connections=0, seconds=0.0)
        self._arguments = [host, str(port), str(round_trip)]

    def __enter__(self) -> Self:
        """Start the process, which uses a free port."""
        self._process = subprocess.Popen(  # noqa: S603 - it is this file
            [sys.executable, "-m", "benchmarks.proxy", *self._arguments],
            cwd=REPOSITORY,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._process.stdout is not None  # noqa: S101 - it is a pipe
        self.port = int(self._process.stdout.readline())
        return self

    def __exit__(self, *_: object) -> None:
        """End the process."""
        with self._process:
            told, _stderr = self._process.communicate("stop\n", timeout=10)
        self.traffic = Traffic(**json.loads(told))


@dataclass
class _Proxy:
    host: str
    port: int
    round_trip: float
    connections: int = 0
    first: float = 0.0
    last: float = 0.0
    relays: set[asyncio.Task[None]] = field(default_factory=set)

    async def accept(self, listener: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        while True:
            client, _ = await loop.sock_accept(listener)
            self.connections += 1
            self.first = self.first or time.monotonic()
            relay = loop.create_task(self.relay(client))
            self.relays.add(relay)
            relay.add_done_callback(self.relays.discard)

    async def relay(self, client: socket.socket) -> None:
        """Forward a connection until both sides, or one side with an error, have closed it."""
        loop = asyncio.get_running_loop()
        with client, socket.socket() as server, contextlib.suppress(OSError, ExceptionGroup):
            for end in (client, server):
                end.setblocking(False)
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            await asyncio.sleep(self.round_trip)
            await loop.sock_connect(server, (self.host, self.port))
            there, back = _Way(client, server), _Way(server, client)
            async with asyncio.TaskGroup() as group:
                group.create_task(self.read_client(there))
                group.create_task(there.write())
                group.create_task(back.read(self.round_trip / 2))
                group.create_task(back.write())

    async def read_client(self, way: "_Way") -> None:
        """Read until the client closes, which is when it has finished."""
        await way.read(self.round_trip / 2)
        self.last = time.monotonic()


@dataclass
class _Way:
    """One direction of a connection; `late` has the data in transit and its due times."""

    source: socket.socket
    sink: socket.socket
    late: deque[tuple[float, bytes]] = field(default_factory=deque)
    size: int = 0
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def read(self, delay: float) -> None:
        loop = asyncio.get_running_loop()
        data = b"any"
        while data:
            while self.size > MAX_BYTES_IN_TRANSIT:
                self.changed.clear()
                await self.changed.wait()
            data = await self.receive()
            self.late.append((loop.time() + delay, data))
            self.size += len(data)
            self.changed.set()

    async def receive(self) -> bytes:
        """Return the next data, empty at the end, and acknowledge it immediately."""
        try:
            data = await asyncio.get_running_loop().sock_recv(self.source, CHUNK)
            self.source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
        except OSError:
            return b""
        return data

    async def write(self) -> None:
        loop = asyncio.get_running_loop()
        data = b"any"
        while data:
            while not self.late:
                self.changed.clear()
                await self.changed.wait()
            due, data = self.late.popleft()
            await asyncio.sleep(due - loop.time())
            await loop.sock_sendall(self.sink, data)
            self.size -= len(data)
            self.changed.set()
        self.sink.shutdown(socket.SHUT_WR)


async def _serve_until_stopped(proxy: _Proxy) -> None:
    loop = asyncio.get_running_loop()
    with socket.create_server(("127.0.0.1", 0), backlog=64) as listener:
        listener.setblocking(False)
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        accepting = asyncio.create_task(proxy.accept(listener))
        await loop.run_in_executor(None, sys.stdin.readline)
        accepting.cancel()
        await asyncio.wait([accepting, *proxy.relays], timeout=SECONDS_TO_END)


def _precise_loop() -> asyncio.AbstractEventLoop:
    """Return a loop that wakes on time: with epoll, it would be up to a millisecond late."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


def main(argv: Sequence[str]) -> int:
    """Print the port, forward until a line is received, and print the amount of traffic."""
    proxy = _Proxy(argv[0], int(argv[1]), float(argv[2]))
    with asyncio.Runner(loop_factory=_precise_loop) as runner:
        runner.run(_serve_until_stopped(proxy))
    traffic = Traffic(proxy.connections, proxy.last - proxy.first)
    sys.stdout.write(json.dumps(asdict(traffic)) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
