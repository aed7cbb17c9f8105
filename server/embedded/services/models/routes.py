"""models.*: the registry of models: registering, editing, listing."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import MODEL
from server.embedded.query import find
from server.embedded.query.filters import Where
from server.embedded.query.find import add_metrics
from server.embedded.services.models import many, store
from server.embedded.services.projects import store as projects

__all__ = ["many"]


@endpoint("models.create", write=True)
def create(call: Call) -> dict[str, Any]:
    """Register a model; it is ready to be used unless said otherwise."""
    values: dict[str, Any] = {
        "id": objects.new_id(), "company": call.company, "user": call.user, "created": call.now, "tags": [],
        "system_tags": [], "design": {}, "labels": {}, "ready": True, "last_update": call.now, "metadata": {},
        "last_change": call.now, "last_changed_by": call.user, "last_iteration": 0,
    } | store.fields(call)  # fmt: skip
    if call.body.get("public"):
        values["company"] = ""
    objects.insert(call.db, MODEL, values)
    projects.touch(call.db, values.get("project"), call.now)
    return {"id": values["id"], "created": True}


@endpoint("models.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one model."""
    identifier = store.require(call, call.body["model"])["id"]
    return {"model": find(call.db, MODEL, {"id": [identifier]}, call.company).objects[0]}


@endpoint("models.get_by_id_ex", version="2.11")
def get_by_id_ex(call: Call) -> dict[str, Any]:
    """List models by id, what they name as objects."""
    if not call.body.get("id"):
        raise fail("missing_required_fields", missing=("id",))
    return _list(call, expanded=True)


@endpoint("models.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List models."""
    return _list(call, expanded=False)


@endpoint("models.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List models, what they name as objects."""
    return _list(call, expanded=True)


def _list(call: Call, *, expanded: bool) -> dict[str, Any]:
    body = call.body
    if body.get("include_subprojects") and body.get("project"):
        asked = body["project"] if isinstance(body["project"], list) else [body["project"]]
        body = body | {"project": projects.with_children(call.db, [str(item) for item in asked])}
    stats = bool(body.get("include_stats"))

    def compute(db: sqlite3.Connection, models: list[dict[str, Any]], paths: Sequence[str] | None) -> None:
        add_metrics(db, models, paths)
        if stats:
            for model in models:
                model["stats"] = {"labels_count": len(model.get("labels") or {})}

    page = find(call.db, MODEL, body, call.company, extra=_visible(call), expanded=expanded, compute=compute)
    return page.answer("models")


def _visible(call: Call) -> Where:
    where = Where()
    if call.body.get("allow_public") is False:
        where.add("model.company = ?", call.company)
    if not call.body.get("search_hidden") and not call.body.get("id"):
        where.add(
            "model.id NOT IN (SELECT object FROM tag WHERE kind = 'model' AND field = 'system_tags' AND tag = 'hidden')"
        )
    return where


@endpoint("models.get_frameworks", version="2.8")
def get_frameworks(call: Call) -> dict[str, Any]:
    """Name the frameworks of models, of all or of some projects."""
    where = Where()
    where.add("company IN (?, '') AND framework IS NOT NULL AND framework <> ''", call.company)
    asked = [str(item) for item in call.body.get("projects") or ()]
    if asked:
        listed = projects.with_children(call.db, asked)
        where.add(f"project IN ({', '.join('?' * len(listed))})", *listed)
    rows = call.db.execute(
        f"SELECT DISTINCT framework FROM model WHERE {where.sql} ORDER BY framework",  # noqa: S608 - conditions above
        where.values,
    )
    return {"frameworks": [row[0] for row in rows]}


@endpoint("models.edit", write=True)
def edit(call: Call) -> dict[str, Any]:
    """Edit a model."""
    model = store.own(call, call.body["model"])
    values = store.fields(call)
    store.progress(call, values.get("task") or model.get("task"))
    return store.save(call, model["id"], values | {"ui_cache": {}})


@endpoint("models.update", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit what is not the model itself."""
    model = store.own(call, call.body["model"])
    editable = {"name", "comment", "tags", "system_tags", "ready", "created", "ui_cache", "project", "task", "metadata"}
    values = {key: value for key, value in store.fields(call).items() if key in editable}
    store.progress(call, values.get("task") or model.get("task"))
    return store.save(call, model["id"], values)


@endpoint("models.add_or_update_metadata", version="2.13", write=True)
def add_or_update_metadata(call: Call) -> dict[str, Any]:
    """Add metadata, or replace all of it."""
    model = store.own(call, call.body["model"])
    old = {} if call.body.get("replace_metadata") else dict(model.get("metadata") or {})
    store.save(call, model["id"], {"metadata": old | objects.metadata_items(call.body["metadata"])})
    return {"updated": 1}


@endpoint("models.delete_metadata", version="2.13", write=True)
def delete_metadata(call: Call) -> dict[str, Any]:
    """Delete metadata by key."""
    model = store.own(call, call.body["model"])
    gone = set(call.body["keys"])
    kept = {key: item for key, item in (model.get("metadata") or {}).items() if key not in gone}
    store.save(call, model["id"], {"metadata": kept})
    return {"updated": 1}
