"""Pages, rendered by the template beside this module."""

from collections.abc import Iterable
from pathlib import Path

from ..sections import Named, Section

_TEMPLATE = Path(__file__).with_name("page.html")


def render(
    title: str,
    outcome: str,
    *,
    is_good: bool,
    note: str = "",
    about: Iterable[str] = (),
    warnings: Iterable[str] = (),
    facts: Iterable[Named],
    tiles: Iterable[Named],
    sections: Iterable[Section],
) -> str:
    """Return a self-contained page: outcome, facts and numbers of a run first, then sections.

    `note` follows the outcome. `about` says where to and when in the title of the window. Sections
    without content are left out.
    """
    from jinja2 import Environment, StrictUndefined  # it takes 0.04 s to import

    environment = Environment(
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
        finalize=_shown,
    )
    environment.filters["kind"] = lambda value: type(value).__name__
    environment.globals["zip"] = zip
    return environment.from_string(_TEMPLATE.read_text(encoding="utf-8")).render(
        title=title,
        outcome=outcome,
        is_good=is_good,
        note=note,
        window=" | ".join((outcome, title, *about)),
        warnings=warnings,
        facts=facts,
        tiles=tiles,
        sections=[section for section in sections if section.parts],
    )


def _shown(value: object) -> object:
    """Return a value as it is shown; numbers have commas between thousands."""
    return f"{value:,}" if isinstance(value, int) else value
