"""Lower limit: the same bytes through a plain TCP socket to a process that discards them."""

import socket
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.datasets import DataSet

HOST = "127.0.0.1"
CHUNK = 1 << 20
REPOSITORY = Path(__file__).resolve().parents[1]


def raw_copy_seconds(data: DataSet) -> float:
    """Send all files of a data set; return the seconds until the last byte was read."""
    paths = sorted(path for path in data.folder.rglob("*") if path.is_file())
    with subprocess.Popen(
        [sys.executable, "-m", "benchmarks.rawcopy"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
    ) as sink:
        assert sink.stdout is not None  # noqa: S101 - it is a pipe
        port = int(sink.stdout.readline())
        started = time.monotonic()
        with socket.create_connection((HOST, port)) as connection:
            for path in paths:
                with path.open("rb") as file:
                    while chunk := file.read(CHUNK):
                        connection.sendall(chunk)
            connection.shutdown(socket.SHUT_WR)
            connection.recv(1)
        return time.monotonic() - started


def main() -> int:
    """Print the port, read one connection to its end and close it."""
    with socket.create_server((HOST, 0)) as listener:
        sys.stdout.write(f"{listener.getsockname()[1]}\n")
        sys.stdout.flush()
        connection, _ = listener.accept()
        buffer = bytearray(CHUNK)
        with connection:
            while connection.recv_into(buffer):
                pass
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
