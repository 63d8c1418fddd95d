"""Storage SCP of dcmjs-dimse, which npm also installs for the benchmarks."""

import os
from pathlib import Path

from tests.support.programs import skip_outside_ci
from tests.support.servers.process import ServerProcess, free_port

_REPOSITORY = Path(__file__).resolve().parents[3]
_MODULES = _REPOSITORY / ".rivals" / "dcmjs" / "node_modules"


class DcmjsSCP(ServerProcess):
    """SCP that accepts one user, by name and password, and answers Success to each image.

    Skip the test if `scripts/rivals.sh` has not installed dcmjs-dimse.
    """

    program = "node"
    ae_title = "DCMJS"

    def __init__(self, username: str, password: str) -> None:
        super().__init__()
        if not (_MODULES / "dcmjs-dimse").is_dir():
            skip_outside_ci("dcmjs-dimse is not installed: make .rivals/.installed")
        self._user = (username, password)

    def _prepare(self) -> list[str]:
        self.port = free_port()
        os.symlink(_MODULES, self._folder / "node_modules")
        script = self._folder / "scp.cjs"
        script.write_bytes(Path(__file__).with_name("dcmjs_scp.cjs").read_bytes())
        return [str(script), str(self.port), *self._user]
