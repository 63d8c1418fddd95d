"""Manifest: the gear's description for Flywheel, and files that must agree with it."""

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import flywheel
import pytest
from flywheel_gear_toolkit.utils.manifest import Manifest as ToolkitManifest
from fw_gear.manifest import Manifest as FwGearManifest
from gears.generator import derive_invocation_schema, validate_manifest
from jsonschema import Draft4Validator, ValidationError

import fw_gear_dicom_send
from fw_gear_dicom_send.config import parse
from fw_gear_dicom_send.errors import ConfigError
from fw_gear_dicom_send.options import OPTIONS
from scripts import options
from tests.support.preloaded import REPOSITORY
from tests.support.programs import skip_outside_ci

PATHS = (options.MANIFEST, options.RULE_MANIFEST)
MANIFEST: dict[str, Any] = json.loads(options.MANIFEST.read_text())
ROW = re.compile(r"^\| (`[^|]+`) \|", re.MULTILINE)


def section(heading: str) -> str:
    """Return a section of the reference of the options."""
    text = (REPOSITORY / "docs" / "configuration.md").read_text()
    return text.partition(f"## {heading}\n")[2].partition("\n##")[0]


def config_with(**options: object) -> dict[str, Any]:
    return {
        "config": {"destination": "pacs.example.org", "called_ae": "PACS"} | options,
        "inputs": {"api-key": {"base": "api-key", "key": "site:key"}},
        "destination": {"type": "session", "id": "x"},
    }


# Validation by Flywheel's tools


@pytest.mark.parametrize("path", PATHS)
def test_it_is_valid_according_to_the_specification(path: Path) -> None:
    """The specification's own tool accepts it."""
    validate_manifest(json.loads(path.read_text()))


def test_the_specification_makes_a_schema_of_its_options() -> None:
    """The schema has the options, and requires those without a default."""
    schema = derive_invocation_schema(MANIFEST)
    defaults = {
        name: option["default"]
        for name, option in MANIFEST["config"].items()
        if "default" in option
    }
    given = {"destination": "pacs.example.org", "called_ae": "PACS"}
    job = {"config": defaults | given, "inputs": {"api-key": {"key": "site:key"}}}
    Draft4Validator(schema).validate(job)
    with pytest.raises(ValidationError):
        Draft4Validator(schema).validate(job | {"config": defaults})


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("kind", [ToolkitManifest, FwGearManifest])
def test_the_toolkits_accept_it(kind: type[Any], path: Path) -> None:
    """Both Flywheel libraries find no error in it."""
    kind(str(path)).validate()


def test_the_current_fw_gear_accepts_it() -> None:
    """It also requires a classification; `make check-manifests` installs it."""
    python = REPOSITORY / ".venv-fw-gear" / "bin" / "python"
    if not python.exists():
        skip_outside_ci("make check-manifests has not been run")
    command = [python, "scripts/check_manifests.py", *PATHS]
    ended = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr


def test_the_sdk_reads_it() -> None:
    """No part of it is lost in the model of flywheel-sdk."""
    model = flywheel.GearManifest(**{key.replace("-", "_"): MANIFEST[key] for key in MANIFEST})
    shown = {key: value for key, value in model.to_dict().items() if key in MANIFEST}
    assert shown == MANIFEST


def test_fields_used_by_the_engine_and_the_site() -> None:
    """The image has the version as its tag; the gear is in the export category."""
    custom = MANIFEST["custom"]
    assert custom["gear-builder"] == {
        "category": "utility",
        "image": f"dicom-send:{MANIFEST['version']}",
    }
    assert custom["flywheel"]["suite"] == "Export"
    assert custom["flywheel"]["show-job"] is True
    assert MANIFEST["capabilities"] == ["networking"]
    assert MANIFEST["inputs"]["api-key"] == {"base": "api-key", "read-only": True}


def test_each_option_and_input_is_described() -> None:
    """The dialog describes each of them in a sentence or two."""
    described = {**MANIFEST["config"], **MANIFEST["inputs"]}
    del described["api-key"]
    for name, item in described.items():
        assert item["description"].endswith("."), name
        assert len(item["description"]) > 20, name


def test_the_dialog_shows_what_most_users_need_first() -> None:
    """It has 42 options at most, ordered by topic; the rarest ones are the last."""
    names = list(MANIFEST["config"])
    first = ["destination", "port", "called_ae", "calling_ae", "dry_run", "verify"]
    topics = ["file_types", "associations", "tls_enabled", "report_files", "conversion"]
    last = ["query_ae", "query_port", "group", "identifier", "tag_value"]
    assert len(names) <= 42
    assert names[: len(first)] == first
    assert sorted(topics, key=names.index) == topics
    assert names[-len(last) :] == last


@pytest.mark.parametrize("name", MANIFEST["config"])
def test_a_description_begins_with_the_reason_to_change_the_option(name: str) -> None:
    """The first sentence says when, and what to do with the option."""
    first = MANIFEST["config"][name]["description"].partition(". ")[0]
    actions = "Set this|Change this|Raise this|Turn this on|Turn this off"
    begin = rf"Always set this\b|({actions})( only)? (if|for|to|with)\b"
    assert re.match(begin, first), first


# Agreement with other files


def test_the_files_of_the_table_of_options_are_generated() -> None:
    """`make docs` writes the manifests and the reference again."""
    for path, text in options.documents().items():
        assert path.read_text() == text, path


def test_only_the_destination_is_required() -> None:
    """The default of each other option is one of its allowed values."""
    required = [row.name for row in OPTIONS if not row.type.is_valid(row.default)]
    assert required == ["destination"]


def test_the_manifest_for_rules_differs_in_the_file() -> None:
    """Apart from names, only the required file differs."""
    made = options.rule_manifest(MANIFEST)
    assert made["name"] == "dicom-send-rule"
    assert made["custom"]["gear-builder"]["image"] == f"dicom-send-rule:{MANIFEST['version']}"
    assert made["config"] == MANIFEST["config"]
    required = [name for name, one in made["inputs"].items() if not one.get("optional")]
    assert required == ["api-key", "file"]


def test_the_image_can_have_either_manifest() -> None:
    """Both manifests are included in the build context of the image."""
    assert "COPY ${MANIFEST} ./manifest.json" in _read("Dockerfile").splitlines()
    let_through = _read(".dockerignore").splitlines()
    assert {f"!{path.name}" for path in PATHS} <= set(let_through)


def test_the_version_is_that_of_the_package() -> None:
    """It is defined in one place; the manifest and the documents repeat it."""
    version = fw_gear_dicom_send.__version__
    assert MANIFEST["version"] == version
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())
    assert project["project"]["dynamic"] == ["version"]
    for document in ("docs/TESTING.md", "docs/CONFORMANCE.md"):
        found = set(re.findall(r"dicom-send[: ](\d+\.\d+\.\d+)", _read(document)))
        assert found == {version}, document


def test_the_environment_is_that_of_the_image() -> None:
    """The engine sets only these variables, so the image has no others."""
    variables = dict(re.findall(r"^ENV (\w+)=(.*)$", _read("Dockerfile"), re.MULTILINE))
    assert variables == MANIFEST["environment"]


def test_the_reference_has_each_input() -> None:
    """The table of inputs lists them all."""
    documented = {
        name for cell in ROW.findall(section("Inputs")) for name in re.findall(r"`([^`]+)`", cell)
    }
    assert documented == set(MANIFEST["inputs"])


@pytest.mark.parametrize(
    ("name", "bound", "step"),
    [
        (name, bound, step)
        for name, option in MANIFEST["config"].items()
        for bound, step in (("minimum", -1), ("maximum", 1))
        if bound in option
    ],
)
def test_limits_agree_with_the_code(name: str, bound: str, step: int) -> None:
    """Values within the manifest's limits are accepted, others are rejected."""
    limit = MANIFEST["config"][name][bound]
    web = {"destination": "http://host"} if name == "images_per_request" else {}
    parse(config_with(**{name: limit}, **web))
    with pytest.raises(ConfigError, match=f"^{name}: "):
        parse(config_with(**{name: limit + step}, **web))


@pytest.mark.parametrize(
    ("name", "limit"),
    [
        (name, option["maxLength"])
        for name, option in MANIFEST["config"].items()
        if "maxLength" in option
    ],
)
def test_lengths_agree_with_the_code(name: str, limit: int) -> None:
    """A text of the manifest's maximum length is accepted, a longer one is rejected."""
    parse(config_with(**{name: "A" * limit}))
    with pytest.raises(ConfigError, match=f"^{name}: "):
        parse(config_with(**{name: "A" * (limit + 1)}))


@pytest.mark.parametrize("name", MANIFEST["config"])
def test_each_option_is_read(name: str) -> None:
    """An impossible value is rejected for each option."""
    with pytest.raises(ConfigError, match=f"^{name}: "):
        parse(config_with(**{name: ["nonsense"]}))


def _read(path: str) -> str:
    return Path(REPOSITORY / path).read_text()
