"""The gear with short timeouts; else it is run as the engine does."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from tests.support.gear import REPOSITORY, GearFolder

DRIVER = Path(__file__).with_name("hurried_run.py")


class HurriedGear(GearFolder):
    """The gear, whose waits in vain are short."""

    def __init__(
        self, folder: Path, config: Mapping[str, object], *, api_key: str, destination_id: str
    ) -> None:
        super().__init__(folder, config, api_key=api_key, destination_id=destination_id)
        package = REPOSITORY / "fw_gear_dicom_send"
        shutil.copytree(package, folder / package.name, dirs_exist_ok=True)  # as compiled already
        shutil.copy2(DRIVER, folder)
        self._manifest["command"] = f"exec python {DRIVER.name}"
