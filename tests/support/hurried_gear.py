"""Gear with short waits for silent servers."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.gear import GearFolder
from tests.support.waiting import NEVER

DRIVER = Path(__file__).with_name("hurried_run.py")


SHORT_TIMEOUT = 3.0
"""Seconds to wait for a silent server; even a slow machine answers in that time."""


class HurriedGear(GearFolder):
    """Gear that retries soon and waits `timeout` seconds for a silent server."""

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
        shutil.copy2(DRIVER, folder)
        self._manifest["command"] = f"exec python {DRIVER.name} {timeout}"
