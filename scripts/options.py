"""Writes the files that show the table of options, from `fw_gear_dicom_send/options.py`.

These are manifest.json, manifest-rule.json and the table in docs/configuration.md. The second is
the manifest of the gear for gear rules, whose input `file` is required: a gear rule sets the
required input that has no fixed file. A site can reject a rule for a gear whose inputs are all
optional.
"""

import json
import re
from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from fw_gear_dicom_send.option_types import Option, Place
from fw_gear_dicom_send.options import OPTIONS
from scripts.conformance import REPOSITORY, table

MANIFEST = REPOSITORY / "manifest.json"
RULE_MANIFEST = REPOSITORY / "manifest-rule.json"
REFERENCE = REPOSITORY / "docs" / "configuration.md"
NAME = "dicom-send-rule"
FILE = (
    "A DICOM file, or a zip or tar (plain, .tgz, .tar.gz, .tar.bz2, .tar.xz) of DICOM files. It is "
    "always sent; file_types, include, exclude, modality and file_tags do not apply."
)
DESCRIPTION = (
    "Sends the DICOM file that a gear rule selects to a DICOM server (C-STORE or DICOMweb)."
)
_HEADER = ("option", "default", "allowed", "meaning")
_TABLE = re.compile(r"^\| option \|.*\n(?:\|.*\n)*", re.MULTILINE)


def manifest() -> dict[str, Any]:
    """Return the gear's manifest, with the options of the table."""
    made: dict[str, Any] = json.loads(MANIFEST.read_text(encoding="utf-8"))
    return made | {"config": {row.name: _in_manifest(row) for row in _of_gear()}}


def rule_manifest(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest for gear rules, made from the gear's manifest."""
    made = deepcopy(dict(manifest))
    _, _, rest = made["description"].partition(". ")
    made |= {
        "name": NAME,
        "label": f"{made['label']} (gear rules)",
        "description": f"{DESCRIPTION} {rest}",
    }
    made["custom"]["gear-builder"]["image"] = f"{NAME}:{made['version']}"
    made["inputs"]["file"]["description"] = FILE
    del made["inputs"]["file"]["optional"]
    return made


def reference() -> str:
    """Return the text of docs/configuration.md, with the options of the table."""
    lines = table(_HEADER, map(_in_reference, _of_gear()))
    return _TABLE.sub(lambda _: f"{lines}\n", REFERENCE.read_text(encoding="utf-8"), count=1)


def documents() -> dict[Any, str]:
    """Return the text of each file."""
    gear = manifest()
    texts = {path: json.dumps(made, indent=2) + "\n" for path, made in _manifests(gear)}
    return {**texts, REFERENCE: reference()}


def _manifests(gear: dict[str, Any]) -> Iterator[tuple[Any, dict[str, Any]]]:
    yield MANIFEST, gear
    yield RULE_MANIFEST, rule_manifest(gear)


def _of_gear() -> Iterator[Option]:
    return (row for row in OPTIONS if row.where & Place.GEAR)


def _in_manifest(row: Option) -> dict[str, Any]:
    default = {} if row.default is None else {"default": row.default}
    return {**default, "description": row.text, **row.type.schema}


def _in_reference(row: Option) -> tuple[str, ...]:
    """Return the cells of an option: its names and choices are code."""
    names = [one.name for one in OPTIONS if "_" in one.name]
    choices = row.type.schema.get("enum", ())
    words = [rf"\b{name}\b" for name in names] + [rf"\b{choice}(?=:)" for choice in choices]
    code = "|".join(["'.*?'(?!s)", *words])
    meaning = re.sub(code, lambda found: f"`{found[0].strip(chr(39))}`", row.text)
    allowed = ", ".join(f"`{choice}`" for choice in choices) or row.type.allowed
    return f"`{row.name}`", _default(row), allowed, f"{meaning} {row.more}".strip()


def _default(row: Option) -> str:
    """Return a default as the reference shows it."""
    if row.default is None:
        return "required"
    if isinstance(row.default, str):
        return f"`{row.default}`" if row.default else "empty"
    return str(row.default).lower()


if __name__ == "__main__":
    for path, text in documents().items():
        path.write_text(text, encoding="utf-8")
