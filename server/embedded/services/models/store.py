"""Models as rows: what a request may set, what a change does besides itself, and removal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call
from server.embedded.errors import fail
from server.embedded.objects import MODEL, PROJECT, TASK
from server.embedded.services.events import store as events

PLAIN = ("comment", "uri", "framework", "design", "ui_cache")
METADATA_ONLY = frozenset({"comment", "tags", "system_tags"})
DELETED = "__DELETED__"


def require(call: Call, identifier: Any) -> dict[str, Any]:
    """Read a model, also one that is everybody's.

    Raises
    ------
    ApiError
        `invalid_model_id`
    """
    found = objects.get(call.db, MODEL, str(identifier), call.company)
    if found is None:
        raise fail("invalid_model_id", "no such public or company model", id=identifier, company=call.company)
    return found


def own(call: Call, identifier: Any) -> dict[str, Any]:
    """Read a model of the company, to change it.

    Raises
    ------
    ApiError
        `invalid_model_id`
    """
    found = objects.get(call.db, MODEL, str(identifier), call.company)
    if found is None or found.get("company") != call.company:
        raise fail("invalid_model_id", company=call.company, id=identifier)
    return found


def fields(call: Call) -> dict[str, Any]:
    """Read the fields of a model from a request, checked."""
    body = call.body
    values = {key: body[key] for key in PLAIN if body.get(key) is not None}
    if body.get("name") is not None:
        values["name"] = objects.check_name(body["name"])
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            values[key] = objects.clean_tags(body[key], key)
    for key, read in (("ready", bool), ("metadata", objects.metadata_items), ("created", _time), ("labels", labels)):
        if body.get(key) is not None:
            values[key] = read(body[key])
    for key, kind, title in (("project", PROJECT, "Project"), ("task", TASK, "Task"), ("parent", MODEL, "Model")):
        if body.get(key):
            if objects.get(call.db, kind, str(body[key]), call.company, ["id"]) is None:
                raise fail("invalid_fields_value", f"expecting {title} id", id=body[key], field=key)
            values[key] = body[key]
    return values


def _time(text: str) -> int:
    try:
        return clock.parse(text)
    except ValueError as error:
        raise objects.fail_field("created", f"cannot parse date {text!r}") from error


def labels(value: Any) -> dict[str, Any]:
    """Check labels: names to different whole numbers.

    Raises
    ------
    ApiError
        `data_validation_error`
    """
    if not isinstance(value, dict):
        raise objects.fail_field("labels", "Only dictionaries may be used in a DictField")
    for name, number in value.items():
        if number is not None and (isinstance(number, bool) or not isinstance(number, int)):
            raise objects.fail_field(
                "labels",
                f"{{'{name}': ValidationError(Expected int or NoneType, got {type(number).__name__}: {number},)}}",
            )
    if len(set(value.values())) < len(value):
        raise objects.fail_field("labels", "Same label id appears more than once in model labels")
    return value


def save(call: Call, identifier: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """Write changes of a model and the times that go with them. Tells what was written."""
    written = dict(values) | {"last_change": call.now, "last_changed_by": call.user}
    if not set(values) <= METADATA_ONLY:
        written["last_update"] = call.now
    objects.update(call.db, MODEL, identifier, written)
    return {"updated": 1, "fields": objects.shown(MODEL, written)}


def progress(call: Call, task: str | None) -> None:
    """Carry the iteration that a request tells of to the model's task."""
    iteration = call.body.get("iteration")
    if iteration is not None and task:
        call.db.execute(
            "UPDATE task SET last_iteration = max(coalesce(last_iteration, 0), ?) WHERE id = ? AND company = ?",
            (iteration, task, call.company),
        )


def remove(call: Call, identifier: Any, *, force: bool) -> dict[str, Any]:
    """Delete a model with what was reported for it; its file is the client's to delete.

    Raises
    ------
    ApiError
        `invalid_model_id`; without force `model_in_use` when tasks use it as input, and
        `model_creating_task_exists` when the task that made it is published.
    """
    model = own(call, identifier)
    users = [row[0] for row in call.db.execute("SELECT task FROM task_model WHERE model = ?", (model["id"],))]
    if not force:
        _insist_unused(call, model)
    for task in dict.fromkeys(users):
        _forget(call, task, model["id"])
    events.delete_events(call.db, [model["id"]])
    call.db.execute("DELETE FROM model WHERE id = ?", (model["id"],))
    return {"deleted": True, "url": model.get("uri")}


def _insist_unused(call: Call, model: Mapping[str, Any]) -> None:
    used = call.db.execute(
        "SELECT count(*) FROM task_model WHERE model = ? AND side = 'input'", (model["id"],)
    ).fetchone()[0]
    if used:
        raise fail("model_in_use", "use force=true to delete", num_tasks=used)
    made = call.db.execute("SELECT status FROM task WHERE id = ?", (model.get("task"),)).fetchone()
    if made is not None and made[0] == "published":
        raise fail("model_creating_task_exists", "and published, use force=true to delete", task=model["task"])


def _forget(call: Call, task: str, model: str) -> None:
    """Mark a deleted model in the tasks that used it, and drop it from the draft or run that made it."""
    row = objects.get(call.db, TASK, task, call.company, ["id", "models", "status"])
    if row is None:
        return
    models = row.get("models") or {}
    keep_mark = row["status"] == "published"
    changed = {
        "input": [_marked(item, model) for item in models.get("input", [])],
        "output": [
            _marked(item, model) for item in models.get("output", []) if keep_mark or item.get("model") != model
        ],
    }
    objects.update(call.db, TASK, task, {"models": changed, "last_change": call.now})


def _marked(item: dict[str, Any], model: str) -> dict[str, Any]:
    return item | {"model": DELETED + model} if item.get("model") == model else item
