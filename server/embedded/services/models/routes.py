"""models.*: the registry of models."""

from __future__ import annotations

from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import MODEL, PROJECT, TASK
from server.embedded.query import find
from server.embedded.query.filters import Where
from server.embedded.services.events import store as events
from server.embedded.services.tasks.many import each, set_archived

PLAIN = ("comment", "uri", "framework", "design", "parent")
METADATA_ONLY = frozenset({"comment", "tags", "system_tags"})


def require(call: Call, identifier: Any) -> dict[str, Any]:
    """Read a model.

    Raises
    ------
    ApiError
        `invalid_model_id`
    """
    found = objects.get(call.db, MODEL, str(identifier), call.company)
    if found is None:
        raise fail("invalid_model_id", "no such public or company model", id=identifier, company=call.company)
    return found


def _labels(value: Any) -> dict[str, Any]:
    labels = dict(value)
    for name, number in labels.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise objects.fail_field(
                "labels",
                f"{{'{name}': ValidationError(Expected int or NoneType, got {type(number).__name__}: {number},)}}",
            )
    if len(set(labels.values())) < len(labels):
        raise objects.fail_field("labels", "Same label id appears more than once in model labels")
    return labels


def _fields(call: Call) -> dict[str, Any]:
    body = call.body
    values = {key: body[key] for key in PLAIN if body.get(key) is not None}
    if body.get("name") is not None:
        values["name"] = objects.check_name(body["name"])
    if body.get("labels") is not None:
        values["labels"] = _labels(body["labels"])
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            values[key] = objects.clean_tags(body[key], key)
    if body.get("ready") is not None:
        values["ready"] = bool(body["ready"])
    if body.get("metadata") is not None:
        values["metadata"] = _metadata(body["metadata"])
    for key, kind, title in (("project", PROJECT, "Project"), ("task", TASK, "Task")):
        if body.get(key):
            if objects.get(call.db, kind, str(body[key]), call.company, ["id"]) is None:
                raise fail("invalid_fields_value", f"expecting {title} id", id=body[key], field=key)
            values[key] = body[key]
    return values


def _metadata(items: Any) -> dict[str, Any]:
    listed = list(items.values()) if isinstance(items, dict) else items
    for item in listed:
        if not item.get("key"):
            raise fail(
                "validation_error",
                "error for field 'metadata': (\"error for field 'key'.\", validationerror('field is required!')).",
            )
    return {str(item["key"]): item for item in listed}


@endpoint("models.create", write=True)
def create(call: Call) -> dict[str, Any]:
    """Register a model."""
    values = {
        "id": objects.new_id(), "company": call.company, "user": call.user, "created": call.now, "tags": [],
        "system_tags": [], "design": {}, "labels": {}, "ready": True, "last_update": call.now, "metadata": {},
        "last_change": call.now, "last_changed_by": call.user, "last_iteration": 0,
    } | _fields(call)  # fmt: skip
    objects.insert(call.db, MODEL, values)
    return {"id": values["id"], "created": True}


@endpoint("models.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one model."""
    identifier = require(call, call.body["model"])["id"]
    return {"model": find(call.db, MODEL, {"id": [identifier]}, call.company).objects[0]}


@endpoint("models.get_by_id_ex")
def get_by_id_ex(call: Call) -> dict[str, Any]:
    """Read one model, what it names as objects."""
    identifier = call.body.get("id")
    if not identifier:
        raise fail("missing_required_fields", missing=("id",))
    first = identifier[0] if isinstance(identifier, list) else identifier
    found = find(call.db, MODEL, {**call.body, "id": [require(call, first)["id"]]}, call.company, expanded=True)
    return {"model": found.objects[0]}


@endpoint("models.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List models."""
    return find(call.db, MODEL, call.body, call.company, extra=_visible(call)).answer("models")


@endpoint("models.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List models, what they name as objects."""
    return find(call.db, MODEL, call.body, call.company, extra=_visible(call), expanded=True).answer("models")


def _visible(call: Call) -> Where:
    where = Where()
    if not call.body.get("search_hidden") and not call.body.get("id"):
        where.add(
            "model.id NOT IN (SELECT object FROM tag WHERE kind = 'model' AND field = 'system_tags' AND tag = 'hidden')"
        )
    return where


def _save(call: Call, identifier: str, values: dict[str, Any]) -> dict[str, Any]:
    written = values | {"last_change": call.now, "last_changed_by": call.user}
    if not set(values) <= METADATA_ONLY:
        written["last_update"] = call.now
    objects.update(call.db, MODEL, identifier, written)
    return {"updated": 1, "fields": objects.shown(MODEL, written)}


@endpoint("models.edit", write=True)
def edit(call: Call) -> dict[str, Any]:
    """Edit a model."""
    model = require(call, call.body["model"])
    values = _fields(call)
    iteration = call.body.get("iteration")
    if iteration is not None and values.get("task"):
        call.db.execute(
            "UPDATE task SET last_iteration = max(coalesce(last_iteration, 0), ?) WHERE id = ?",
            (iteration, values["task"]),
        )
    return _save(call, model["id"], values | {"ui_cache": {}})


@endpoint("models.update", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit what may be edited at any time."""
    model = require(call, call.body["model"])
    return _save(call, model["id"], {k: v for k, v in _fields(call).items() if k not in {"design", "framework"}})


@endpoint("models.set_ready", write=True)
def set_ready(call: Call) -> dict[str, Any]:
    """Publish a model."""
    model = require(call, call.body["model"])
    if model.get("ready"):
        raise fail("model_is_ready", company=call.company, model=model["id"])
    _save(call, model["id"], {"ready": True})
    return {"updated": 1, "fields": {}}


@endpoint("models.add_or_update_metadata", version="2.13", write=True)
def add_or_update_metadata(call: Call) -> dict[str, Any]:
    """Add metadata, or replace all of it."""
    model = require(call, call.body["model"])
    old = {} if call.body.get("replace_metadata") else dict(model.get("metadata") or {})
    _save(call, model["id"], {"metadata": old | _metadata(call.body["metadata"])})
    return {"updated": 1}


@endpoint("models.delete_metadata", version="2.13", write=True)
def delete_metadata(call: Call) -> dict[str, Any]:
    """Delete metadata by key."""
    model = require(call, call.body["model"])
    gone = set(call.body["keys"])
    _save(call, model["id"], {"metadata": {k: v for k, v in (model.get("metadata") or {}).items() if k not in gone}})
    return {"updated": 1}


@endpoint("models.archive_many", write=True)
def archive_many(call: Call) -> dict[str, Any]:
    """Archive models."""

    def archive(_: Call, identifier: Any, __: Any) -> dict[str, Any]:
        set_archived(call, MODEL, require(call, identifier), archived=True)
        return {"archived": True}

    return each(call, archive)


@endpoint("models.unarchive_many", write=True)
def unarchive_many(call: Call) -> dict[str, Any]:
    """Bring models back from the archive."""

    def unarchive(_: Call, identifier: Any, __: Any) -> dict[str, Any]:
        set_archived(call, MODEL, require(call, identifier), archived=False)
        return {"unarchived": True}

    return each(call, unarchive)


@endpoint("models.delete", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a model; its file is the client's to delete."""
    identifier = call.body["model"]
    model = objects.get(call.db, MODEL, str(identifier), call.company)
    if model is None:
        raise fail("invalid_model_id", company=call.company, id=identifier)
    events.delete_events(call.db, [model["id"]])
    call.db.execute("DELETE FROM model WHERE id = ?", (model["id"],))
    return {"deleted": True, "url": model.get("uri")}
