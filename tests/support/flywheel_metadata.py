"""Metadata of the stand-in site: as requests change it, and as the engine applies a job's.

It follows `ListStorage`, `ContainerStorage` and `EnginePlacer` of scitran/core. `set` replaces
whole top-level keys. The engine replaces tags and custom information of files of the job's
destination, also after a failed job. It changes containers after a successful job only.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from tests.support.flywheel_lists import Refusal, now

if TYPE_CHECKING:
    from tests.support.flywheel_site import FlywheelSite

LEVELS = ("project", "subject", "session", "acquisition")
MAX_TAG_LENGTH = 32


def set_info(record: dict[str, Any], body: Any) -> object:
    """Set top-level keys of the custom information of a container or file.

    Dots and dollar signs in further keys are rewritten. At the top, sites differ: they are refused.
    """
    match body:
        case {"set": dict(changes), **rest} if changes and not rest:
            if any(character in key for key in changes for character in ".$"):
                raise Refusal(400, "Invalid key")
            record["info"] = {**(record.get("info") or {}), **_rewritten(changes)}
            record["modified"] = now()
            return {"modified": 1}
    raise Refusal(400, "Invalid info update")


def add_tags(record: dict[str, Any], tags: Any, *, conflicts: bool) -> object:
    """Add tags to a container or file; with `conflicts`, refuse existing ones."""
    is_list = isinstance(tags, list) and all(isinstance(tag, str) for tag in tags)
    if not is_list or not all(0 < len(tag) <= MAX_TAG_LENGTH for tag in tags):
        raise Refusal(400, "Invalid tag")
    if conflicts and set(tags) & set(record["tags"]):
        raise Refusal(HTTPStatus.CONFLICT, "Item already exists in list.")
    record["tags"] = list(dict.fromkeys([*record["tags"], *tags]))
    return record["tags"]


def apply(
    site: "FlywheelSite",
    destination: Mapping[str, str],
    metadata: Mapping[str, Any],
    *,
    is_success: bool = True,
) -> None:
    """Apply metadata to the destination of a job.

    Raises:
        ValidationError: The engine's schema forbids the metadata.
        KeyError: The destination does not have the file.
    """
    # The tests with newer packages have neither.
    import jsonschema
    from flywheel_gear_toolkit.interfaces import engine_metadata

    jsonschema.Draft7Validator(engine_metadata).validate(metadata)
    kind, container = destination["type"], site.containers[destination["id"]]
    with site.lock:
        for changes in metadata.get(kind, {}).get("files", []):
            files = {file["name"]: file for file in container["files"]}
            files[changes["name"]].update(changes)
        above = {level: container["parents"].get(level) for level in LEVELS if level != kind}
        for level, container_id in {kind: destination["id"], **above}.items():
            values = {key: one for key, one in metadata.get(level, {}).items() if key != "files"}
            if is_success and values and container_id:
                _change(site.containers[container_id], values, merges=site.merges_metadata)


def _change(record: dict[str, Any], values: Mapping[str, Any], *, merges: bool) -> None:
    for key, value in values.items():
        if merges and isinstance(value, dict) and isinstance(record.get(key), dict):
            _change(record[key], value, merges=merges)
        else:
            record[key] = value


def _rewritten(value: Any) -> Any:
    if isinstance(value, dict):
        return {
            key.replace(".", "_").replace("$", ""): _rewritten(one) for key, one in value.items()
        }
    return [_rewritten(one) for one in value] if isinstance(value, list) else value
