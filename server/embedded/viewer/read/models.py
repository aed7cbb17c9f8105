"""Models: versions under their names, and one model with where it came from."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import objects
from server.embedded.auth import COMPANY
from server.embedded.objects import MODEL
from server.embedded.query import find
from server.embedded.query.filters import conditions
from server.embedded.viewer.read import compare, projects
from server.embedded.viewer.read.experiments import project_names

PAGE = 100
CARD = "card"  # name of the metadata that is a model card, in Markdown


def table(db: sqlite3.Connection, project: str, text: str, page: int) -> dict[str, Any]:
    """Read a page of models, the newest first within each name."""
    body: dict[str, Any] = {"project": projects.inside(db, project) or None, "search_hidden": True}
    if text:
        escaped = "".join(f"\\{c}" if not (c.isalnum() or c in " -_/") else c for c in text)
        body["_any_"] = {"fields": ["name", "id", "tags"], "pattern": escaped}
    fields = ["id", "name", "project", "created", "tags", "ready", "framework", "task", "metadata"]
    where = conditions(MODEL, body, COMPANY)
    total = db.execute(f"SELECT count(*) FROM model WHERE {where.sql}", where.values).fetchone()[0]  # noqa: S608
    request = body | {"order_by": ["name", "-created"], "page": page, "page_size": PAGE, "only_fields": fields}
    found = find(db, MODEL, request, COMPANY).objects
    for model in found:
        model["version"] = compare.version(compare.metadata(model))
    return {"models": found, "total": total, "names": project_names(db, found), "text": text, "page": page,
            "page_size": PAGE}  # fmt: skip


def one(db: sqlite3.Connection, identifier: str) -> dict[str, Any] | None:
    """Read a model with its other versions, metrics and the tasks that touch it."""
    model = objects.get(db, MODEL, identifier, COMPANY)
    if model is None:
        return None
    texts = compare.metadata(model)
    rows = db.execute(
        "SELECT id, name, created, tags, metadata FROM model WHERE name = ? AND project IS ? AND company IN (?, '')"
        " ORDER BY created DESC LIMIT 50",
        (model["name"], model.get("project"), COMPANY),
    )
    users = db.execute(
        "SELECT task.id, task.name, task.status, task_model.side FROM task_model JOIN task ON task.id = task_model.task"
        " WHERE task_model.model = ? ORDER BY task.created DESC LIMIT 50",
        (identifier,),
    )
    project = projects.one(db, model["project"]) if model.get("project") else None
    numbers = compare.columns(db, [model])[0] | compare.numbers(texts)
    return {
        "model": model, "metrics": compare.table([numbers]), "card": texts.get(CARD, ""), "maker": _maker(db, model),
        "metadata": {k: v for k, v in texts.items() if k != CARD and not k.startswith(compare.NUMBER)},
        "parents": [*project["parents"], project] if project else [], "version": compare.version(texts),
        "versions": [_version(objects.from_row(MODEL, row)) for row in rows], "users": [dict(row) for row in users],
    }  # fmt: skip


def _version(model: dict[str, Any]) -> dict[str, Any]:
    return model | {"version": compare.version(compare.metadata(model))}


def _maker(db: sqlite3.Connection, model: dict[str, Any]) -> str:
    """Name of the task that made a model."""
    row = db.execute("SELECT name FROM task WHERE id = ?", (model.get("task"),)).fetchone()
    return str(row["name"]) if row else ""
