"""The gear in a hurry: what it waits for in vain, it waits for shortly."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.gear import REPOSITORY, GearFolder
from tests.support.waiting import NEVER

DRIVER = Path(__file__).with_name("hurried_run.py")


SHORT_TIMEOUT = 3.0
"""Seconds to wait for a server that is silent; a slow machine answers within them."""


class HurriedGear(GearFolder):
    """The gear, which tries again soon, and waits `timeout` seconds for a silent server."""

    def __init__(
        self,
        folder: Path,
        config: Mapping[str, object],
        *,
        api_key: str,
        destination_id: str,
        timeout: float = NEVER,
    ) -> None:
        hurried = {**config, "response_timeout": timeout}
        super().__init__(folder, hurried, api_key=api_key, destination_id=destination_id)
        package = REPOSITORY / "fw_gear_dicom_send"
        shutil.copytree(package, folder / package.name, dirs_exist_ok=True)  # as compiled already
        shutil.copy2(DRIVER, folder)
        self._manifest["command"] = f"exec python {DRIVER.name} {timeout}"
