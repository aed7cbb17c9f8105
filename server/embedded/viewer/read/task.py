"""One task: what it is, its parameters and metrics, plots, log, artifacts and children."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import objects
from server.embedded.auth import COMPANY
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.query.filters import marks
from server.embedded.services.events import samples
from server.embedded.viewer import plotly
from server.embedded.viewer.read import projects

LOG_LINES = 500
LOG_BYTES = 500_000
LOG_LINE = 4_000
PLOTS = 30
PLOT_BYTES = 400_000
CHILDREN = 200
TEXT = 40_000  # characters of a script's differences or a configuration


def one(db: sqlite3.Connection, identifier: str) -> dict[str, Any] | None:
    """Read a task with the names of what it refers to."""
    task = objects.get(db, TASK, identifier, COMPANY)
    if task is None:
        return None
    task["project_name"] = _name(db, "project", task.get("project"))
    task["parent_name"] = _name(db, "task", task.get("parent"))
    found = projects.one(db, task["project"]) if task.get("project") else None
    task["parents"] = [*found["parents"], found] if found else []
    task["is_pipeline"] = "Pipeline" in (task.get("configuration") or {})
    return task


def _name(db: sqlite3.Connection, table: str, identifier: str | None) -> str:
    row = db.execute(f"SELECT name FROM {table} WHERE id = ?", (identifier,)).fetchone()  # noqa: S608 - two names
    return row[0] if row else ""


def metrics(db: sqlite3.Connection, identifier: str) -> list[dict[str, Any]]:
    """Last, least and greatest values of a task's or model's metrics."""
    rows = db.execute(
        "SELECT metric, variant, value, min_value, max_value, count FROM series WHERE object = ?"
        " AND value IS NOT NULL ORDER BY metric, variant LIMIT 1000",
        (identifier,),
    )
    return [dict(row) for row in rows]


def parameters(task: dict[str, Any]) -> list[dict[str, str]]:
    """Parameters of every section, the bridge's own properties last."""
    sections = sorted((task.get("hyperparams") or {}).items(), key=lambda item: (item[0] == "properties", item[0]))
    return [
        {"section": section, "name": name, "value": str(item.get("value", ""))[:2_000]}
        for section, items in sections
        for name, item in sorted(items.items())
    ]


def configuration(task: dict[str, Any]) -> list[dict[str, str]]:
    """Configuration objects; the pipeline's graph has a page of its own."""
    items = (task.get("configuration") or {}).items()
    return [{"name": n, "value": str(i.get("value", ""))[:TEXT]} for n, i in sorted(items) if n != "Pipeline"]


def plots(db: sqlite3.Connection, identifier: str) -> dict[str, Any]:
    """Draw the latest of each of a task's plots; debug samples as pictures."""
    found = samples.latest(samples.places(db, samples.PLOT, [identifier]), 1)
    shown: list[plotly.Shown] = []
    left = PLOT_BYTES
    for event in samples.events_at(db, samples.PLOT, found[:PLOTS]):
        plot = plotly.show(event.get("plot_str") or "", _title(event))
        left -= sum(map(len, plot.pictures)) + sum(len(str(table.rows)) for table in plot.tables) + len(plot.data)
        if left < 0:
            break
        shown.append(plot)
    images = samples.latest(samples.places(db, samples.IMAGE, [identifier]), 1)[:PLOTS]
    pictures = [(_title(e), e.get("url")) for e in samples.events_at(db, samples.IMAGE, images)]
    return {"plots": shown, "left_out": len(found) - len(shown), "images": pictures}


def _title(event: dict[str, Any]) -> str:
    metric, variant = event["metric"], event["variant"]
    return str(metric if metric == variant else f"{metric} / {variant}")


def log(db: sqlite3.Connection, identifier: str, before: int | None) -> dict[str, Any]:
    """Read the last lines of a log, or the last ones before a line's number."""
    rows = db.execute(
        "SELECT id, timestamp, level, msg FROM log WHERE task = ? AND id < ? ORDER BY timestamp DESC, id DESC LIMIT ?",
        (identifier, before or 2**62, LOG_LINES + 1),
    ).fetchall()
    lines: list[dict[str, Any]] = []
    size = 0
    for row in rows[:LOG_LINES]:
        text = row["msg"].rstrip("\n")
        text = text if len(text) <= LOG_LINE else f"{text[:LOG_LINE]} … ({len(text) - LOG_LINE} characters more)"
        size += len(text.encode())
        if size > LOG_BYTES:
            break
        lines.append({"id": row["id"], "at": row["timestamp"], "level": (row["level"] or "").lower(), "text": text})
    earlier = lines[-1]["id"] if lines and len(lines) < len(rows) else None
    return {"lines": lines[::-1], "earlier": earlier, "paged": before is not None}


def children(db: sqlite3.Connection, identifier: str) -> dict[str, Any]:
    """Read the tasks made by a task."""
    body = {
        "parent": identifier, "order_by": ["started"], "page": 0, "page_size": CHILDREN, "search_hidden": True,
        "only_fields": ["id", "name", "type", "status", "started", "active_duration"],
    }  # fmt: skip
    total = db.execute("SELECT count(*) FROM task WHERE parent = ?", (identifier,)).fetchone()[0]
    return {"children": find(db, TASK, body, COMPANY).objects, "total": total}


def models(db: sqlite3.Connection, task: dict[str, Any]) -> list[dict[str, Any]]:
    """Read the models a task used or made."""
    sides = [(side, item.get("model")) for side in ("input", "output") for item in task.get("models", {}).get(side, [])]
    ids = [identifier for _, identifier in sides if identifier]
    rows = {r["id"]: r for r in db.execute(f"SELECT id, name FROM model WHERE id IN ({marks(ids)})", ids)}  # noqa: S608
    return [{"side": s, "id": i, "name": rows[i]["name"]} for s, i in sides if i in rows]
