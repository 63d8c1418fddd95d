"""`dicom-send-batch`: sends many sessions, with one gear job each, and merges their reports."""

import logging
import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from functools import partial
from itertools import islice
from pathlib import Path

from ..cli import options
from ..cli.console import begin_logging, write
from ..config import GearConfig
from ..errors import CancelledError, ExitCode, SiteError, UsageError
from ..exit_codes import exit_code
from ..project_settings import server_name_in
from ..report.output import write_whole
from ..report_names import Report, batch_name, waiting_name
from ..retry import RetryPolicy, retry
from ..text import quantity
from ..values import frozen, replace
from . import page, plan, selection
from .api import BatchAPI
from .command_line import files, jobs_at_once, parser
from .earlier_runs import EarlierRuns
from .follow import counts, follow
from .gather import gather
from .later import JOBS_AT_ONCE, Later
from .models import ACTIVE, GEARS, WAITING, Batch, Job, JobResult, Plan, Sent, Session
from .prompts import confirmed, read_key


@frozen
class SiteTimeouts:
    """Maximum times, in seconds, to keep querying a site.

    `start`: until a batch runs whose start was not confirmed. `silence`: without any response
    while a batch is followed.
    """

    start: float = 120.0
    silence: float = 600.0


DEFAULT_TIMEOUTS = SiteTimeouts()
MAX_LISTED = 20
"""Maximum number of batches in the list, the newest first."""

log = logging.getLogger(__name__)


def main(argv: Sequence[str] | None = None, *, timeouts: SiteTimeouts = DEFAULT_TIMEOUTS) -> int:
    """Run the command line `argv`, or that of the process; return the exit code."""
    begin_logging()
    words = list(sys.argv[1:] if argv is None else argv)
    return exit_code(lambda: 0 if _command(words, timeouts) else ExitCode.NOT_ALL_SENT)


def _command(argv: list[str], timeouts: SiteTimeouts) -> bool:
    arguments = parser().parse_args(argv, Namespace(timeouts=timeouts))
    if arguments.command == "start":
        return _start(arguments)
    api = _connected(arguments)
    commands: dict[str, Callable[[BatchAPI, Namespace], bool]] = {
        "follow": _resume,
        "stop": _stop,
        "retry": _retry,
        "gather": lambda api, arguments: _gather(api, _later(api, arguments).poll(), arguments),
        "list": lambda api, _: _list(api),
    }
    return commands[arguments.command](api, arguments)


def _start(arguments: Namespace) -> bool:
    given, named = options.given(arguments), files(arguments)
    name = server_name_in(given)
    if not name:
        plan.check(given, named)
    ids = arguments.session or ()
    if arguments.sessions_file:
        ids = selection.read_ids(arguments.sessions_file)
    api = _connected(arguments)
    gear = api.gear(arguments.gear_version)
    plan.check_gear(given, named, gear)
    wanted = selection.Filter(arguments.label, arguments.since, arguments.until, arguments.tag)
    found = {session.id: session for session in _found(api, arguments, ids, wanted)}
    sessions = [session for session in found.values() if wanted.passes(session)]
    undated = sum(wanted.passes(session) is None for session in found.values())
    project_ids = dict.fromkeys(session.project_id for session in sessions)
    projects = {project_id: api.project(project_id) for project_id in project_ids}
    plan.check_files(named, projects)
    servers = {one: api.server(one, name) if name else ({}, "") for one in projects}
    config, origin = plan.with_server(given, servers, projects, gear)
    checked = plan.check(config, named)
    plan.check_gear(config, named, gear)
    sent = Sent()
    if arguments.not_yet_sent:
        sent = selection.already_sent(api, sessions, EarlierRuns(gear, config, checked))
    unsent = tuple(session for session in sessions if session.id not in sent.whole)
    tags = tuple(arguments.job_tag)
    whole = Plan(gear, config, named, tags, unsent, projects, sent, undated, origin)
    for line in plan.describe(whole, api.link):
        log.info("%s", line)
    if not unsent:
        log.info("%s", "All sessions were sent already" if sessions else "No session matches")
        return bool(sessions)
    at_once = jobs_at_once(arguments, JOBS_AT_ONCE) or 0
    jobs = whole.jobs(at_once or len(unsent))
    first, rest = (jobs[:at_once], jobs[at_once:]) if at_once else (jobs, [])
    what = f"{quantity(len(jobs), 'job')} on {api.site.partition('://')[2]}"
    limit = f", {at_once:,} at once" if rest else ""
    amount = _amount(api, unsent, checked)
    if arguments.yes and amount:
        log.info("Amount of data: %s", amount)
    if not confirmed(f"Start {what}{limit}{amount and f': {amount}'}?", arguments.yes):
        return False
    batch_id = api.create(first)
    log.info("Created batch %s. To follow it later: dicom-send-batch follow %s", batch_id, batch_id)
    later = _later(api, arguments, batch_id)
    if rest:
        later.create(rest, at_once)
        log.info("Waiting jobs: %s; listed in %s", f"{len(rest):,}", later.path)
    return _run(api, later, arguments)


def _amount(api: BatchAPI, sessions: Sequence[Session], config: GearConfig) -> str:
    """Return the amount of data for the question, or an empty string if the site fails."""
    try:
        return plan.amount(api.files_below, sessions, config)
    except SiteError as exc:
        log.warning("Cannot estimate the amount of data: %s", exc)
        return ""


def _resume(api: BatchAPI, arguments: Namespace) -> bool:
    later = _later(api, arguments)
    batch = later.poll()
    if batch.state == "pending":
        if not confirmed(f"Batch {batch.id} was never started. Start it?", arguments.yes):
            return False
        return _run(api, later, arguments)
    waiting = sum(job.state == WAITING for job in batch.newest)
    if waiting and later.is_stopped:
        if not confirmed(f"Start {quantity(waiting, 'waiting job')}?", arguments.yes):
            return False
        later.set_stopped(False)
    return _follow(api, later, arguments)


def _stop(api: BatchAPI, arguments: Namespace) -> bool:
    later = _later(api, arguments)
    batch = later.poll()
    log.info("%s", counts(batch))
    _is_known(batch)
    wanted = ACTIVE if arguments.running else ("pending",)
    chosen = [job for job in batch.newest if job.state in wanted]
    waiting = sum(job.state == WAITING for job in batch.newest)
    if not chosen and (not waiting or later.is_stopped):
        log.info("No jobs to cancel")
        return True
    if not confirmed(f"Cancel {quantity(len(chosen) + waiting, 'job')}?", arguments.yes):
        return False
    if waiting:
        later.set_stopped(True)
        log.info("%s stopped; follow can start the rest", quantity(waiting, "waiting job"))
        # Another command may have started some of them until now.
        later = _later(api, arguments)
        batch = later.poll()
        chosen = [job for job in batch.newest if job.state in wanted]
    cancelled = 0
    if batch.state == "running" and any(job.state == "pending" for job in chosen):
        cancelled = api.cancel(batch.id)
        active = {job.id for job in later.poll().newest if job.is_active}
        chosen = [job for job in chosen if job.id in active]
    # The site cancels a batch only once, so jobs that were retried later are cancelled one by one.
    failures = _cancel_each(api, chosen)
    still_running = sum(job.state == "running" for job in later.poll().newest)
    total = quantity(cancelled + len(chosen) - failures, "job")
    log.info(
        "Cancelled %s; %s still running", total, f"{still_running:,}" if still_running else "none"
    )
    return not failures


def _retry(api: BatchAPI, arguments: Namespace) -> bool:
    later = _later(api, arguments)
    batch = later.poll()
    jobs = batch.newest
    failed = [job for job in jobs if job.state == "failed"]
    cancelled = sum(job.state == "cancelled" for job in jobs)
    _log_failed(api, failed)
    if cancelled:
        log.info(
            "Not retrying %s: use dicom-send-batch start --not-yet-sent",
            quantity(cancelled, "cancelled job"),
        )
    if not failed:
        log.info("No failed jobs")
    elif not confirmed(f"Retry {quantity(len(failed), 'job')}?", arguments.yes):
        return False
    later.retry(failed)
    if arguments.no_follow:
        later.start_next(replace(batch, jobs=tuple(failed)))
        if left := len(later.retries):
            log.warning("Not retried yet: %s; run retry again", quantity(left, "failed job"))
            return False
    return _follow(api, later, arguments) and not later.failures


def _cancel_each(api: BatchAPI, jobs: Iterable[Job]) -> int:
    """Cancel each job, and return the number of logged failures."""
    failures = 0
    for job in jobs:
        try:
            api.cancel_job(job.id)
        except SiteError as exc:
            failures += 1
            log.error("%s: cannot cancel the job: %s", api.label(job.container), exc)
    return failures


def _list(api: BatchAPI) -> bool:
    batches = list(islice(api.batches(), MAX_LISTED))
    for first in batches:
        batch = Later(api, first.id, Path(), 0, 0).poll() if first.sessions else first
        progress = counts(batch) if batch.jobs else "never started"
        moment = batch.created.astimezone()
        write(f"{batch.id}  {moment:%Y-%m-%d %H:%M}  {batch.owner}  {progress}\n")
    if not batches:
        log.info("No batches of %s", " or ".join(GEARS))
    return True


def _run(api: BatchAPI, later: Later, arguments: Namespace) -> bool:
    """Run a batch once, and follow it. If the response is lost, wait until the batch runs."""
    batch_id = later.batch_id
    try:
        api.start(batch_id)
    except SiteError as exc:
        if exc.is_final:
            raise
        log.warning("%s; checking whether the batch runs", exc)
        cause = str(exc)

        def check() -> None:
            if api.get(batch_id).state == "pending":
                raise SiteError(f"Batch {batch_id} does not run: {cause}")

        policy = _policy(arguments, arguments.timeouts.start)
        retry(policy, check, on=SiteError, is_temporary=lambda error: not error.is_final)
    return _follow(api, later, arguments)


def _follow(api: BatchAPI, later: Later, arguments: Namespace) -> bool:
    if getattr(arguments, "no_follow", False):
        return True
    try:
        policy = _policy(arguments, arguments.timeouts.silence)
        batch = follow(later.poll, api.describe, arguments.interval, policy, later.start_next)
        return _gather(api, batch, arguments)
    except (CancelledError, SiteError):
        batch_id = later.batch_id
        log.warning(
            "Started jobs continue. To follow the batch again: dicom-send-batch follow %s", batch_id
        )
        raise


def _later(api: BatchAPI, arguments: Namespace, batch_id: str = "") -> Later:
    """Return the batch of the command, with its waiting jobs."""
    at_once, silence = jobs_at_once(arguments), arguments.timeouts.silence
    return Later(api, batch_id or arguments.batch, arguments.report_folder, at_once, silence)


def _policy(arguments: Namespace, seconds: float) -> RetryPolicy:
    """Return a policy with retries at the user's interval for some seconds."""
    interval = arguments.interval
    return RetryPolicy(max_time=seconds, min_wait=interval, max_wait=interval, jitter=False)


def _gather(api: BatchAPI, batch: Batch, arguments: Namespace) -> bool:
    folder: Path = arguments.report_folder
    csv_path = folder / batch_name(batch.id, Report.FILES)
    html_path = folder / batch_name(batch.id, Report.PAGE)
    log.info("Merging the reports of %s", quantity(len(batch.newest), "job"))
    results = gather(api, batch, csv_path)
    try:
        write_whole(html_path, page.render(batch, results, datetime.now().astimezone()))
    except OSError as exc:
        raise UsageError(f"--report-folder: cannot write {html_path}: {exc.strerror}") from exc
    log.info("%s", counts(batch))
    failed = [
        (job, result)
        for job, result in zip(batch.newest, results, strict=True)
        if job.state == "failed"
    ]
    for line in plan.first(failed, partial(_failure, api)):
        log.info("%s", line)
    for reason, sessions in page.reasons(results):
        log.warning("%s: %s", quantity(sessions, "session"), reason)
    log.info("Reports: %s and %s", csv_path, html_path.name)
    is_good = bool(results) and not any(result.reason for result in results)
    return _is_known(batch) and is_good


def _is_known(batch: Batch) -> bool:
    """Return whether all sessions of a batch are known; warn if the list of some is missing."""
    if batch.missing:
        log.warning(
            "Sessions without a job: %s. Their list is not in --report-folder: %s. Use the folder "
            "of start, or send them with start --not-yet-sent",
            f"{batch.missing:,}",
            waiting_name(batch.id),
        )
    return not batch.missing


def _failure(api: BatchAPI, failed: tuple[Job, JobResult]) -> str:
    """Return why a job failed: by the summary of its run or, without one, by its log."""
    job, result = failed
    return f"{result.path}: {page.causes(result)}" if result.is_explained else api.describe(job)


def _log_failed(api: BatchAPI, failed: Sequence[Job]) -> None:
    for line in plan.first(failed, api.describe):
        log.info("%s", line)


def _connected(arguments: Namespace) -> BatchAPI:
    if "report_folder" in arguments:
        options.report_folder(arguments.report_folder)
    return BatchAPI(read_key(arguments.api_key_file))


def _found(
    api: BatchAPI, arguments: Namespace, ids: Iterable[str], wanted: selection.Filter
) -> Iterator[Session]:
    for kind, place in (("project", arguments.project), ("subject", arguments.subject)):
        if place:
            container_id = api.container(kind, place)
            for search in wanted.searches:
                yield from api.sessions_of(kind, container_id, search)
    option = "--sessions-file" if arguments.sessions_file else "--session"
    for session_id in dict.fromkeys(ids):
        yield api.session(session_id, option)


if __name__ == "__main__":
    sys.exit(main())
