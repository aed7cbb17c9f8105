"""Tasks as rows: what a new one holds, how one is found, what a change does besides itself."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call
from server.embedded.errors import bad_field, fail
from server.embedded.objects import MODEL, PROJECT, TASK
from server.embedded.services.projects import store as projects

TYPES = (
    "training", "testing", "inference", "data_processing", "application", "monitor", "controller", "optimizer",
    "service", "qc", "custom",
)  # fmt: skip
SCRIPT = {"binary": "python", "repository": "", "entry_point": "", "requirements": {}}
EXECUTION: dict[str, Any] = {"test_split": 0, "parameters": {}, "model_desc": {}, "model_labels": {}, "artifacts": []}
# a change of these alone is not progress of the task: `last_update` stays
METADATA = frozenset({"name", "comment", "tags", "system_tags"})


def new(call: Call, values: Mapping[str, Any]) -> dict[str, Any]:
    """Complete the values of a new task."""
    base: dict[str, Any] = {
        "id": objects.new_id(), "company": call.company, "user": call.user, "status": "created", "created": call.now,
        "last_update": call.now, "last_change": call.now, "last_changed_by": call.user, "last_iteration": 0,
        "report_assets": [], "output": {}, "execution": EXECUTION, "tags": [], "system_tags": [], "script": SCRIPT,
        "metric_stats": {}, "hyperparams": {}, "configuration": {}, "runtime": {},
        "models": {"input": [], "output": []}, "container": {},
    }  # fmt: skip
    return base | dict(values)


def find(db: sqlite3.Connection, identifier: Any, company: str, fields: Iterable[str] | None = None) -> dict[str, Any]:
    """Read a task to change it.

    Raises
    ------
    ApiError
        `invalid_task_id`
    """
    found = objects.get(db, TASK, str(identifier), company, fields)
    if found is None:
        raise fail("invalid_task_id", id=identifier, company=company)
    return found


def check_ids(db: sqlite3.Connection, ids: Iterable[Any], company: str) -> list[str]:
    """Insist that all of some tasks exist."""
    listed = list(dict.fromkeys(str(item) for item in ids))
    known = {
        row[0]
        for row in db.execute(
            f"SELECT id FROM task WHERE company IN (?, '') AND id IN ({', '.join('?' * len(listed))})",  # noqa: S608
            [company, *listed],
        )
    }
    if len(known) < len(listed):
        raise fail("invalid_task_id", ids=tuple(listed))
    return listed


def fields_of(call: Call, body: Mapping[str, Any], *, old: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Read the fields of a task from a create or edit request, checked.

    Objects that the store knows by structure (script, execution, output, models) are merged into what was there; the
    others (hyperparams, configuration, runtime, container) are replaced.
    """
    values: dict[str, Any] = {}
    if body.get("name") is not None:
        values["name"] = objects.check_name(body["name"])
    if body.get("type") is not None:
        if body["type"] not in TYPES:
            raise bad_field("type", f"value '{body['type']}' is not a valid choice.")
        values["type"] = body["type"]
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            values[key] = objects.clean_tags(body[key], key)
    for key in ("comment", "report"):
        if body.get(key) is not None:
            values[key] = body[key]
    _references(call, body, values)
    _documents(call, body, values, old or {})
    return values


def _references(call: Call, body: Mapping[str, Any], values: dict[str, Any]) -> None:
    for key, kind, title in (("project", PROJECT, "Project"), ("parent", TASK, "Task")):
        identifier = body.get(key)
        if identifier is None:
            continue
        if identifier == "":
            values[key] = None
            continue
        if objects.get(call.db, kind, str(identifier), call.company, ["id"]) is None:
            raise fail("invalid_fields_value", f"expecting {title} id", id=identifier, field=key)
        values[key] = identifier


def _documents(call: Call, body: Mapping[str, Any], values: dict[str, Any], old: Mapping[str, Any]) -> None:
    for key, base in (("script", SCRIPT), ("execution", EXECUTION)):
        if body.get(key) is not None:
            given = {name: value for name, value in _object(body, key).items() if value is not None}
            values[key] = base | dict(old.get(key) or {}) | given
    if "execution" in values:
        move_legacy(values, old)
    for key in ("hyperparams", "configuration"):
        if body.get(key) is not None:
            values[key] = sections(body, key)
    for key in ("runtime", "container"):
        if body.get(key) is not None:
            values[key] = _object(body, key)
    if body.get("models") is not None:
        values["models"] = _models(call, _object(body, "models"), old)
    if body.get("output_dest") is not None:
        values["output"] = dict(old.get("output") or {}) | {"destination": body["output_dest"]}


def _object(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    value = body[key]
    if not isinstance(value, dict):
        raise bad_field(key, f"('value is wrong, expected type \"dict\"', {value!r}).")
    return value


def sections(body: Mapping[str, Any], key: str) -> dict[str, Any]:
    """Read hyperparameters (section -> name -> item) or configuration (name -> item)."""
    value = _object(body, key)
    inner = (
        value.values()
        if key == "configuration"
        else [i for s in value.values() if isinstance(s, dict) for i in s.values()]
    )
    if any(not isinstance(item, dict) for item in [*inner, *value.values()]):
        raise fail("validation_error", f"error for field '{key}': an item is not an object.")
    return value


def move_legacy(values: dict[str, Any], old: Mapping[str, Any]) -> None:
    """Move parameters that old clients put into `execution` to where they belong."""
    execution = values["execution"]
    parameters = execution.get("parameters") or {}
    if parameters:
        hyperparams = values.setdefault("hyperparams", dict(old.get("hyperparams") or {}))
        for full, value in parameters.items():
            section, _, name = full.partition("/") if "/" in full else ("Args", "", full)
            item = {"section": section, "name": name, "value": str(value)}
            hyperparams[section] = dict(hyperparams.get(section) or {}) | {name: item}
        execution["parameters"] = {}
    design = execution.get("model_desc") or {}
    if design:
        configuration = values.setdefault("configuration", dict(old.get("configuration") or {}))
        for name, value in design.items():
            configuration[name] = {"name": name, "value": str(value)}
        execution["model_desc"] = {}


def _models(call: Call, models: Mapping[str, Any], old: Mapping[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"input": [], "output": []} | dict(old.get("models") or {})
    for side in ("input", "output"):
        if models.get(side) is not None:
            found[side] = [dict(item) for item in models[side]]
    ids = [str(item.get("model")) for side in ("input", "output") for item in models.get(side) or []]
    if ids:
        unknown = tuple(i for i in ids if objects.get(call.db, MODEL, i, call.company, ["id"]) is None)
        if unknown:
            raise fail("invalid_model_id", models=unknown)
    return found


def save(call: Call, identifier: str, changes: Mapping[str, Any], *, progress: bool | None = None) -> dict[str, Any]:
    """Write changes of a task and the times that go with them. Returns all that changed.

    Parameters
    ----------
    progress
        Whether `last_update` moves too; by default unless only metadata changed.
    """
    written = dict(changes) | {"last_change": call.now, "last_changed_by": call.user}
    if progress if progress is not None else not set(changes) <= METADATA:
        written["last_update"] = call.now
    objects.update(call.db, TASK, identifier, written)
    return written


def answer(changes: Mapping[str, Any], updated: int = 1) -> dict[str, Any]:
    """Tell what a change wrote."""
    return {"updated": updated, "fields": objects.shown(TASK, changes)}


def touch_project(call: Call, task: Mapping[str, Any]) -> None:
    """Note that something in the task's project changed."""
    projects.touch(call.db, task.get("project"), call.now)
