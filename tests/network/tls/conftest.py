"""Certificates of the server and of the gear."""

from pathlib import Path

import pytest

from fw_gear_dicom_send.network.types import ClientCertificate, TLSConfig
from tests.support.certificates import Identity, issue


@pytest.fixture
def server(tmp_path: Path) -> Identity:
    """Identity of the server."""
    return issue(tmp_path / "server")


@pytest.fixture
def client(tmp_path: Path) -> Identity:
    """Identity of the gear, from another authority."""
    return issue(tmp_path / "client")


@pytest.fixture
def config(server: Identity, client: Identity) -> TLSConfig:
    """Configuration that trusts only this server."""
    return TLSConfig(
        certificate=ClientCertificate(client.key, client.cert),
        add_cert_file=server.ca,
        profile="BCP 195",
        require_peer_cert=True,
        check_hostname=False,
    )
