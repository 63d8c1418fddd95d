"""Marks for sent files on Flywheel, written as metadata that the engine applies after the run."""

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

from .. import __version__
from ..account import Account
from ..config import GearConfig
from ..models import Container, FileStatus, Selection

log = logging.getLogger(__name__)

KEY = "dicom_send"
"""Key of the summary in the custom information of a file, for gear rules and searches."""


class Metadata(Protocol):
    """Collector for `.metadata.json`, like `Metadata` of flywheel-gear-toolkit.

    The engine applies that file with its own permissions, so a read-only API key is enough.
    New tags and new custom information replace the existing ones.
    """

    def update_container(self, container_type: str, /, **values: Any) -> None:
        """Set values of the job's destination or of one of its parents."""


def mark(
    metadata: Metadata,
    config: GearConfig,
    selection: Selection,
    account: Account,
    report: tuple[Container, str] | None,
) -> None:
    """Mark the input file, or else the destination and the `report`, with the outcome of the run.

    The report is the container and the name of a file that is attached now, or by the engine later.
    The input file or the report gets a summary. If all images are sent and verified, the input file
    or the destination gets the tag. A dry run marks nothing.
    """
    if account.status is FileStatus.DRY_RUN:
        return
    chosen = config.input_file
    if chosen and chosen.parent != config.container:
        log.info("Cannot mark the file as sent: the job's destination is another container")
        return
    summary: Mapping[str, str | int] = {
        "state": account.status.value,
        **_server(config),
        "images": account.images,
        "sent": account.sent,
        "already_there": account.already_stored,
        "duplicates": account.duplicates,
        "finished": datetime.now(UTC).isoformat(timespec="seconds"),
        "version": __version__,
    }
    info = {KEY: summary}
    is_tagged = bool(config.sent_tag) and account.is_success
    tags = sorted({*selection.tags, config.sent_tag}) if is_tagged else None
    values: dict[str, dict[str, Any]] = {}
    if chosen:
        file: dict[str, Any] = {"name": chosen.name, "info": {**selection.info, **info}}
        values[chosen.parent.type] = {"files": [file | ({"tags": tags} if tags else {})]}
    else:
        if tags:
            values[config.container.type] = {"tags": tags}
        if report:
            container, name = report
            values.setdefault(container.type, {})["files"] = [{"name": name, "info": info}]
    for container_type, changes in values.items():
        metadata.update_container(container_type, **changes)


def _server(config: GearConfig) -> Mapping[str, str | int]:
    """Return what identifies the server: its URL, or its AE title, host and port."""
    facts = config.server.facts
    names = ("url",) if "url" in facts else ("called_ae", "host", "port")
    return {name: facts[name] for name in names}
