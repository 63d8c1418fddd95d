"""Lists of the stand-in site: filter, order and page of a query."""

import re
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

CONDITION = re.compile(r'(?:"[^"]*"|\[[^\]]*\]|[^,])+')
OPERATOR = re.compile(r"!=|>=|<=|==|=~|=\||=|<|>")
OLD_CONDITION = re.compile(r"[^,]+")
OLD_OPERATOR = re.compile(r"!=|>=|<=|=~|=|<|>")
"""Syntax of scitran/core in 2019: a comma in brackets separates two conditions."""
MOMENT = re.compile(r"\d{4}-\d\d-\d\d(?:[T ].*)?")
OBJECT_ID = re.compile(r"[0-9a-f]{24}")
ORDERS = {"asc": False, "1": False, "desc": True, "-1": True}

Record = dict[str, Any]


class Refusal(Exception):  # noqa: N818
    """Error response of the site."""

    def __init__(self, code: int, message: str = "it is not to be") -> None:
        super().__init__(message)
        self.code = code
        self.message = message


def now() -> str:
    """Return the time in the site's format."""
    return datetime.now(UTC).isoformat(timespec="microseconds")


def selected(
    records: Iterable[Record],
    query: Mapping[str, str],
    *,
    page_limit: int,
    supports_after_id: bool = True,
    has_old_filters: bool = False,
) -> tuple[list[Record], int]:
    """Return the requested page, and the number of records that pass the filter."""
    syntax = (OLD_CONDITION, OLD_OPERATOR) if has_old_filters else (CONDITION, OPERATOR)
    texts = syntax[0].findall(query.get("filter", ""))
    conditions = [_condition(text, syntax[1]) for text in texts]
    found = [record for record in records if all(holds(record) for holds in conditions)]
    for text in reversed(CONDITION.findall(query.get("sort", ""))):
        key, _, order = text.partition(":")
        if order not in ("", *ORDERS):
            raise Refusal(422, f"Invalid pagination sort: {text} (unknown order)")
        found.sort(key=lambda one: str(_values(one, key)[0]), reverse=ORDERS.get(order, False))
    total = len(found)
    if supports_after_id and "after_id" in query:
        found = [record for record in found if record["_id"] > query["after_id"]]
    limit = min(int(query.get("limit", "0")) or page_limit, page_limit)
    start = int(query.get("skip", "0")) or (int(query.get("page", "1")) - 1) * limit
    return found[start : start + limit], total


def _condition(text: str, operators: re.Pattern[str]) -> Callable[[Record], bool]:
    """Parse one condition of a filter; its value is typed by its format."""
    found = operators.search(text)
    if found is None:
        raise Refusal(422, f"Invalid pagination filter: {text} (operator missing)")
    field, operator, value = text[: found.start()], found[0], text[found.end() :]
    if operator == "=~":
        pattern = re.compile(value.strip('"'))
        return lambda record: any(
            isinstance(stored, str) and pattern.search(stored) for stored in _values(record, field)
        )
    if operator == "=|":
        wanted = [_typed(one) for one in CONDITION.findall(value.strip("[]"))]
        return lambda record: any(
            _equal(stored, one) for stored in _values(record, field) for one in wanted
        )
    limit = _typed(value)
    if operator == "!=":
        return lambda record: not any(_equal(one, limit) for one in _values(record, field))
    if operator in ("=", "=="):
        return lambda record: any(_equal(one, limit) for one in _values(record, field))
    return lambda record: any(_ordered(one, operator, limit) for one in _values(record, field))


def _typed(text: str) -> Any:
    if len(text) > 1 and text[0] == text[-1] == '"':
        return text[1:-1]
    if OBJECT_ID.fullmatch(text):
        return text
    if text == "null":
        return None
    if moment := _moment(text):
        return moment
    try:
        return float(text)
    except ValueError:
        return text


def _moment(text: str) -> datetime | None:
    if not MOMENT.fullmatch(text):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _values(record: Record, field: str) -> list[Any]:
    """Return all values of a record under a dotted name; a missing value is None."""
    values: list[Any] = [record]
    for part in field.split("."):
        nested = [value.get(part) for value in values if isinstance(value, dict)]
        values = []
        for value in nested:
            values.extend(value if isinstance(value, list) else [value])
    return values or [None]


def _equal(stored: Any, wanted: Any) -> bool:
    if isinstance(wanted, datetime) and isinstance(stored, str):
        stored = _moment(stored)
    return bool(stored == wanted)


def _ordered(stored: Any, operator: str, limit: Any) -> bool:
    if isinstance(limit, datetime) and isinstance(stored, str):
        stored = _moment(stored)
    if isinstance(stored, int):
        stored = float(stored)
    if stored is None or type(stored) is not type(limit):
        return False
    less, equal = bool(stored < limit), bool(stored == limit)
    return {"<": less, "<=": less or equal, ">": not less and not equal, ">=": not less}[operator]
