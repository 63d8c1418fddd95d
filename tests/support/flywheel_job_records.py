"""Forms in which the stand-in site takes and returns jobs and batches."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tests.support.flywheel_lists import Record, Refusal

Listed = Callable[[Iterable[Record]], object]


@dataclass(frozen=True)
class Call:
    """Request to the site; `listed` turns a list into a page."""

    method: str
    parts: Sequence[str]
    query: Mapping[str, str]
    body: bytes
    listed: Listed

    def is_true(self, name: str) -> bool:
        """Return whether a query parameter is true."""
        return self.query.get(name, "").lower() == "true"


def json_object(body: bytes) -> Any:
    """Return the JSON object in a body."""
    try:
        found = json.loads(body)
    except ValueError:
        found = None
    if not isinstance(found, dict):
        raise Refusal(400, "Empty or malformed JSON body")
    return found


def page(call: Call, jobs: Iterable[Record]) -> list[Record]:
    """Return the requested part of a list of jobs under a key."""
    found: Any = call.listed(jobs)
    results: list[Record] = found if isinstance(found, list) else found["results"]
    return results


def without_proposal(batch: Record) -> Record:
    """Return a batch as the site shows it: without the proposed jobs."""
    return {key: value for key, value in batch.items() if key != "proposal"}


def alone(job: Record) -> Record:
    """Return a job in its single form, with `id` instead of `_id`."""
    return {"id": job["_id"], **{key: value for key, value in job.items() if key != "_id"}}


def in_list(job: Record) -> Record:
    """Return a job in its list form, with its inputs as a list."""
    inputs = [{"input": name, **reference} for name, reference in job["inputs"].items()]
    return {**job, "inputs": inputs}
