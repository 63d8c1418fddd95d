"""Applies the metadata that a job leaves in its output folder, as the site's engine does.

What it does is that of `EnginePlacer` in the open core server: of files, only those of the job's
destination are changed, whose tags and custom information are replaced; the container's own
values are replaced, and those of the containers above it.
"""

from collections.abc import Mapping
from typing import Any

import jsonschema
from flywheel_gear_toolkit.interfaces import engine_metadata

LEVELS = ("project", "subject", "session", "acquisition")


def apply(
    containers: Mapping[str, dict[str, Any]],
    destination: Mapping[str, str],
    metadata: Mapping[str, Any],
) -> None:
    """Apply metadata to the destination of a job.

    Raises ValidationError for what the engine's schema does not allow, and KeyError for a file
    that the destination does not hold.
    """
    jsonschema.Draft7Validator(engine_metadata).validate(metadata)
    kind, container = destination["type"], containers[destination["id"]]
    for changes in metadata.get(kind, {}).get("files", []):
        files = {file["name"]: file for file in container["files"]}
        files[changes["name"]].update(changes)
    above = {level: container["parents"].get(level) for level in LEVELS if level != kind}
    for level, container_id in {kind: destination["id"], **above}.items():
        values = {key: value for key, value in metadata.get(level, {}).items() if key != "files"}
        if values and container_id:
            containers[container_id].update(values)
