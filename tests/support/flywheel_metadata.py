"""Metadata of a job's output folder, applied like the engine does.

It follows `EnginePlacer` of the open core server. Only files of the job's destination change: their
tags and custom information are replaced. The values of the container and of its parents are
replaced, too.
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

    Raises:
        ValidationError: The engine's schema forbids the metadata.
        KeyError: The destination does not have the file.
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
