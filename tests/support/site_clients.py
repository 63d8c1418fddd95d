"""Clients of the stand-in site, and containers on it."""

from fw_gear_dicom_send.config import GearConfig
from fw_gear_dicom_send.flywheel.client import connect
from fw_gear_dicom_send.flywheel.site import Site
from fw_gear_dicom_send.models import Container, InputFile
from fw_gear_dicom_send.network.types import PeerAE
from fw_gear_dicom_send.retry import ONCE, RetryPolicy
from tests.support import configs
from tests.support.flywheel_site import FlywheelSite


def gear_config(destination: Container, input_file: InputFile | None = None) -> GearConfig:
    """Return the configuration of a run on a container or on a file."""
    return configs.gear_config(
        PeerAE("localhost", 104, "CALLED", "CALLING"),
        container=destination,
        input_file=input_file,
        downloads=1,
        file_download_retry_time=0,
        associations=1,
        send_retry_time=0,
    )


def add_subject(site: FlywheelSite, label: str | None = "S1") -> str:
    """Add a subject with its parents."""
    return site.add_subject(site.add_project(site.add_group("radiology"), "Trial"), label)


def add_session(site: FlywheelSite, label: str | None = "Visit 1") -> str:
    """Add a session with its parents."""
    return site.add_session(add_subject(site), label)


def client_site(site: FlywheelSite, policy: RetryPolicy = ONCE) -> Site:
    """Return the site as seen by a run."""
    return Site(connect(site.api_key), policy)


def selected(site: FlywheelSite, kind: str, container_id: str) -> list[str]:
    """Return the paths of the files that a run on a container selects."""
    selection = client_site(site).select(gear_config(Container(kind, container_id)))
    return [entry.path for entry in selection.entries]
