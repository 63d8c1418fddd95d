"""What a batch would run: its options checked, its files found, and told before it is started."""

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from ..cli.options import flag
from ..config import manifest, parse
from ..errors import UsageError
from ..models import GearConfig
from .models import Gear, Plan, Project, Session

MAX_SHOWN = 20
_PLACE = ("destination", "port", "called_ae")


def count(number: int, thing: str) -> str:
    """Return a number of things in words."""
    return f"{number} {thing}{'' if number == 1 else 's'}"


def check(config: Mapping[str, Any], files: Mapping[str, str]) -> GearConfig:
    """Return what the jobs would run with.

    Raises ConfigError for an option that the gear would refuse, UsageError for a file in vain.
    """
    for_tls = [name for name in files if name != "identity"]
    if for_tls and not config.get("tls_enabled"):
        raise UsageError(f"{flag(for_tls[0])} is of use with --tls-enabled only")
    # The files are on the site: here any file stands in for them.
    inputs = {name: {"location": {"path": str(Path(__file__))}} for name in files}
    return parse(
        {
            "config": config,
            "inputs": {**inputs, "api-key": {"key": "that of the job"}},
            "destination": {"type": "session", "id": "each"},
        },
        manifest(),
    )


def check_gear(config: Mapping[str, Any], files: Mapping[str, str], gear: Gear) -> None:
    """Raise UsageError for an option that the site's version of the gear does not have."""
    known = {*gear.options, *gear.inputs}
    for name in (*config, *files):
        if name not in known:
            raise UsageError(f"{flag(name)}: {gear.name} {gear.version} on the site has no such")


def check_files(files: Mapping[str, str], projects: Mapping[str, Project]) -> None:
    """Raise UsageError for an input that a project does not have."""
    for project in projects.values():
        for name, file in files.items():
            if file not in project.files:
                raise UsageError(f"{flag(name)}: {project.path} has no file {file!r}")


def describe(plan: Plan, link: Callable[[Session], str]) -> Iterator[str]:
    """Yield lines that tell what would run; `link` returns the URL of a session."""
    config = plan.config
    port = config.get("port") or plan.gear.options.get("port", {}).get("default")
    yield f"Gear: {plan.gear.name} {plan.gear.version}"
    yield f"Destination: {config['called_ae']} at {config['destination']}, port {port}"
    others = {**config, **plan.files}
    told = [_option(name, value) for name, value in others.items() if name not in _PLACE]
    if told:
        yield f"Options: {', '.join(told)}"
    if plan.tags:
        yield f"Job tags: {', '.join(plan.tags)}"
    yield f"Sessions: {len(plan.sessions)}"
    for session in plan.sessions[:MAX_SHOWN]:
        yield f"  {plan.projects[session.project_id].path}/{session.path}: {link(session)}"
    if len(plan.sessions) > MAX_SHOWN:
        yield f"  and {len(plan.sessions) - MAX_SHOWN} more"
    if plan.already_sent:
        yield f"Left out, as already sent: {plan.already_sent}"
    if plan.undated:
        yield f"Left out, as they have no scan date: {plan.undated}"


def _option(name: str, value: object) -> str:
    if isinstance(value, bool):
        return flag(name) if value else f"--no-{flag(name)[2:]}"
    return f"{flag(name)} {value}"
