"""Marks of gear runs on the stand-in site, whatever the key and the site allow."""

import re
from typing import Any

from fw_gear_dicom_send import __version__
from fw_gear_dicom_send.mark_key import mark_key
from tests.support import flywheel_metadata
from tests.support.flywheel_site import FlywheelSite
from tests.support.gear import GearFolder, GearResult

JOB = "66f0aa11bb22cc33dd44ee55"
SITES = ("current", "current, read-only", "of 2019", "of 2019, read-only")


def prepare(site: FlywheelSite, kind: str) -> None:
    """Make a site one of `SITES`."""
    site.is_old = "2019" in kind
    site.is_read_only = "read-only" in kind


def ended(site: FlywheelSite, gear: GearFolder) -> GearResult:
    """Run the gear; attach its output and apply its metadata like the engine."""
    result = gear.run()
    destination = gear.config["destination"]
    for path in result.output:
        site.attach(destination["id"], path.name, path.read_bytes())
    is_success = result.exit_code == 0
    flywheel_metadata.apply(site, destination, result.metadata, is_success=is_success)
    return result


def key(port: int, called_ae: str = "PACS") -> str:
    """Return the key of the mark for a server on this machine."""
    return mark_key("127.0.0.1", str(port), called_ae)


def file_of(site: FlywheelSite, container_id: str, name: str) -> dict[str, Any]:
    """Return the record of a file."""
    files = site.containers[container_id]["files"]
    found: dict[str, dict[str, Any]] = {file["name"]: file for file in files}
    return found[name]


def summary(state: str, images: int, sent: int, port: int, **others: object) -> dict[str, Any]:
    """Return the expected summary without its times and its last success."""
    return {
        "state": state,
        "called_ae": "PACS",
        "host": "127.0.0.1",
        "port": port,
        "images": images,
        "sent": sent,
        "already_there": 0,
        "duplicates": 0,
        "job": JOB,
        "selection": {},
        "version": __version__,
        **others,
    }


def without_times(mark: dict[str, Any]) -> dict[str, Any]:
    """Check the times of a mark, and that its last success is this run if it was complete.

    Return the mark without both.
    """
    left = dict(mark)
    times = left.pop("started"), left.pop("finished")
    assert times == tuple(sorted(times))
    assert all(re.fullmatch(r"[-0-9]{10}T[:0-9]{8}\.[0-9]{3}\+00:00", time) for time in times)
    success = left.pop("complete", None)
    names = ("started", "finished", "job", "sent", "selection")
    if mark["state"] == "Complete":
        assert success == {name: mark[name] for name in names}
    return left


def qc_of(info: dict[str, Any]) -> str:
    """Return the state of the QC result."""
    state: str = info["qc"]["dicom-send"]["images_sent"]["state"]
    return state
