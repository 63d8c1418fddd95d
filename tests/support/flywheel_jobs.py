"""Gears, jobs and batches of the stand-in site, with the rules of its ancestor scitran/core."""

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tests.support.flywheel_job_records import (
    Call,
    alone,
    in_list,
    json_object,
    page,
    without_proposal,
)
from tests.support.flywheel_lists import Record, Refusal, now
from tests.support.flywheel_options import filled

if TYPE_CHECKING:
    from tests.support.flywheel_site import FlywheelSite

USER = "user@example.org"
ORIGIN = {"type": "user", "id": USER}
PROVIDER = "5f0000000000000000000001"
OVER = ("complete", "failed", "cancelled")


class JobQueue:
    """Records of `gears`, `jobs` and `batches` on the site; each is a dict by id."""

    def __init__(self, site: "FlywheelSite") -> None:
        self._site = site
        self._waited: dict[str, int] = {}

    def add_gear(self, manifest: Mapping[str, Any], version: str | None) -> str:
        """Add a gear or a new version of a gear."""
        gear = copy.deepcopy(dict(manifest))
        if version is not None:
            gear["version"] = version
        with self._site.lock:
            gear_id = self._site.new_id()
            self._site.gears[gear_id] = {
                "_id": gear_id,
                "category": gear.get("custom", {}).get("gear-builder", {}).get("category"),
                "gear": gear,
                "created": now(),
                "modified": now(),
            }
        return gear_id

    def gear(self, name: str, version: str | None = None) -> Record:
        """Return a version of a gear, the newest by default."""
        for document in reversed(self._site.gears.values()):
            if document["gear"]["name"] == name and version in (None, document["gear"]["version"]):
                return document
        raise Refusal(404, f"Gear {name} not found.")

    def route(self, call: Call) -> object:
        """Execute a request and return the response."""
        match call.parts[0]:
            case "gears":
                return self._route_gears(call)
            case "jobs":
                return self._route_jobs(call)
        return self._route_batches(call)

    def _route_gears(self, call: Call) -> object:
        match call.method, *call.parts[1:]:
            case ("GET",):
                return call.listed(self._shown_gears(every=call.is_true("all_versions")))
            case "GET", gear_id:
                return self._get(self._site.gears, gear_id, "Gear")
        raise Refusal(404)

    def _route_jobs(self, call: Call) -> object:
        site, body = self._site, call.body
        match call.method, *call.parts[1:]:
            case ("GET",):
                self._check_lists()
                if not site.is_admin:
                    raise Refusal(403, "Request requires admin")
                return call.listed(map(in_list, site.jobs.values()))
            case "GET", job_id:
                if not (site.gives_jobs or site.is_admin):
                    raise Refusal(403, "Request requires admin")
                return alone(self._get(site.jobs, job_id, "Job"))
            case "GET", job_id, "logs":
                self._get(site.jobs, job_id, "Job")
                return {"_id": job_id, "logs": site.logs.get(job_id, [])}
            case "POST", "add":
                return {"_id": self.add(json_object(body))}
            case "POST", job_id, "retry":
                return {"_id": self._retry(job_id, forced=call.is_true("ignoreState"))}
            case "PUT", job_id:
                return self._modify(job_id, json_object(body))
        raise Refusal(404)

    def _route_batches(self, call: Call) -> object:
        site = self._site
        match call.method, *call.parts[1:]:
            case ("GET",):
                own = [b for b in site.batches.values() if site.is_admin or b["origin"] == ORIGIN]
                return call.listed(map(without_proposal, own))
            case "GET", batch_id:
                batch = without_proposal(self._get(site.batches, batch_id, "Batch job"))
                if call.is_true("jobs"):
                    batch["jobs"] = [alone(site.jobs[job_id]) for job_id in batch["jobs"]]
                return batch
            case ("POST",):
                return site.matching.propose(json_object(call.body))
            case "POST", "jobs":
                return self.propose(json_object(call.body))
            case "POST", batch_id, "run":
                return [alone(job) for job in self.run_batch(batch_id)]
            case "POST", batch_id, "cancel":
                return {"number_cancelled": self._cancel_batch(batch_id)}
        raise Refusal(404)

    def below(self, call: Call) -> object:
        """Return the user's jobs, each in its single form, or those of a session."""
        kind, wanted_id = call.parts
        with self._site.lock:
            jobs = list(self._site.jobs.values())
            if kind == "users":
                self._check_lists()
                own = [job for job in jobs if job["origin"]["id"] == USER]
                return {"total": len(own), "jobs": [alone(job) for job in page(call, own)]}
            self._container({"type": "session", "id": wanted_id})
            on_session = [job for job in jobs if job["parents"].get("session") == wanted_id]
            return {"jobs": page(call, map(in_list, on_session))}

    def take(self) -> Record | None:
        """Start the oldest pending job, and return a copy of its record.

        Jobs that have waited for more than `patience` others are cancelled, as by some sites.
        """
        with self._site.lock:
            pending = [job for job in self._site.jobs.values() if job["state"] == "pending"]
            for job in pending[:1]:
                job["request"] = {"inputs": [], "outputs": [], "target": {}}
                self._move(job, "running")
            for job in pending[1:]:
                waited = self._waited[job["_id"]] = self._waited.get(job["_id"], 0) + 1
                if waited > self._site.patience:
                    self._move(job, "cancelled")
            return copy.deepcopy(pending[0]) if pending else None

    def end(
        self, job_id: str, state: str, *, reason: str | None = None, saved: Sequence[str] = ()
    ) -> bool:
        """End a running job; return False if it was already cancelled."""
        with self._site.lock:
            job = self._site.jobs[job_id]
            if job["state"] != "running":
                return False
            job["saved_files"] = list(saved)
            if reason is not None:
                job["failure_reason"] = reason
            self._move(job, state)
            return True

    def log(self, job_id: str, text: str, channel: int = 1) -> None:
        """Add lines to a job's log; channel 1 is stdout of the gear, 2 is stderr."""
        with self._site.lock:
            lines = self._site.logs.setdefault(job_id, [])
            lines += [{"fd": channel, "msg": line} for line in text.splitlines(keepends=True)]

    def _check_lists(self) -> None:
        if not self._site.lists_jobs:
            raise Refusal(403)

    def _get(self, records: Mapping[str, Record], wanted_id: str, kind: str) -> Record:
        if wanted_id not in records:
            raise Refusal(404, f"{kind} {wanted_id} not found.")
        return records[wanted_id]

    def _shown_gears(self, *, every: bool) -> Iterator[Record]:
        for document in self._site.gears.values():
            gear = document["gear"]
            invalid = gear.get("custom", {}).get("flywheel", {}).get("invalid", False)
            if not invalid and (every or document is self.gear(gear["name"])):
                yield document

    def _move(self, job: Record, state: str) -> None:
        """Set the state of a job, and update the state of its batch."""
        job["state"] = state
        job["modified"] = job["transitions"][state] = now()
        batch = self._site.batches.get(job.get("batch", ""))
        if batch is None or batch["state"] == "cancelled" or state not in ("complete", "failed"):
            return
        states = [self._site.jobs[job_id]["state"] for job_id in batch["jobs"]]
        if all(one in OVER for one in states):
            batch["state"] = "failed" if set(states) == {"failed"} else "complete"
            batch["modified"] = now()

    def _modify(self, job_id: str, change: Mapping[str, Any]) -> Record:
        job = self._get(self._site.jobs, job_id, "Job")
        if set(change) != {"state"} or change["state"] != "cancelled":
            raise Refusal(403, "Users may only cancel a job.")
        if job["state"] in OVER:
            raise Refusal(400, f"Cannot mutate a job that is {job['state']}.")
        self._move(job, "cancelled")
        return {"modified": 1}

    def _retry(self, job_id: str, *, forced: bool) -> str:
        job = self._get(self._site.jobs, job_id, "Job")
        if job["state"] in ("cancelled", "complete") and not forced:
            raise Refusal(
                400, "Can only retry a job that is failed, please use only_failed parameter"
            )
        if job["state"] not in OVER:
            raise Refusal(400, "Can not retry running or pending job")
        if "request" not in job:
            raise Refusal(500, "Cannot retry a job without a request")
        for other in self._site.jobs.values():
            if other.get("previous_job_id") == job_id:
                raise Refusal(500, f"Job {job_id} has already been retried as {other['_id']}")
        fields = ("gear_id", "inputs", "destination", "tags", "batch", "label", "priority")
        again = self._made(
            {key: job[key] for key in fields if key in job} | {"config": job["config"]["config"]}
        )
        again |= {"previous_job_id": job_id, "attempt": job["attempt"] + 1}
        again["request"] = job["request"]
        job["retried"] = again["created"]
        new_id = self._insert(again)
        for batch in self._site.batches.values():
            if self._site.replaces_retried and job_id in batch["jobs"]:
                batch["jobs"] = [one for one in batch["jobs"] if one != job_id] + [new_id]
        return new_id

    def propose(self, proposal: Mapping[str, Any]) -> Record:
        """Create a batch of checked jobs that do not exist yet."""
        batch_id = self._site.new_id()
        jobs = [{**job, "batch": batch_id} for job in proposal.get("jobs", [])]
        for number, job in enumerate(jobs):
            try:
                self._made(job)
            except Refusal as refusal:
                if refusal.code in (400, 403):
                    raise Refusal(refusal.code, f"Job {number}: {refusal.message}") from None
                raise
        batch: Record = {
            "_id": batch_id,
            "state": "pending",
            "origin": ORIGIN,
            "proposal": {"preconstructed_jobs": jobs},
            "jobs": [],
            "created": now(),
            "modified": now(),
        }
        self._site.batches[batch_id] = batch
        return batch

    def add(self, wanted: Mapping[str, Any]) -> str:
        """Add a job and return its id."""
        return self._insert(self._made(wanted))

    def run_batch(self, batch_id: str) -> list[Record]:
        """Create the jobs of a pending batch and return their records."""
        batch = self._get(self._site.batches, batch_id, "Batch job")
        if batch["state"] != "pending":
            raise Refusal(400, "Can only run pending batch jobs.")
        made = [self._made(job) for job in batch["proposal"]["preconstructed_jobs"]]
        batch |= {"jobs": [self._insert(job) for job in made], "state": "running"}
        batch["modified"] = now()
        return made

    def _cancel_batch(self, batch_id: str) -> int:
        """Cancel a batch's pending jobs; running jobs continue."""
        batch = self._get(self._site.batches, batch_id, "Batch job")
        if batch["state"] != "running":
            raise Refusal(400, "Can only cancel started batch jobs.")
        jobs = [self._site.jobs[job_id] for job_id in batch["jobs"]]
        pending = [job for job in jobs if job["state"] == "pending"]
        batch |= {"state": "cancelled", "modified": now()}
        for job in pending:
            self._move(job, "cancelled")
        return len(pending)

    def _insert(self, job: Record) -> str:
        job["_id"] = self._site.new_id()
        self._site.jobs[job["_id"]] = job
        return str(job["_id"])

    def _made(self, wanted: Mapping[str, Any]) -> Record:
        """Create the record of a requested job without an id, or reject it."""
        if not wanted.get("gear_id"):
            raise Refusal(400, "Job must specify gear")
        document = self._get(self._site.gears, wanted["gear_id"], "Gear")
        gear = document["gear"]
        if gear.get("custom", {}).get("flywheel", {}).get("invalid", False):
            raise Refusal(400, "Gear marked as invalid, will not run!")
        options = filled(gear, wanted.get("config") or {})
        inputs = {
            name: self._input(gear, name, reference)
            for name, reference in (wanted.get("inputs") or {}).items()
        }
        references = list((wanted.get("inputs") or {}).values())
        destination = wanted.get("destination") or (references[0] if references else None)
        if destination is None:
            raise Refusal(400, "Must specify destination if gear has no inputs.")
        destination = {"type": destination["type"], "id": destination["id"]}
        container = self._container(destination)
        if destination["id"] in self._site.read_only:
            place = f"{destination['type']} {destination['id']}"
            raise Refusal(403, f"User {USER} does not have rw access to {place}")
        parents = {**container["parents"], destination["type"]: destination["id"]}
        tags = list(wanted.get("tags") or [])
        created = now()
        job: Record = {
            "gear_id": document["_id"],
            "gear_info": {
                "id": document["_id"],
                "category": document["category"],
                "name": gear["name"],
                "version": gear["version"],
            },
            "inputs": wanted.get("inputs") or {},
            "destination": destination,
            "tags": tags if gear["name"] in tags else [*tags, gear["name"]],
            "priority": wanted.get("priority") or "medium",
            "attempt": 1,
            "state": "pending",
            "created": created,
            "modified": created,
            "transitions": {"pending": created},
            "config": {"config": options, "inputs": inputs, "destination": destination},
            "origin": ORIGIN,
            "saved_files": [],
            "parents": parents,
            "related_container_ids": list(parents.values()),
            "label": wanted.get("label") or "",
            "compute_provider_id": wanted.get("compute_provider_id") or PROVIDER,
        }
        if wanted.get("batch"):
            job["batch"] = wanted["batch"]
        return job

    def _input(self, gear: Mapping[str, Any], name: str, reference: Mapping[str, Any]) -> Record:
        """Return the entry of an input in config.json."""
        if name not in gear.get("inputs", {}):
            raise Refusal(400, f"Job input {name} is not listed in gear manifest")
        if gear["inputs"][name]["base"] != "file":
            raise Refusal(500, "Non-file input base type")
        if not {"type", "id", "name"} <= set(reference):
            raise Refusal(400, f"Input {name} does not have a properly formatted file reference.")
        for file in self._container(reference)["files"]:
            if file["name"] == reference["name"] and "deleted" not in file:
                return {
                    "base": "file",
                    "hierarchy": {"type": reference["type"], "id": reference["id"]},
                    "location": {
                        "name": file["name"],
                        "path": f"/flywheel/v0/input/{name}/{file['name']}",
                    },
                    "object": {"type": file["type"], "size": file["size"]},
                }
        raise Refusal(404, f"File {reference['name']} not found in {reference['id']}")

    def _container(self, reference: Mapping[str, Any]) -> Record:
        kind, wanted_id = reference["type"], reference["id"]
        container = self._site.containers.get(wanted_id)
        if container is None or "deleted" in container or self._site.types[wanted_id] != kind:
            raise Refusal(404, f"Could not find {kind} {wanted_id}")
        return container
