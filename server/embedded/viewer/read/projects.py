"""Projects: the tree, and what one of them holds."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import clock
from server.embedded.auth import COMPANY
from server.embedded.query.filters import marks

ANY = "*"  # the place of a project's id in links that are about all of them


def tree(db: sqlite3.Connection, below: str | None = None) -> list[dict[str, Any]]:
    """List projects by path with their depth and what they hold; hidden ones (of pipelines, of reports) left out."""
    tasks = dict(db.execute("SELECT project, count(*) FROM task WHERE type <> 'report' GROUP BY project").fetchall())
    running = dict(
        db.execute("SELECT project, count(*) FROM task WHERE status = 'in_progress' GROUP BY project").fetchall()
    )
    models = dict(db.execute("SELECT project, count(*) FROM model GROUP BY project").fetchall())
    rows = db.execute(
        "SELECT id, name, basename, last_update, created, system_tags FROM project WHERE company IN (?, '')"
        " ORDER BY name",
        (COMPANY,),
    ).fetchall()
    totals: dict[str, list[int]] = {}  # by path: tasks, running, models, last change; of it and all below it
    for row in rows:
        own = (tasks.get(row["id"], 0), running.get(row["id"], 0), models.get(row["id"], 0))
        parts = row["name"].split("/")
        for path in ("/".join(parts[: i + 1]) for i in range(len(parts))):
            total = totals.setdefault(path, [0, 0, 0, 0])
            for place, value in enumerate(own):
                total[place] += value
            total[3] = max(total[3], row["last_update"] or row["created"])
    shown = [
        row
        for row in rows
        if "hidden" not in (row["system_tags"] or "")
        and "/." not in f"/{row['name']}"
        and (below is None or row["name"].startswith(below + "/"))
    ]
    above = below.count("/") + 1 if below else 0
    return [_line(row, totals[row["name"]], above) for row in shown]


def _line(row: sqlite3.Row, total: list[int], above: int) -> dict[str, Any]:
    return {
        "id": row["id"], "name": row["name"], "basename": row["basename"], "depth": row["name"].count("/") - above,
        "tasks": total[0], "running": total[1], "models": total[2], "changed": clock.iso_millis(total[3]),
    }  # fmt: skip


def one(db: sqlite3.Connection, identifier: str) -> dict[str, Any] | None:
    """Read a project, or for `*` the stand-in for all of them."""
    if identifier == ANY:
        return {"id": ANY, "name": "All projects", "basename": "All projects", "description": "", "parents": []}
    row = db.execute(
        "SELECT id, name, basename, description, default_output_destination FROM project"
        " WHERE id = ? AND company IN (?, '')",
        (identifier, COMPANY),
    ).fetchone()
    return None if row is None else dict(row) | {"parents": parents(db, row["name"])}


def parents(db: sqlite3.Connection, name: str) -> list[dict[str, str]]:
    """Read the projects above a path, the topmost first."""
    parts = name.split("/")[:-1]
    above = ["/".join(parts[: i + 1]) for i in range(len(parts))]
    rows = db.execute(
        f"SELECT id, name, basename FROM project WHERE name IN ({marks(above)}) ORDER BY length(name)",  # noqa: S608
        above,
    )
    return [dict(row) for row in rows]


def inside(db: sqlite3.Connection, identifier: str) -> list[str]:
    """Ids of a project and all below it; empty for all projects."""
    if identifier == ANY:
        return []
    rows = db.execute(
        "SELECT p.id FROM project p JOIN project top ON top.id = ? WHERE p.id = top.id"
        " OR (p.name >= top.name || '/' AND p.name < top.name || '0')",
        (identifier,),
    )
    return [row[0] for row in rows]
