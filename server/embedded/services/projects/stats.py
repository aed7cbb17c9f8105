"""Numbers about projects: tasks by status, own contents, what lies below."""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from server.embedded import clock
from server.embedded.objects import TASK
from server.embedded.query.filters import Where, conditions, marks

STATUSES = (
    "closed", "completed", "created", "failed", "in_progress", "published", "publishing", "queued", "stopped",
    "unknown",
)  # fmt: skip
DAY = 86_400_000_000
NOT_ARCHIVED = (
    "NOT EXISTS (SELECT 1 FROM tag WHERE tag.object = {0}.id AND tag.field = 'system_tags' AND tag.tag = 'archived')"
)


def descendants(db: sqlite3.Connection, ids: Sequence[str]) -> dict[str, list[sqlite3.Row]]:
    """Return the projects below each of some projects: rows of id, name, hidden."""
    names = dict(
        db.execute(f"SELECT id, name FROM project WHERE id IN ({marks(ids)})", list(ids)).fetchall()  # noqa: S608
    )
    found: dict[str, list[sqlite3.Row]] = {}
    for identifier, name in names.items():
        found[identifier] = db.execute(
            "SELECT id, name, EXISTS (SELECT 1 FROM tag WHERE object = project.id AND field = 'system_tags'"
            " AND tag = 'hidden') AS hidden FROM project WHERE name > ? AND name < ? ORDER BY name",
            (name + "/", name + "0"),  # the digit follows the slash: everything that starts with the path
        ).fetchall()
    return found


def task_stats(
    db: sqlite3.Connection, projects: Sequence[str], chosen: Where, now: int
) -> dict[str, list[sqlite3.Row]]:
    """Count tasks that are not archived by project and status."""
    rows = db.execute(
        "SELECT project, status, count(*) AS n, sum(coalesce(active_duration, 0)) AS runtime, max(started) AS started,"  # noqa: S608 - conditions are built from declared names
        " sum(coalesce(completed, 0) > ?) AS recent FROM task"
        f" WHERE project IN ({marks(projects)}) AND {NOT_ARCHIVED.format('task')} AND {chosen.sql}"
        " GROUP BY project, status",
        [now - DAY, *projects, *chosen.values],
    )
    found: dict[str, list[sqlite3.Row]] = defaultdict(list)
    for row in rows:
        found[row["project"]].append(row)
    return found


def summed(rows: Iterable[sqlite3.Row]) -> dict[str, Any]:
    """Add up rows of `task_stats`."""
    counts = dict.fromkeys(STATUSES, 0)
    total: dict[str, Any] = {"status_count": counts, "total_tasks": 0, "total_runtime": 0, "completed_tasks_24h": 0}
    last = 0
    for row in rows:
        counts[row["status"] if row["status"] in counts else "unknown"] += row["n"]
        total["total_tasks"] += row["n"]
        total["total_runtime"] += row["runtime"]
        total["completed_tasks_24h"] += row["recent"] if row["status"] in {"completed", "published"} else 0
        last = max(last, row["started"] or 0)
    if last:
        total["last_task_run"] = clock.iso_millis(last)
    return total


def add_stats(
    db: sqlite3.Connection, projects: list[dict[str, Any]], body: Mapping[str, Any], company: str, now: int
) -> None:
    """Fill in `stats` and `sub_projects` (in place)."""
    below = descendants(db, [item["id"] for item in projects])
    chosen = conditions(TASK, dict(body.get("include_stats_filter") or {}), company)
    with_children = body.get("stats_with_children", True)
    everyone = list(dict.fromkeys([*below, *(row["id"] for rows in below.values() for row in rows)]))
    counted = task_stats(db, everyone, chosen, now)
    for item in projects:
        ids = [item["id"], *(row["id"] for row in below[item["id"]] if with_children)]
        item["stats"] = {"active": summed(row for project in ids for row in counted.get(project, ()))}
        shown = [row for row in below[item["id"]] if body.get("search_hidden") or not row["hidden"]]
        item["sub_projects"] = [{"id": row["id"], "name": row["name"]} for row in shown]


def own_contents(db: sqlite3.Connection, projects: list[dict[str, Any]]) -> None:
    """Fill in how many tasks and models lie in each project itself (in place)."""
    ids = [item["id"] for item in projects]
    for table, field in (("task", "own_tasks"), ("model", "own_models")):
        rows = db.execute(
            f"SELECT project, count(*) FROM {table} WHERE project IN ({marks(ids)})"  # noqa: S608 - two names
            f" AND {NOT_ARCHIVED.format(table)} GROUP BY project",
            ids,
        ).fetchall()
        counts = {row[0]: row[1] for row in rows}
        for item in projects:
            item[field] = counts.get(item["id"], 0)


def dataset_stats(db: sqlite3.Connection, projects: list[dict[str, Any]]) -> None:
    """Fill in the size of each dataset's newest version (in place)."""
    for item in projects:
        row = db.execute(
            "SELECT runtime ->> '$.ds_file_count', runtime ->> '$.ds_total_size' FROM task WHERE project = ?"
            " AND EXISTS (SELECT 1 FROM tag WHERE object = task.id AND field = 'system_tags' AND tag = 'dataset')"
            " ORDER BY created DESC LIMIT 1",
            (item["id"],),
        ).fetchone()
        if row is not None:
            item["dataset_stats"] = {"file_count": int(row[0] or 0), "total_size": int(row[1] or 0)}


def holding(db: sqlite3.Connection, kind: str, tags: Where | None = None) -> set[str]:
    """Return the projects in or below which there are reports, datasets or pipelines."""
    if kind == "report":
        rows = db.execute("SELECT DISTINCT project FROM task WHERE type = 'report' AND project IS NOT NULL")
    else:
        condition = f" AND {tags.sql}" if tags else ""
        rows = db.execute(
            "SELECT id FROM project WHERE EXISTS (SELECT 1 FROM tag WHERE object = project.id"  # noqa: S608 - as above
            f" AND field = 'system_tags' AND tag = ?){condition}",
            [kind, *(tags.values if tags else [])],
        )
    return ancestors(db, [row[0] for row in rows])


def ancestors(db: sqlite3.Connection, ids: Sequence[str]) -> set[str]:
    """Return projects and everything above them."""
    found = set(ids)
    for start in range(0, len(ids), 500):
        part = list(ids[start : start + 500])
        rows = db.execute(
            f"SELECT DISTINCT up.value FROM project, json_each(project.path) AS up WHERE project.id IN ({marks(part)})",  # noqa: S608
            part,
        )
        found |= {row[0] for row in rows}
    return found


def active_in(db: sqlite3.Connection, users: Sequence[str]) -> set[str]:
    """Return the projects in or below which some users made something."""
    rows = db.execute(
        f"SELECT project FROM task WHERE user IN ({marks(users)}) AND project IS NOT NULL UNION"  # noqa: S608
        f" SELECT project FROM model WHERE user IN ({marks(users)}) AND project IS NOT NULL UNION"
        f" SELECT id FROM project WHERE user IN ({marks(users)})",
        [*users, *users, *users],
    )
    return ancestors(db, [row[0] for row in rows])
