"""Checks the options and files of a batch, and describes it before it starts."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import chain
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
from ..report_names import Report
from ..server_url import is_url
from ..text import quantity
from .api import Files, in_parts
from .models import SERVER_OPTIONS, Gear, Plan, Project, Session
from .parallel import in_order

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
    if Report.FILES not in checked.report_files:
        raise ConfigError("report_files", config["report_files"], "with files, which gather merges")
    for row in OPTIONS:
        # The site rejects jobs with other types than those of the manifest.
        if row.type.schema.get("type") == "integer" and isinstance(config.get(row.name), float):
            raise ConfigError(row.name, config[row.name], "a whole number")
    return checked


def with_server(
    config: Mapping[str, Any],
    servers: Mapping[str, tuple[Mapping[str, Any], str]],
    projects: Mapping[str, Project],
    gear: Gear,
) -> tuple[Mapping[str, Any], str]:
    """Return the configuration with the server of the projects, and the file that names it.

    `servers` has the options of the server and its file by project. The jobs get the address
    itself. So they send to what the user confirms, whatever happens to the file until they run,
    and gears of all versions do. Raises UsageError if projects name different servers.
    """
    name = server_name_in(config)
    if not (name and servers):
        return config, ""
    (server, origin), *others = servers.values()
    if any(other != server for other, _ in others):
        paths = ", ".join(project.path for project in projects.values())
        raise UsageError(
            f"--destination {name}: these projects name different servers, so start a batch for "
            f"each: {paths}"
        )
    fixed = {"project_settings": False} if "project_settings" in gear.options else {}
    host = {"destination": server.get("destination", config["destination"])}
    return {**server, **config, **host, **fixed}, origin


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
    named = {name: plan.gear.value(name, plan.config) for name in SERVER_OPTIONS}
    yield f"Gear: {plan.gear.name} {plan.gear.version}"
    yield f"Destination: {server(named)}" + (f" (from {plan.origin})" if plan.origin else "")
    others = {name: value for name, value in plan.config.items() if name not in _OWN_LINES}
    if shown := [_option(name, value) for name, value in {**others, **plan.files}.items()]:
        yield f"Options: {', '.join(shown)}"
    if plan.tags:
        yield f"Job tags: {', '.join(plan.tags)}"
    yield f"Sessions: {len(plan.sessions):,}"
    yield from first(
        plan.sessions,
        lambda session: f"{plan.projects[session.project_id].path}/{session.path}: {link(session)}",
    )
    remarks = {
        f"Skipped (already sent to {server(named)}; no newer files)": len(plan.sent.whole),
        "Selected again (newer files)": len(plan.sent.newer),
        "Selected again (sent with other file options)": len(plan.sent.filtered),
        "Skipped (no scan date)": plan.undated,
    }
    yield from (f"{remark}: {number:,}" for remark, number in remarks.items() if number)


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


def amount(
    files_below: Callable[[Sequence[Session]], Iterable[Files]],
    sessions: Iterable[Session],
    config: GearConfig,
) -> str:
    """Count the files that the gear would select, and return: 4 files, 3,002 images, 2.4 MB.

    `files_below` returns the site's records of the files in some sessions.
    """
    parts = in_parts(sessions)
    counted = in_order(lambda part: _counted(files_below(part), config), parts, "Counting files")
    files, images, length, unknown = map(sum, zip(*counted, strict=True))
    known = f"{'at least ' * bool(unknown)}{quantity(images, 'image')}" if images else ""
    return ", ".join(filter(None, (quantity(files, "file"), known, decimal(length))))


def _counted(found: Iterable[Files], config: GearConfig) -> tuple[int, int, int, int]:
    """Return the numbers of selected files, of their images and bytes, and of other archives.

    For zip files, the records have the number of members, which are usually images. The images of
    other archives are unknown, and may be all.
    """
    files = images = size = unknown = 0
    for record in chain.from_iterable(records for _, records in found):
        if record.get("deleted") or left_out_for(record, config) is not None:
            continue
        files += 1
        size += record.get("size") or 0
        members = record.get("zip_member_count")
        if members is None and is_archive_name(str(record.get("name"))):
            unknown += 1
        else:
            images += 1 if members is None else members
    return files, images, size, unknown


def first(items: Sequence[T], line: Callable[[T], str]) -> Iterator[str]:
    """Yield lines about the first items, and the number of the others."""
    yield from (f"  {line(item)}" for item in items[:MAX_SHOWN])
    if len(items) > MAX_SHOWN:
        yield f"  and {len(items) - MAX_SHOWN:,} more"


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return flag(name) if value else f"--no-{flag(name)[2:]}"
    return f"{flag(name)} {value}"
