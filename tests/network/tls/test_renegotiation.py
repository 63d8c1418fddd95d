"""A server cannot start another handshake over TLS 1.2, which would restart a wait."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import pytest

from fw_gear_dicom_send.network.connection import Connection
from fw_gear_dicom_send.network.tls import make_context
from fw_gear_dicom_send.network.tls_errors import explain
from fw_gear_dicom_send.network.types import TLSConfig
from fw_gear_dicom_send.reasons import Kind
from fw_gear_dicom_send.values import replace
from tests.support.certificates import HOST, Identity
from tests.support.programs import path_of
from tests.support.waiting import LONG_TIMEOUTS, PATIENCE


@dataclass(frozen=True)
class OpenSSLServer:
    """`openssl s_server`, which takes commands on its standard input."""

    process: "subprocess.Popen[str]"

    def read_until(self, text: str) -> str:
        """Return the first line that it prints with this text."""
        assert self.process.stdout
        for line in self.process.stdout:
            if text in line:
                return line
        raise AssertionError(f"no {text}")

    def type(self, line: str) -> None:
        """Type a line."""
        assert self.process.stdin
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()


@contextmanager
def openssl_server(identity: Identity) -> Iterator[OpenSSLServer]:
    """Start the server with TLS 1.2 for one connection."""
    files = ("-cert", identity.cert, "-key", identity.key)
    with subprocess.Popen(
        [
            path_of("openssl"),
            "s_server",
            "-accept",
            f"{HOST}:0",
            *files,
            "-tls1_2",
            "-naccept",
            "1",
        ],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield OpenSSLServer(process)
        finally:
            process.kill()


def read_data(connection: Connection) -> None:
    """Read until the server sends data, or nothing more."""
    while connection.wait(PATIENCE) and connection.read() is None:
        pass


@pytest.mark.parametrize("verifies", [True, False])
def test_renegotiation_is_refused(config: TLSConfig, server: Identity, verifies: bool) -> None:
    """The server gets the alert no_renegotiation (RFC 5246 7.2.2); OpenSSL then gives up."""
    (context, *_) = make_context(replace(config, require_peer_cert=verifies)).contexts
    connection = Connection(LONG_TIMEOUTS)
    with openssl_server(server) as scp:
        connection.open(HOST, int(scp.read_until("ACCEPT").rpartition(":")[2]))
        connection.secure(context, HOST)
        connection.write([b"ready\n"])
        scp.read_until("ready")
        scp.type("R")
        with pytest.raises(OSError, match="handshake failure") as caught:
            read_data(connection)
        assert connection.is_agreed
        connection.close()
    failure = explain(caught.value, is_agreed=True)
    assert (failure.kind, failure.is_final) == (Kind.TLS_FAILED, True)
    assert "in common" not in failure.cause
