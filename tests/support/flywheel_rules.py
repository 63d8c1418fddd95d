"""Gear rules of the stand-in site: validation, and the jobs that new files trigger.

It follows api/jobs/rules.py of scitran/core as of 2019.
"""

from collections.abc import Mapping
from fnmatch import fnmatch
from typing import TYPE_CHECKING, Any

from tests.support.flywheel_lists import Record, Refusal, now

if TYPE_CHECKING:
    from tests.support.flywheel_site import FlywheelSite

Manifest = Mapping[str, Any]


class GearRules:
    """Rules of all projects, by id."""

    def __init__(self, site: "FlywheelSite") -> None:
        self.rules: dict[str, Record] = {}
        self._site = site

    def add(self, project_id: str, rule: Mapping[str, Any]) -> Record:
        """Add a rule to a project if it leaves one required input for the job's file."""
        gear = self._gear(rule)
        fixed = [one["input"] for one in rule.get("fixed_inputs") or ()]
        required = _required(gear)
        if len(required) - len(fixed) != 1:
            raise Refusal(400, "Rule must have exactly 1 non-fixed gear value")
        if not set(fixed) <= set(gear["inputs"]):
            raise Refusal(400, "Unrecognized gear input cannot be fixed for the rule")
        made = {"_id": self._site.new_id(), "project_id": project_id, "created": now(), **rule}
        self.rules[made["_id"]] = made
        return made

    def file_changed(self, container_id: str, file: Record, before: Record | None = None) -> None:
        """Create the jobs that a file triggers by its project's rules.

        A new or replaced file triggers all rules that it fits. Without new content, it triggers no
        job like that of any rule which its record `before` fitted, whatever their configurations.
        """
        kind = self._site.types[container_id]
        at = {"type": kind, "id": container_id}

        def jobs(record: Record) -> list[tuple[Record, Record]]:
            """Return the jobs for a record without their configurations, and the rules."""
            found = []
            for rule in self.rules.values():
                is_in_project = record["parents"].get("project") == rule["project_id"]
                if rule.get("disabled") or not is_in_project or not _fits(rule, record, kind):
                    continue
                fixed = {one["input"]: one for one in rule.get("fixed_inputs") or ()}
                (trigger,) = [name for name in _required(self._gear(rule)) if name not in fixed]
                inputs = {trigger: {**at, "name": record["name"]}, **fixed}
                found.append(({"gear_id": rule["gear_id"], "inputs": inputs}, rule))
            return found

        known = [job for job, _ in jobs(before)] if before else []
        for job, rule in jobs(file):
            if job not in known:
                tags = ["auto", self._gear(rule)["name"]]
                config = rule.get("config") or {}
                self._site.queue.add({**job, "config": config, "destination": at, "tags": tags})

    def _gear(self, wanted: Mapping[str, Any]) -> Manifest:
        document = self._site.gears.get(str(wanted.get("gear_id")))
        if document is None:
            raise Refusal(404, "Gear not found")
        gear: Manifest = document["gear"]
        return gear


def _required(gear: Manifest) -> list[str]:
    return [
        name
        for name, wanted in gear["inputs"].items()
        if wanted["base"] == "file" and not wanted.get("optional")
    ]


def _fits(rule: Record, file: Record, kind: str) -> bool:
    """Return whether a file meets all of `all`, one of `any` if present, and none of `not`."""

    def meets(condition: Record) -> bool:
        value = str(condition["value"]).lower()
        match condition["type"]:
            case "file.type":
                return str(file["type"]).lower() == value
            case "file.name":
                return fnmatch(file["name"].lower(), value)
            case "file.modality":
                return str(file["modality"]).lower() == value
            case "file.tags":
                return value in map(str.lower, file["tags"])
            case "file.parent_ref.type":
                return kind == value
        raise Refusal(422, f"Unimplemented match type {condition['type']}")

    some = rule.get("any") or ()
    return (
        all(map(meets, rule.get("all") or ()))
        and (not some or any(map(meets, some)))
        and not any(map(meets, rule.get("not") or ()))
    )
