"""tiny_pacs with its DICOMweb service, which pip installs beside the senders of the benchmarks."""

import json
from pathlib import Path

from tests.support.programs import skip_outside_ci
from tests.support.servers.process import HOST, ServerProcess, free_port

_PROGRAM = Path(__file__).resolve().parents[3] / ".rivals" / "pynetdicom" / "bin" / "tiny-pacs"


class TinyPACS(ServerProcess):
    """Server that keeps the datasets byte for byte, and refuses other objects with a known UID.

    `settings` are those of its component DICOMWeb. Skip the test if `scripts/rivals.sh` has not
    installed it.
    """

    program = str(_PROGRAM)

    def __init__(self, **settings: object) -> None:
        super().__init__()
        if not _PROGRAM.exists():
            skip_outside_ci("tiny_pacs is not installed: make .rivals/.installed")
        self._settings = settings
        self._dimse_port = 0

    def _prepare(self) -> list[str]:
        self.port, self._dimse_port = free_port(), free_port()
        storage = self._folder / "storage"
        storage.mkdir()
        database = {"on": True, "uri": False, "db_name": str(self._folder / "database")}
        components: dict[str, object] = {
            "Database": database,
            "Devices": {"on": True},
            "PACS": {"on": True},
            "InMemoryStorage": {"on": False},
            "FileStorage": {"on": True, "storage_dir": str(storage)},
            # Its database is locked if it stores several images at the same time.
            "HttpServer": {"on": True, "port": self.port, "threads": 1},
            "DICOMWeb": {"on": True, "prefix": "/dicom-web", **self._settings},
        }
        log = {"version": 1, "root": {"level": "WARNING"}}
        ae = {"port": self._dimse_port, "dump_ds": False}
        path = self._folder / "config.json"
        path.write_text(json.dumps({"ae": ae, "log": log, "components": components}))
        return ["run", "-c", str(path)]

    def _ports(self) -> list[int]:
        return [self.port, self._dimse_port]

    @property
    def url(self) -> str:
        """The base URL of the DICOMweb service."""
        return f"http://{HOST}:{self.port}/dicom-web"

    def instances(self) -> dict[str, bytes]:
        """Return the DICOM file of each stored instance, by SOP Instance UID."""
        return {path.stem: path.read_bytes() for path in self._folder.glob("storage/*/*.dcm")}
