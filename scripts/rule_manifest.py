"""Writes manifest-rule.json, the manifest of the gear for gear rules, whose file is required.

A gear rule sets the required input that has no fixed file. A site can reject a rule for a gear
whose inputs are all optional.
"""

import json
from collections.abc import Mapping
from copy import deepcopy
from typing import Any

from scripts.conformance import REPOSITORY

SOURCE = REPOSITORY / "manifest.json"
TARGET = REPOSITORY / "manifest-rule.json"
NAME = "dicom-send-rule"
FILE = (
    "A DICOM file, or a zip or tar (plain, .tgz, .tar.gz, .tar.bz2, .tar.xz) of DICOM files. It is "
    "always sent; file_types, include, exclude, modality and file_tags do not apply."
)
DESCRIPTION = "Sends the DICOM file that a gear rule selects to a DICOM server (C-STORE)."


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


def document() -> str:
    """Return the text of the file."""
    made = rule_manifest(json.loads(SOURCE.read_text(encoding="utf-8")))
    return json.dumps(made, indent=2) + "\n"


if __name__ == "__main__":
    TARGET.write_text(document(), encoding="utf-8")
