"""Matching of files to a gear's inputs on the stand-in site, as in the site's batch dialog.

It follows api/jobs/batch.py of scitran/core as of 2019.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.support.flywheel_lists import Record, Refusal

if TYPE_CHECKING:
    from tests.support.flywheel_site import FlywheelSite

POLICIES = ("ignored", "flexible", "required")
Manifest = Mapping[str, Any]


class GearMatching:
    """Batches of containers whose files match a gear."""

    def __init__(self, site: "FlywheelSite") -> None:
        self._site = site

    def propose(self, wanted: Mapping[str, Any]) -> Record:
        """Create a batch of the target acquisitions whose files match the inputs one to one."""
        gear = self._gear(wanted)
        targets, policy = wanted.get("targets"), wanted.get("optional_input_policy")
        if not targets:
            raise Refusal(400, "A gear name and list of target containers is required.")
        inputs = gear["inputs"].values()
        if any(one.get("optional") for one in inputs) and policy not in POLICIES:
            raise Refusal(
                400, "Gear has optional inputs but no policy on optional inputs was given"
            )
        found: dict[str, list[Record]] = {"matched": [], "not_matched": [], "ambiguous": []}
        jobs = []
        for container in self._acquisitions(targets):
            state, names = matched(gear, container["files"], str(policy))
            found[state].append({"_id": container["_id"]})
            if state == "matched":
                at = {"type": "acquisition", "id": container["_id"]}
                job_inputs = {name: {**at, "name": file} for name, file in names.items()}
                jobs.append(
                    {
                        "gear_id": wanted["gear_id"],
                        "config": wanted.get("config") or {},
                        "inputs": job_inputs,
                        "destination": at,
                        "tags": [*(wanted.get("tags") or ()), "batch"],
                    }
                )
        batch = self._site.queue.propose({"jobs": jobs}) if jobs else {}
        shown = {key: value for key, value in batch.items() if key != "proposal"}
        return {**shown, **found, "improper_permissions": [], "optional_input_policy": policy}

    def _gear(self, wanted: Mapping[str, Any]) -> Manifest:
        document = self._site.gears.get(str(wanted.get("gear_id")))
        if document is None:
            raise Refusal(404, "Gear not found")
        gear: Manifest = document["gear"]
        return gear

    def _acquisitions(self, targets: Sequence[Record]) -> list[Record]:
        wanted = {target["id"] for target in targets}
        return [
            record
            for one, record in self._site.containers.items()
            if self._site.types[one] == "acquisition"
            and "deleted" not in record
            and not wanted.isdisjoint((one, *record["parents"].values()))
        ]


def matched(gear: Manifest, files: Iterable[Record], policy: str) -> tuple[str, dict[str, str]]:
    """Return whether files match a gear's inputs one to one, and the file name for each input."""
    present = [file for file in files if "deleted" not in file]
    suggested = _suggested(gear, present) if present else None
    if suggested is None:
        return "not_matched", {}
    is_ambiguous = False
    for name, names in suggested.items():
        is_optional = gear["inputs"][name].get("optional", False)
        if len(names) > 1 and not (is_optional and policy == "ignored"):
            is_ambiguous = True
        elif not names and (policy == "required" or not is_optional):
            return "not_matched", {}
    if is_ambiguous:
        return "ambiguous", {}
    return "matched", {
        name: names[0]
        for name, names in suggested.items()
        if names and not (policy == "ignored" and gear["inputs"][name].get("optional"))
    }


def _suggested(gear: Manifest, files: Sequence[Record]) -> dict[str, list[str]]:
    """Return the files that match each input, by its JSON schema in the manifest."""
    # The network tests run without these packages.
    from gears.generator import derive_invocation_schema, isolate_file_invocation
    from jsonschema import Draft4Validator

    schema = derive_invocation_schema(gear)
    return {
        name: [
            file["name"]
            for file in files
            if Draft4Validator(isolate_file_invocation(schema, name)).is_valid(file)
        ]
        for name, wanted in gear["inputs"].items()
        if wanted["base"] == "file"
    }
