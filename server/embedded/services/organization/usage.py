"""organization.get_project_usages: how long tasks ran, by project, user and queue."""

from __future__ import annotations

from typing import Any

from server.embedded import clock
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import bad_field
from server.embedded.query.filters import marks
from server.embedded.services.projects.store import with_children

BREAKDOWN = {"project": ("projects", "task.project"), "user": ("users", "task.user")}


def _moment(call: Call, name: str) -> int:
    try:
        return clock.parse(str(call.body[name]).replace("Z", "+00:00"))
    except ValueError as error:
        raise bad_field(name, f"'{call.body[name]}' is not a time") from error


@endpoint("organization.get_project_usages", version="2.34")
def get_project_usages(call: Call) -> dict[str, Any]:
    """Add up the seconds tasks ran in a period."""
    start, end = _moment(call, "from_date"), _moment(call, "to_date")
    ids = with_children(call.db, [str(item) for item in call.body["projects"]])
    only = (
        ""
        if call.body.get("include_development")
        else (
            " AND NOT EXISTS (SELECT 1 FROM tag WHERE object = task.id AND field = 'system_tags'"
            " AND tag = 'development')"
        )
    )
    answer: dict[str, Any] = {}
    for key in call.body.get("breakdown_keys") or ("project",):
        name, column = BREAKDOWN.get(key, ("queues", "task.execution ->> '$.queue'"))
        rows = call.db.execute(
            f"SELECT {column} AS id, sum(min(coalesce(completed, ?), ?) - max(started, ?)) / 1000000 AS duration,"  # noqa: S608
            f" count(*) AS count FROM task WHERE project IN ({marks(ids)}) AND started < ?"
            f" AND coalesce(completed, ?) > ?{only} GROUP BY 1 HAVING id IS NOT NULL ORDER BY 2 DESC",
            [call.now, end, start, *ids, end, call.now, start],
        )
        answer[name] = [{"id": row["id"], "duration": row["duration"], "tasks": row["count"]} for row in rows]
    return answer
