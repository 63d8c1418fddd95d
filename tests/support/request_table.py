"""Table of docs/flywheel.md: every request to a Flywheel site."""

import json
import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from tests.support.flywheel_http import Request
from tests.support.preloaded import REPOSITORY

PAGE = REPOSITORY / "docs" / "flywheel.md"
PLACES = {
    "{containers}": "(?:projects|subjects|sessions|acquisitions)",
    "{signed URL}": r"/storage/[^?]+\?",
}
CLIENT = "dicom-send/"
OF_ANY_CLIENT = {"host", "content-length", "content-type", "authorization", "user-agent"}
DEFAULTS = {"connection": "keep-alive", "accept": "*/*", "accept-encoding": "gzip, deflate"}
FEATURES = "Safe-Redirect,Subject-Container,Slim-Containers"


Fields = dict[str, "Fields | None"]
"""Names of fields; for some, only subfields are read."""


@dataclass(frozen=True)
class Row:
    """Table row: the request, its caller, its parameters, and the matching SDK call."""

    request: str
    by: str
    parts: str
    answer: str
    call: str

    @property
    def fields(self) -> Fields:
        """Fields of the response that are read."""
        return _fields(self.answer)

    def fits(self, request: Request) -> bool:
        """Return whether a request belongs to this row."""
        ticket = request.query.get("ticket")
        asked = f"{request.method} {request.path}"
        if request.path.startswith("/storage/"):
            asked += "?"
        elif ticket is not None:
            asked += f"?ticket={ticket}"
        return bool(_pattern(self.request).fullmatch(asked))

    def lacks(self, request: Request) -> list[str]:
        """Return the parameters of a request that the row does not list."""
        if request.path.startswith("/storage/"):
            return []
        named = set(re.findall(r"`([^`]+)`", self.parts))
        parts = [*request.query, *_keys(request), *_headers(request)]
        return [part for part in parts if part not in named]


@cache
def rows() -> tuple[Row, ...]:
    """Return the rows of the table."""
    cells = [line for line in _table_lines() if line[0].startswith("`")]
    return tuple(Row(one.strip("`"), *rest, call.strip("`")) for one, *rest, call in cells)  # type: ignore[call-arg]


def pruned(request: Request, answer: Any) -> Any:
    """Return the fields of a JSON response that the table lists as read."""
    row = row_of(request) if is_ours(request) else None
    return _pruned(answer, row.fields) if row else answer


def row_of(request: Request) -> Row | None:
    """Return the row of a request, or None."""
    return next((row for row in rows() if row.fits(request)), None)


def is_ours(request: Request) -> bool:
    """Return whether the gear or a batch makes a request, and not Flywheel's SDK."""
    return request.headers.get("User-Agent", "").startswith(CLIENT)


def unlisted(requests: Iterable[Request]) -> set[str]:
    """Return the requests of the gear and of batches that the table lacks or lists incompletely."""
    found = set()
    for request in requests:
        if is_ours(request):
            row = row_of(request)
            lacking = row.lacks(request) if row else ["row"]
            found |= {f"{request.method} {request.path}: no {part}" for part in lacking}
    return found


@cache
def _pattern(text: str) -> re.Pattern[str]:
    parts = re.split(r"(\{[^}]+\})", text)
    return re.compile(
        "".join(
            PLACES.get(part, "[^/?]+") if part.startswith("{") else re.escape(part)
            for part in parts
        )
    )


def _keys(request: Request) -> list[str]:
    """Return the keys of a JSON body; for a form, those of the file."""
    if "json" in request.headers.get("Content-Type", ""):
        body = json.loads(request.body)
        return list(body) if isinstance(body, dict) else []
    return ["file"] if request.body else []


def _headers(request: Request) -> list[str]:
    """Return the headers that only some requests have."""
    found = []
    for name, value in request.headers.items():
        if name.lower() in OF_ANY_CLIENT or DEFAULTS.get(name.lower()) in (value, f"{value}, br"):
            continue
        shown = value.replace(FEATURES, "…")
        if shown != "…":
            found.append(f"{name}: {shown}")
    return found


def _table_lines() -> list[list[str]]:
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    return [line.strip("| ").split(" | ") for line in lines if line.startswith("| ")]


@cache
def _fields(text: str) -> Fields:
    """Parse the fields in a cell: kinds of records, `name`, `name.part` or `name`: kind."""
    found: Fields = {}
    kinds = {line[0]: line[1] for line in _table_lines() if len(line) == 2}
    for path, kind in re.findall(r"`([\w.]+)`(?:: (\w+))?", text):
        name, _, part = path.partition(".")
        inner = _fields(kinds[kind]) if kind else {part: None} if part else None
        before = found.get(name)
        found[name] = {**before, **inner} if before and inner else inner  # type: ignore[assignment]
    for kind in re.findall(r"\w+", re.sub(r"`[^`]*`(: \w+)?", "", text)):
        found |= _fields(kinds[kind]) if kind in kinds else {}
    return found


def _pruned(value: Any, fields: Fields | None) -> Any:
    if isinstance(value, list):
        return [_pruned(one, fields) for one in value]
    if fields is None or not isinstance(value, dict):
        return value
    return {name: _pruned(one, fields[name]) for name, one in value.items() if name in fields}
