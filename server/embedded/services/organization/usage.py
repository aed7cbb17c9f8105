"""organization.get_project_usages: how long tasks ran, by project, user and queue, in all and over time."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from server.embedded import clock
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import bad_field
from server.embedded.query.filters import marks
from server.embedded.services.projects.store import with_children

SECOND = 1_000_000
DAY = 86_400 * SECOND
BREAKDOWN = {
    "project": ("projects", "task.project", "project"),
    "user": ("users", "task.user", "user"),
    "queue": ("queues", "task.execution ->> '$.queue'", "queue"),
}
DEVELOPMENT = "EXISTS (SELECT 1 FROM tag WHERE object = task.id AND field = 'system_tags' AND tag = 'development')"
Stretch = tuple[str | None, str | None, int, int]  # id and name of what is counted, first and last microsecond


def _moment(call: Call, name: str) -> int:
    value = call.body.get(name)
    if value is None and name == "to_date":
        return call.now
    try:
        return clock.parse(str(value).replace("Z", "+00:00"))
    except ValueError as error:
        raise bad_field(name, f"'{value}' is not a time") from error


@endpoint("organization.get_project_usages", version="2.34")
def get_project_usages(call: Call) -> dict[str, Any]:
    """Add up the seconds that tasks ran in a period, in all and by day.

    No task tells how many processors it used, so that each counts as one: the answer says so of its weights.
    """
    start, end = _moment(call, "from_date"), _moment(call, "to_date")
    if start >= end:
        raise bad_field("from_date", "must be before to_date")
    days = list(range(start, end, max(DAY, (end - start) // 1000)))
    keys = call.body.get("breakdown_keys") or list(BREAKDOWN)
    return {BREAKDOWN[key][0]: _shown(_stretches(call, key, start, end), days, end) for key in keys}


def _stretches(call: Call, key: str, start: int, end: int) -> list[Stretch]:
    """When each task ran within the period, beside what it is counted for."""
    ids = with_children(call.db, [str(item) for item in call.body["projects"]])
    _, column, table = BREAKDOWN[key]
    only = "" if call.body.get("include_development") else f" AND NOT {DEVELOPMENT}"
    rows = call.db.execute(
        f"SELECT {column}, {table}_of.name, max(task.started, ?), min(coalesce(task.completed, ?), ?) FROM task"  # noqa: S608 - declared names
        f" LEFT JOIN {table} AS {table}_of ON {table}_of.id = {column} WHERE task.company = ?"
        f" AND task.project IN ({marks(ids)}) AND task.started < ? AND coalesce(task.completed, ?) > ?{only}",
        [start, call.now, end, call.company, *ids, end, call.now, start],
    )
    return [tuple(row) for row in rows]


def _shown(stretches: Iterable[Stretch], days: list[int], end: int) -> dict[str, Any]:
    found: dict[str | None, list[float]] = {}
    names: dict[str | None, str | None] = {}
    for identifier, name, first, last in stretches:
        names[identifier] = name
        seconds = found.setdefault(identifier, [0.0] * len(days))
        for index, part in _by_day(first, last, days, end):
            seconds[index] += part
    order = sorted(found, key=lambda identifier: -sum(found[identifier]))
    return {
        "total": [_total(identifier, names[identifier], sum(found[identifier])) for identifier in order],
        "series": [_series(identifier, names[identifier], days, found[identifier]) for identifier in order],
    }


def _by_day(first: int, last: int, days: list[int], end: int) -> Iterator[tuple[int, float]]:
    for index, (day, following) in enumerate(zip(days, [*days[1:], end], strict=True)):
        shared = min(last, following) - max(first, day)
        if shared > 0:
            yield index, shared / SECOND


def _total(identifier: str | None, name: str | None, seconds: float) -> dict[str, Any]:
    whole = round(seconds)
    return {
        "id": identifier, "name": name, "duration": whole, "cpu_usage": whole, "gpu_usage": whole,
        "cpu_artificial_weights": True, "gpu_artificial_weights": True,
    }  # fmt: skip


def _series(identifier: str | None, name: str | None, days: list[int], seconds: list[float]) -> dict[str, Any]:
    return {
        "id": identifier, "name": name, "dates": [day // SECOND for day in days], "duration": seconds,
        "cpu_usage": seconds, "gpu_usage": seconds, "cpu_usage_artifical_weights": True,
        "gpu_usage_artifical_weights": True,
    }  # fmt: skip
