"""Measure claims about the gear, and compare each with its limit.

python -m benchmarks.claims [--scale 0.1] [--json FILE] [latency race ...]
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.claims.measuring import CLAIMS, measure
from benchmarks.claims.outcome import Outcome


def main(argv: Sequence[str]) -> int:
    """Measure the named claims, or all; return 0 if all are true."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.claims")
    parser.add_argument("names", nargs="*", metavar="claim", help=", ".join(CLAIMS))
    parser.add_argument(
        "--scale", type=float, default=1.0, help="size of the data, e.g. 0.1 for a trial"
    )
    parser.add_argument("--json", type=Path, help="output file for the results")
    options = parser.parse_args(argv)
    if unknown := set(options.names) - set(CLAIMS):
        parser.error(f"no such claim: {', '.join(sorted(unknown))}")
    outcomes = []
    for name in options.names or CLAIMS:
        for outcome in measure(name, options.scale):
            print_outcome(name, outcome)
            outcomes.append(outcome)
    if options.json:
        options.json.write_text(as_json(outcomes))
    return 0 if all(outcome.holds for outcome in outcomes) else 1


def print_outcome(name: str, outcome: Outcome) -> None:
    """Print a section."""
    lines = [
        f"== {name}: {outcome.claim}",
        f"bound     {outcome.bound}",
        f"measured  {outcome.measured}",
        f"holds     {'yes' if outcome.holds else 'no'}",
        *(f"          {line}" for line in outcome.details),
    ]
    sys.stdout.write("\n".join(lines) + "\n\n")
    sys.stdout.flush()


def as_json(outcomes: Sequence[Outcome]) -> str:
    """Return the outcomes as a JSON list."""
    rows = [
        {
            "claim": outcome.claim,
            "bound": outcome.bound,
            "measured": outcome.measured,
            "holds": outcome.holds,
        }
        for outcome in outcomes
    ]
    return json.dumps(rows, indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
