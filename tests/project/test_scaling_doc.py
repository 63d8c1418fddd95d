"""Calculations and gear rule in SCALING.md."""

import json
import re
from math import ceil
from typing import Any

import pytest
from flywheel.api_client import ApiClient
from flywheel.models import (
    FixedInput,
    GearRuleCondition,
    GearRuleConditionType,
    GearRuleInput,
    JobPriority,
)

from tests.support.preloaded import REPOSITORY

DOCS = REPOSITORY / "docs"
PAGE = (DOCS / "SCALING.md").read_text()
TEXT = " ".join(PAGE.split())
MANIFEST = json.loads((REPOSITORY / "manifest.json").read_text())
MEASURED = json.loads((DOCS / "benchmarks.json").read_text())
CLAIMS = json.loads((DOCS / "benchmarks-claims.json").read_text())

NUMBERS = [10**3, 10**4, 10**5, 10**6, 10**7]
GIGABIT = 125.0
MILLISECONDS = (10, 50, 150)
IMAGES_A_JOB, JOBS_AT_ONCE, ENGINE = 500, 4, 60
GIVEN, NEEDED = 20, 8
RATES = {
    "A": ("Orthanc", "MR", "orthanc", "mr", 4),
    "B": ("Orthanc", "CT", "orthanc", "ct", 4),
    "C": ("Orthanc", "one multi-frame image", "orthanc", "multiframe", 4),
    "D": ("storescp", "MR", "storescp", "mr", 4),
}
Table = list[list[str]]


def measured(target: str, data: str, associations: int) -> dict[str, Any]:
    wanted = (target, data, f"gear-{associations}")
    rows = MEASURED["rows"]
    return next(row for row in rows if (row["target"], row["data"], row["sender"]) == wanted)


def data_set(name: str) -> dict[str, Any]:
    return next(one for one in MEASURED["data"] if one["name"] == name)


def start() -> float:
    name = "From the start of the gear's process to the first C-STORE request"
    claim = next(one for one in CLAIMS if one["claim"] == name)
    return float(claim["measured"].split()[1])


def rate(letter: str) -> float:
    """Images per second after the start of a job, with three digits like the page."""
    _, _, target, data, associations = RATES[letter]
    seconds = measured(target, data, associations)["seconds"]
    return float(digits(data_set(data)["images"] / (seconds - start())))


def megabytes(data: str) -> float:
    one = data_set(data)
    return float(digits(one["bytes"] / one["images"] / 1e6))


def digits(number: float) -> str:
    return f"{number:#.3g}".rstrip(".") if number < 999.5 else f"{number:.0f}"


def duration(seconds: float) -> str:
    for unit, length, most in (("s", 1, 100), ("min", 60, 100), ("h", 3600, 48)):
        if seconds / length < most:
            return f"{digits(seconds / length)} {unit}"
    return f"{digits(seconds / 86400)} days"


def table(heading: str) -> Table:
    """Cells of the first table below a heading."""
    below = PAGE.split(f"## {heading}\n", 1)[1]
    found = re.search(r"(?:^\|.*\|\n)+", below, re.MULTILINE)
    assert found, heading
    lines = [line.strip("|").split("|") for line in found[0].splitlines()]
    return [[cell.strip() for cell in line] for line in lines if set("".join(line)) - set(" -:")]


def rates() -> Table:
    head = "rate | server | data | associations | images | MB an image | seconds"
    reckoned = [f"images/s = images / (seconds - {start()})", "MB/s = images/s x MB"]
    rows = [head.split(" | ") + reckoned]
    for letter, (server, kind, target, data, associations) in RATES.items():
        seconds = measured(target, data, associations)["seconds"]
        images = data_set(data)["images"]
        cells = [letter, server, kind, str(associations), f"{images:,}"]
        cells += map(digits, (megabytes(data), seconds, rate(letter)))
        cells.append(digits(rate(letter) * megabytes(data)))
        rows.append(cells)
    return rows


def one_job() -> Table:
    letters, kinds = "AB", {"MR": megabytes("mr"), "CT": megabytes("ct")}
    head = ["images *N*"]
    head += [f"{one}: {start()} s + *N* / {digits(rate(one))}" for one in letters]
    head += [f"network, {kind}: *N* x {digits(size)} / 125" for kind, size in kinds.items()]
    rows = [head]
    for number in NUMBERS:
        cells = [start() + number / rate(one) for one in letters]
        cells += [number * size / GIGABIT for size in kinds.values()]
        rows.append([f"{number:,}", *map(duration, cells)])
    return rows


def many_jobs() -> Table:
    job = float(digits(start() + IMAGES_A_JOB / rate("A")))
    rows = [
        [
            "images *N*",
            "jobs = *N* / 500",
            "rounds = jobs / 4",
            f"*P* = 0: rounds x {job:.2f} s",
            f"*P* = 60 s: rounds x {job + ENGINE:.1f} s",
            f"server, A: *N* / {digits(rate('A'))}",
        ]
    ]
    for number in NUMBERS:
        jobs = ceil(number / IMAGES_A_JOB)
        rounds = ceil(jobs / JOBS_AT_ONCE)
        cells = [rounds * job, rounds * round(job + ENGINE, 1), number / rate("A")]
        rows.append([f"{number:,}", f"{jobs:,}", f"{rounds:,}", *map(duration, cells)])
    return rows


def latency() -> Table:
    head = [f"RTT {milliseconds} ms: *a* / (2 x RTT)" for milliseconds in MILLISECONDS]
    rows = [["associations *a*", *head]]
    for number in (1, 4, 8, 16):
        rates = [number / (2 * milliseconds / 1000) for milliseconds in MILLISECONDS]
        rows.append([str(number), *map(digits, rates)])
    return rows


def budget() -> Table:
    rows = [["`associations` *a*", "jobs at once: 12 / *a*"]]
    return rows + [[str(n), str((GIVEN - NEEDED) // n)] for n in (1, 2, 3, 4, 8)]


@pytest.mark.parametrize(
    ("heading", "expected"),
    [
        ("What was measured", rates),
        ("One job", one_job),
        ("Many jobs", many_jobs),
        ("A server far away", latency),
        ("How many jobs at once", budget),
    ],
)
def test_the_tables_follow_from_the_benchmarks(heading: str, expected: Any) -> None:
    """Each number in a table is calculated from the benchmarks, as its heading says."""
    assert table(heading) == expected(), as_markdown(expected())


def as_markdown(rows: Table) -> str:
    ruled = [rows[0], ["---:"] * len(rows[0]), *rows[1:]]
    return "\n" + "\n".join(f"| {' | '.join(row)} |" for row in ruled)


def test_the_text_has_the_numbers_of_the_tables() -> None:
    """The numbers in the text around the tables also follow from the benchmarks."""
    run, size = measured("orthanc", "mr", 4), megabytes("ct")
    pace, at_once = digits(rate("A")), JOBS_AT_ONCE * IMAGES_A_JOB
    job = start() + IMAGES_A_JOB / rate("A")
    for said in (
        f"{run['cpu_seconds']:.2f} s of processor time in {run['seconds']:.2f} s",
        f"Over TLS, run A takes {run['tls_seconds']:.2f} s instead of {run['seconds']:.2f} s",
        f"take {start()} s + 10 / {digits(rate('C'))} = {start() + 10 / rate('C'):.0f} s",
        f"first C-STORE request it takes {start()} s (median)",
        f"125 / {size} = {digits(GIGABIT / size)} a second",
        f"{start()} s + 500 / {pace} = {job:.2f} s",
        f"4 x 500 / {job:.2f} = {at_once / round(job, 2):,.0f} images a second",
        f"takes {pace} in all",
        f"4 x 500 / {job + ENGINE:.1f} = {at_once / (job + ENGINE):.0f} a second",
    ):
        assert said in TEXT, said


def test_links_lead_to_existing_targets() -> None:
    """Each link within the documents leads to a file or to a heading of the page."""
    slugs = {
        re.sub(r"[^\w -]", "", heading).replace(" ", "-").lower()
        for heading in re.findall(r"^#+ (.*)$", PAGE, re.MULTILINE)
    }
    for target in re.findall(r"\]\((?!https:)([^)]+)\)", PAGE):
        file, _, anchor = target.partition("#")
        assert (DOCS / file).is_file() if file else anchor in slugs, target


# The gear rule


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


def rule_and_inputs() -> tuple[dict[str, Any], list[dict[str, Any]]]:
    rule, _, inputs = map(json.loads, blocks("json"))
    return rule, inputs


def modelled(model: type, values: dict[str, Any]) -> Any:
    return model(**{model.rattribute_map[key]: value for key, value in values.items()})  # type: ignore[attr-defined]


def test_the_rule_is_completely_known_to_the_sdk() -> None:
    """All fields of the rule are in the SDK's models and are sent unchanged."""
    rule, inputs = rule_and_inputs()
    made = modelled(GearRuleInput, rule | {"fixed_inputs": inputs})
    made.all += json.loads(blocks("json")[1])
    rule["all"] = list(made.all)
    for name in ("any", "all", "_not"):
        conditions = [modelled(GearRuleCondition, one) for one in getattr(made, name)]
        assert all(GearRuleConditionType(one.type) for one in conditions)
        setattr(made, name, conditions)
    made.fixed_inputs = [modelled(FixedInput, one) for one in inputs]
    assert JobPriority(made.priority)
    sent = ApiClient().sanitize_for_serialization(made)
    assert sent == rule | {"fixed_inputs": inputs}


def test_the_rule_uses_options_of_the_manifest() -> None:
    """Its options and inputs are the gear's, with valid values; few need credentials."""
    rule, inputs = rule_and_inputs()
    kinds = {"string": str, "integer": int, "boolean": bool}
    options = MANIFEST["config"]
    for name, value in rule["config"].items():
        assert type(value) is kinds[options[name]["type"]], name
        assert value in options[name].get("enum", [value])
    needed = {name for name, option in options.items() if "default" not in option}
    assert needed <= set(rule["config"])
    named = {rule["triggering_input"], *(one["input"] for one in inputs)}
    assert named == set(MANIFEST["inputs"]) - {"api-key", "identity", "authorization"}


def test_slurm_requests_match_the_use_of_jobs() -> None:
    """Its licences are its associations, and its memory exceeds the measured peak."""
    script = next(block for block in blocks("sh") if "--array" in block)
    licences = re.search(r"--licenses=pacs:(\d+)", script)
    memory = re.search(r"--mem=(\d)G", script)
    assert licences
    assert memory
    assert f"--associations {licences[1]} --skip-existing " in script
    peak = max(row["peak_megabytes"] for row in MEASURED["rows"] if row["sender"][:4] == "gear")
    assert peak < int(memory[1]) * 1000
    assert f"at most {peak:.0f} MB" in TEXT
