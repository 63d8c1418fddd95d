"""Checks the options and files of a batch, and describes it before it starts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from rich.filesize import decimal

from ..archive import is_archive_name
from ..cli.options import naming
from ..cli.settings import check_url
from ..config import GearConfig, parse
from ..errors import ConfigError, UsageError
from ..flywheel.site import left_out_for
from ..option_types import Group, flag
from ..options import OPTIONS
from ..project_settings import server_name_in
from ..server_url import is_url
from ..text import quantity
from .models import SERVER_OPTIONS, Gear, Plan, Project, Session

MAX_SHOWN = 20
_OWN_LINES = (*SERVER_OPTIONS, "project_settings")
"""Options that the description of a plan does not list as others."""
T = TypeVar("T")


@naming({})
def check(config: Mapping[str, Any], files: Mapping[str, str]) -> GearConfig:
    """Return the configuration of the jobs.

    Raises UsageError for an invalid option, and for a file without effect.
    """
    check_url(config, {})
    server = str(config.get("destination", "")).strip().lower()
    for_tls = [name for name in files if name not in ("identity", "authorization")]
    if for_tls and not (config.get("tls_enabled") or server.startswith("https:")):
        raise UsageError(f"{flag(for_tls[0])} needs --tls-enabled")
    # The files are on the site, so any local file can represent them in this check.
    inputs = {name: {"location": {"path": str(Path(__file__))}} for name in files}
    checked = parse(
        {
            "config": config,
            "inputs": {**inputs, "api-key": {"key": "set by the engine"}},
            "destination": {"type": "session", "id": "any"},
        }
    )
    for row in OPTIONS:
        # The site rejects jobs with other types than those of the manifest.
        if row.type.schema.get("type") == "integer" and isinstance(config.get(row.name), float):
            raise ConfigError(row.name, config[row.name], "a whole number")
    return checked


def with_server(
    config: Mapping[str, Any], server: Mapping[str, Any], gear: Gear
) -> Mapping[str, Any]:
    """Return the configuration of jobs whose project has a server in its file.

    The jobs get the address itself. So they send to what the user confirms, whatever happens to
    the file until they run, and gears of all versions do.
    """
    if not server_name_in(config):
        return config
    fixed = {"project_settings": False} if "project_settings" in gear.options else {}
    host = {"destination": server.get("destination", config["destination"])}
    return {**server, **config, **host, **fixed}


def check_gear(config: Mapping[str, Any], files: Mapping[str, str], gear: Gear) -> None:
    """Raise UsageError for an option that the site's version of the gear does not have."""
    known = {*gear.options, *gear.inputs}
    for name in (*config, *files):
        if name not in known:
            raise UsageError(
                f"{flag(name)}: the site's version of the gear ({gear.name} {gear.version}) "
                "does not have this option"
            )


def check_files(files: Mapping[str, str], projects: Mapping[str, Project]) -> None:
    """Raise UsageError for an input that a project does not have."""
    for project in projects.values():
        for name, file in files.items():
            if file not in project.files:
                raise UsageError(f"{flag(name)}: project {project.path} has no file {file!r}")


def describe(plan: Plan, link: Callable[[Session], str]) -> Iterator[str]:
    """Yield lines that describe a batch; `link` returns the URL of a session."""
    yield f"Gear: {plan.gear.name} {plan.gear.version}"
    for lines in dict.fromkeys(tuple(_server_lines(plan, one)) for one in plan.configs):
        yield from lines
    if plan.tags:
        yield f"Job tags: {', '.join(plan.tags)}"
    yield f"Sessions: {len(plan.sessions):,}"
    yield from first(
        plan.sessions,
        lambda session: f"{plan.projects[session.project_id].path}/{session.path}: {link(session)}",
    )
    if plan.already_sent:
        yield f"Skipped (already sent): {plan.already_sent:,}"
    if plan.undated:
        yield f"Skipped (no scan date): {plan.undated:,}"


def _server_lines(plan: Plan, project_id: str) -> Iterator[str]:
    """Yield lines about the server of the jobs in a project, and their other options."""
    config, origin = plan.configs[project_id], plan.origins.get(project_id)
    named = {name: plan.gear.value(name, config) for name in SERVER_OPTIONS}
    yield f"Destination: {server(named)}" + (f" (from {origin})" if origin else "")
    others = {name: value for name, value in config.items() if name not in _OWN_LINES}
    if shown := [_option(name, value) for name, value in {**others, **plan.files}.items()]:
        yield f"Options: {', '.join(shown)}"


def server(config: Mapping[str, Any]) -> str:
    """Return the server of a configuration, for people. A default port may be missing."""
    host, port, title = (config.get(name, "") for name in SERVER_OPTIONS)
    if is_url(str(host)):
        return str(host)
    return f"{title} at {host}" + (f", port {port}" if port else "")


def file_choice(config: Mapping[str, Any]) -> str:
    """Return the options that select files, without defaults, as on a command line."""
    rows = (row for row in OPTIONS if row.group is Group.FILES)
    given = {row: config.get(row.name) for row in rows}
    return ", ".join(
        _option(row.name, value) for row, value in given.items() if value and value != row.default
    )


def amount(records: Iterable[Mapping[str, Any]], config: GearConfig) -> str:
    """Count the files that the gear would select, and return: 4 files, 3,002 images, 2.4 MB.

    `records` are those of the files on the site. For zip files, they have the number of members,
    which are usually images. The images of other archives are unknown, and may be all.
    """
    files = images = size = 0
    at_least = ""
    for record in records:
        if record.get("deleted") or left_out_for(record, config) is not None:
            continue
        files += 1
        size += record.get("size") or 0
        members = record.get("zip_member_count")
        if members is None and is_archive_name(str(record.get("name"))):
            at_least = "at least "
        else:
            images += 1 if members is None else members
    known = f"{at_least}{quantity(images, 'image')}" if images else ""
    return ", ".join(filter(None, (quantity(files, "file"), known, decimal(size))))


def first(items: Sequence[T], line: Callable[[T], str]) -> Iterator[str]:
    """Yield lines about the first items, and the number of the others."""
    yield from (f"  {line(item)}" for item in items[:MAX_SHOWN])
    if len(items) > MAX_SHOWN:
        yield f"  and {len(items) - MAX_SHOWN:,} more"


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return flag(name) if value else f"--no-{flag(name)[2:]}"
    return f"{flag(name)} {value}"
