"""tasks.* over artifacts and models of a task."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import bad_field, fail
from server.embedded.objects import MODEL
from server.embedded.services.tasks import status, store


def _open_task(call: Call) -> dict[str, Any]:
    task = store.find(call.db, call.body["task"], call.company)
    if task["status"] not in status.RUNNING and not call.body.get("force"):
        raise fail("invalid_task_status", expected="created", status=task["status"])
    return task


def _key(artifact: Mapping[str, Any]) -> tuple[str, str]:
    if not artifact.get("key"):
        raise fail(
            "validation_error",
            "error for field 'artifacts': (\"error for field 'key'.\", validationerror('field is required!')).",
        )
    return str(artifact["key"]), str(artifact.get("mode") or "output")


def _complete(artifact: Mapping[str, Any]) -> dict[str, Any]:
    """Add what the web app takes for granted."""
    known = {key: value for key, value in artifact.items() if value is not None}
    pairs = sorted((list(pair) for pair in known.get("display_data") or ()), key=lambda pair: str(pair[:1]))
    return {"mode": "output", **known, "display_data": pairs}


def _save(call: Call, task: Mapping[str, Any], artifacts: list[dict[str, Any]]) -> None:
    execution = store.EXECUTION | dict(task.get("execution") or {}) | {"artifacts": artifacts}
    store.save(call, task["id"], {"execution": execution})
    store.touch_project(call, task)


@endpoint("tasks.add_or_update_artifacts", version="2.10", write=True)
def add_or_update_artifacts(call: Call) -> dict[str, Any]:
    """Add artifacts, or replace those of the same key and mode."""
    given = {_key(item): _complete(item) for item in call.body["artifacts"]}
    task = _open_task(call)
    kept = {_key(item): item for item in task.get("execution", {}).get("artifacts", ())}
    _save(call, task, list((kept | given).values()))
    return {"updated": 1}


@endpoint("tasks.delete_artifacts", version="2.10", write=True)
def delete_artifacts(call: Call) -> dict[str, Any]:
    """Delete artifacts by key and mode."""
    gone = {_key(item) for item in call.body["artifacts"]}
    task = _open_task(call)
    _save(call, task, [a for a in task.get("execution", {}).get("artifacts", ()) if _key(a) not in gone])
    return {"deleted": 1}


@endpoint("tasks.add_or_update_model", version="2.13", write=True)
def add_or_update_model(call: Call) -> dict[str, Any]:
    """Name a model as an input or output of a task."""
    body = call.body
    side = str(body.get("type"))
    if side not in {"input", "output"}:
        raise bad_field("type", f"('value is wrong, expected type \"modeltype\"', {body.get('type')!r}).")
    task = store.find(call.db, body["task"], call.company)
    if objects.get(call.db, MODEL, str(body["model"]), call.company, ["id"]) is None:
        raise fail("invalid_model_id", "no such public or company model", id=body["model"], company=call.company)
    models: dict[str, list[Any]] = {"input": [], "output": []} | dict(task.get("models") or {})
    item = {"name": body["name"], "model": body["model"], "updated": clock.iso_millis(call.now)}
    kept = [one for one in models[side] if one.get("name") != body["name"]]
    replaced = len(kept) < len(models[side])
    if replaced:
        models[side] = [item if one.get("name") == body["name"] else one for one in models[side]]
    else:
        models[side] = [*kept, item]
    changes: dict[str, Any] = {"models": models}
    if body.get("iteration") is not None:
        changes["last_iteration"] = max(int(body["iteration"]), int(task.get("last_iteration") or 0))
    store.save(call, task["id"], changes)
    return {"updated": 1}


@endpoint("tasks.delete_models", version="2.13", write=True)
def delete_models(call: Call) -> dict[str, Any]:
    """Take models out of a task's inputs and outputs; the models stay."""
    task = store.find(call.db, call.body["task"], call.company)
    gone = {(str(item.get("type")), str(item.get("name"))) for item in call.body["models"]}
    models: dict[str, list[Any]] = {"input": [], "output": []} | dict(task.get("models") or {})
    models = {
        side: [one for one in models[side] if (side, one.get("name")) not in gone] for side in ("input", "output")
    }
    store.save(call, task["id"], {"models": models})
    return {"updated": 1}
