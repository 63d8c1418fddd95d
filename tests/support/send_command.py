"""Runs of `dicom-send` in a separate process, and their reports."""

import csv
from functools import partial
from pathlib import Path

from tests.support import command
from tests.support.certificates import HOST, Identity
from tests.support.fault_scp import FaultSCP
from tests.support.pacs import Orthanc, PythonSCP, StoreSCP

send = partial(command.run, "dicom-send")


def to(server: Orthanc | StoreSCP | PythonSCP | FaultSCP, *more: object) -> list[object]:
    """Return the options for a server."""
    return ["--destination", HOST, "--port", server.port, "--called-ae", "SCP", *more]


def rows_of(folder: Path) -> list[dict[str, str]]:
    """Return the rows of the per-file report."""
    (path,) = (one for one in folder.glob("*.csv") if not one.name.endswith("_instances.csv"))
    return list(csv.DictReader(path.read_text().splitlines()))


def tls_options(server: Identity, client: Identity) -> list[str]:
    """Return the storescp options for TLS only, with this client's certificates."""
    return ["+tls", str(server.key), str(server.cert), "+cf", str(client.ca)]


def tls_inputs(client: Identity, server: Identity) -> list[object]:
    """Return the options of `dicom-send` for TLS with this server."""
    files = ("--key", client.key, "--cert", client.cert, "--add-cert-file", server.ca)
    return ["--tls-enabled", *files, "--tls-check-hostname"]
