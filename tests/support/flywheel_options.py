"""Validation of a job's options against its gear's manifest on the stand-in site."""

from collections.abc import Mapping
from typing import Any

from tests.support.flywheel_lists import Record, Refusal

TYPES: Mapping[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
}


def filled(gear: Mapping[str, Any], given: Mapping[str, Any]) -> Record:
    """Return the options with the manifest's defaults, or reject invalid options."""
    options, rules = dict(given), gear.get("config", {})
    if unknown := sorted(options.keys() - rules):
        text = "Additional properties are not allowed ({} {} unexpected)"
        names = ", ".join(map(repr, unknown))
        problem = text.format(names, "were" if len(unknown) > 1 else "was")
        raise Refusal(422, f"config did not match manifest: {problem}")
    for name, rule in rules.items():
        if "default" in rule:
            options.setdefault(name, rule["default"])
        if name not in options:
            if rule.get("optional"):
                continue
            raise Refusal(422, f"config did not match manifest: {name!r} is a required property")
        if not _fits(options[name], rule):
            raise Refusal(422, f"config did not match manifest: {name!r}: {options[name]!r}")
    return options


def _fits(value: Any, rule: Mapping[str, Any]) -> bool:
    kinds = TYPES[rule["type"]]
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        return False
    size = len(value) if isinstance(value, str) else value
    lower = rule.get("minLength" if isinstance(value, str) else "minimum", size)
    upper = rule.get("maxLength" if isinstance(value, str) else "maximum", size)
    return value in rule.get("enum", [value]) and lower <= size <= upper
