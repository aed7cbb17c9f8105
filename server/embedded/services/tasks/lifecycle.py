"""tasks.* that move a task through its life: start, stop, complete, fail, publish, reset, queue, delete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import TASK
from server.embedded.services.projects import store as projects
from server.embedded.services.queues import store as queues
from server.embedded.services.tasks import removal, status, store


def _task(call: Call, identifier: Any) -> dict[str, Any]:
    return store.find(call.db, identifier, call.company)


@endpoint("tasks.started", write=True)
def started(call: Call) -> dict[str, Any]:
    """Mark as running."""
    task = objects.get(call.db, TASK, str(call.body["task"]), call.company)
    if task is None:
        raise fail("invalid_object_id", task=None)
    status.check(task, "in_progress", force=bool(call.body.get("force")))
    queues.remove_waiting(call.db, task["id"], call.now)
    extra: dict[str, Any] = {} if task["status"] == "in_progress" else {"started": call.now}
    return store.answer(status.change(call, task, "in_progress", **status.texts(call.body), **extra)) | {"started": 1}


@endpoint("tasks.stopped", write=True)
def stopped(call: Call) -> dict[str, Any]:
    """Mark as stopped: the task itself says so."""
    task = _task(call, call.body["task"])
    status.check(task, "stopped", force=bool(call.body.get("force")))
    queues.remove_waiting(call.db, task["id"], call.now)
    return store.answer(status.change(call, task, "stopped", **status.texts(call.body), completed=call.now))


@endpoint("tasks.stop", write=True)
def stop(call: Call) -> dict[str, Any]:
    """Ask a running task to stop, or stop it when nobody runs it."""
    return stop_one(call, call.body["task"], call.body)


def stop_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Stop one task. A worker that holds it is told through the message `stopping`, and stops it itself."""
    task = _task(call, identifier)
    reason = str(body.get("status_reason") or "")
    held = task["status"] == "in_progress" and "development" not in task.get("system_tags", ())
    if held and queues.worker_of(call.db, task["id"], call.now):
        return store.answer(status.change(call, task, "in_progress", reason=reason, message="stopping"))
    status.check(task, "stopped", force=bool(body.get("force")))
    queues.remove_waiting(call.db, task["id"], call.now)
    message = str(body.get("status_message") or f"Stopped by {call.identity.name}")
    return store.answer(status.change(call, task, "stopped", reason=reason, message=message))


@endpoint("tasks.completed", version="2.2", write=True)
def completed(call: Call) -> dict[str, Any]:
    """Mark as completed, and publish when asked to."""
    task = _task(call, call.body["task"])
    status.check(task, "completed", force=bool(call.body.get("force")))
    written = status.change(call, task, "completed", **status.texts(call.body), completed=call.now)
    if not call.body.get("publish"):
        return store.answer(written) | {"published": 0}
    published = publish_one(call, task["id"], call.body)
    fields = published["fields"] | {"completed": objects.shown(TASK, written)["completed"]}
    return {"updated": 1, "published": 1, "fields": fields}


@endpoint("tasks.failed", write=True)
def failed(call: Call) -> dict[str, Any]:
    """Mark as failed."""
    task = _task(call, call.body["task"])
    status.check(task, "failed", force=bool(call.body.get("force")))
    queues.remove_waiting(call.db, task["id"], call.now)
    return store.answer(status.change(call, task, "failed", **status.texts(call.body), completed=call.now))


@endpoint("tasks.close", write=True)
def close(call: Call) -> dict[str, Any]:
    """Mark a stopped task as closed."""
    task = _task(call, call.body["task"])
    status.check(task, "closed", force=bool(call.body.get("force")))
    return store.answer(status.change(call, task, "closed", **status.texts(call.body)))


@endpoint("tasks.publish", write=True)
def publish(call: Call) -> dict[str, Any]:
    """Publish a task, and the models it made unless told not to."""
    return publish_one(call, call.body["task"], call.body)


def publish_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Publish one task."""
    task = _task(call, identifier)
    status.check(task, "published", force=bool(body.get("force")))
    if body.get("publish_model", True):
        made = [item["model"] for item in task.get("models", {}).get("output", ()) if item.get("model")]
        for model in made:
            call.db.execute(
                "UPDATE model SET ready = 1, last_update = ?, last_change = ? WHERE id = ? AND ready = 0",
                (call.now, call.now, model),
            )
    output = task.get("output") or {}
    return store.answer(status.change(call, task, "published", **status.texts(body), published=call.now, output=output))


@endpoint("tasks.reset", write=True)
def reset(call: Call) -> dict[str, Any]:
    """Make a task a draft again: what it reported is gone."""
    answer = reset_one(call, call.body["task"], call.body)
    answer["dequeued"] = {"removed": 1} if answer["dequeued"] else {}
    return answer | {"events": {}}


def reset_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Reset one task."""
    task = _task(call, identifier)
    if task["status"] == "published" and not body.get("force"):
        raise fail("invalid_task_status", task_id=task["id"], status="published")
    dequeued = queues.remove_waiting(call.db, task["id"], call.now)
    urls = removal.urls_of(call, task) if body.get("return_file_urls") else {}
    deleted = removal.delete_output_models(call, task) if body.get("delete_output_models", True) else 0
    removal.delete_events(call, task["id"])
    kept = [item for item in task.get("execution", {}).get("artifacts", ()) if item.get("mode") == "input"]
    execution = store.EXECUTION | dict(task.get("execution") or {}) | {"artifacts": kept}
    execution.pop("queue", None)
    cleared: dict[str, Any] = {
        "started": None, "completed": None, "published": None, "active_duration": None, "last_iteration": 0,
        "last_worker": None, "last_worker_report": None, "metric_stats": {}, "report_assets": [], "output": {},
        "runtime": {}, "enqueue_status": None, "execution": execution,
        "models": dict(task.get("models") or {}) | {"output": []},
    }  # fmt: skip
    if body.get("clear_all"):
        cleared |= {"execution": store.EXECUTION, "script": store.SCRIPT, "hyperparams": {}, "configuration": {}}
    objects.update(call.db, TASK, task["id"], cleared)
    written = status.change(call, task, "created", reason="reset", message="reset")
    return store.answer(written) | {"deleted_models": deleted, "dequeued": dequeued, "urls": urls}


@endpoint("tasks.enqueue", write=True)
def enqueue(call: Call) -> dict[str, Any]:
    """Put a task into a queue."""
    return enqueue_one(call, call.body["task"], call.body)


def enqueue_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Put one task into a queue: the one named, by id or by name, or the default one."""
    task = _task(call, identifier)
    queue = queues.chosen(call, body.get("queue"), body.get("queue_name"))
    if task["status"] == "queued" or queues.waiting_in(call.db, task["id"]):
        raise fail("task_already_queued", task=task["id"])
    status.check(task, "queued", force=bool(body.get("force")))
    queues.add(call.db, queue, task["id"], call.now)
    execution = store.EXECUTION | dict(task.get("execution") or {}) | {"queue": queue}
    written = status.change(
        call, task, "queued", **status.texts(body), enqueue_status=task["status"], execution=execution
    )
    written.pop("execution")
    answer = store.answer(written | {"execution.queue": queue}) | {"queued": 1}
    if body.get("verify_watched_queue"):
        answer["queue_watched"] = queues.watched(call.db, queue, call.now)
    return answer


@endpoint("tasks.dequeue", write=True)
def dequeue(call: Call) -> dict[str, Any]:
    """Take a task out of its queue."""
    return dequeue_one(call, call.body["task"], call.body)


def dequeue_one(call: Call, identifier: Any, body: Mapping[str, Any]) -> dict[str, Any]:
    """Take one task out of its queue, back to the status it had before it was queued."""
    task = _task(call, identifier)
    queues.remove_waiting(call.db, task["id"], call.now)
    if task["status"] not in {"queued", "in_progress"}:
        return {"dequeued": 1, "updated": 0, "fields": {}}
    new = str(body.get("new_status") or task.get("enqueue_status") or "created")
    execution = dict(task.get("execution") or {})
    execution.pop("queue", None)
    objects.update(call.db, TASK, task["id"], {"execution": execution})
    return store.answer(status.change(call, task, new, **status.texts(body), enqueue_status=None)) | {"dequeued": 1}


@endpoint("tasks.delete", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a task with its events; its children lose their parent."""
    return removal.delete_one(call, call.body["task"], call.body)


@endpoint("tasks.clone", write=True)
def clone(call: Call) -> dict[str, Any]:
    """Copy a task as a draft."""
    body = call.body
    task = _task(call, body["task"])
    kept = (
        "name", "type", "comment", "parent", "project", "tags", "system_tags", "script", "hyperparams",
        "configuration", "container",
    )  # fmt: skip
    values = {key: task[key] for key in kept if key in task}
    values["system_tags"] = [tag for tag in values.get("system_tags", []) if tag not in {"development", "archived"}]
    values["execution"] = _cloned_execution(task)
    values["models"] = {"input": task.get("models", {}).get("input", []), "output": []}
    values["output"] = {key: value for key, value in (task.get("output") or {}).items() if key == "destination"}
    renamed = {
        "name": body.get("new_task_name"), "comment": body.get("new_task_comment"),
        "tags": body.get("new_task_tags"), "system_tags": body.get("new_task_system_tags"),
        "parent": body.get("new_task_parent"), "project": body.get("new_task_project"),
        "hyperparams": body.get("new_task_hyperparams"), "configuration": body.get("new_task_configuration"),
        "container": body.get("new_task_container"),
    }  # fmt: skip
    if body.get("execution_overrides"):
        renamed["execution"] = body["execution_overrides"]
    given = {key: value for key, value in renamed.items() if value is not None}
    values |= store.fields_of(call, given, old=values)
    values.setdefault("parent", task.get("parent") or task["id"])
    answer: dict[str, Any] = {}
    if body.get("new_project_name") and not body.get("new_task_project"):
        project = projects.resolve(call.db, None, str(body["new_project_name"]), call.user, call.company)
        values["project"] = project
        answer["new_project"] = {"id": project, "name": body["new_project_name"]}
    copy = store.new(call, values)
    objects.insert(call.db, TASK, copy)
    store.touch_project(call, copy)
    return {"id": copy["id"]} | answer


def _cloned_execution(task: Mapping[str, Any]) -> dict[str, Any]:
    execution = dict(task.get("execution") or {})
    execution.pop("queue", None)
    execution["artifacts"] = [item for item in execution.get("artifacts", ()) if item.get("mode") == "input"]
    return store.EXECUTION | execution


@endpoint("tasks.move", write=True)
def move(call: Call) -> dict[str, Any]:
    """Move tasks to a project, made when it is named and new."""
    body = call.body
    if not body.get("project") and not body.get("project_name"):
        raise fail("missing_required_fields", "project or project_name is required")
    project = projects.resolve(call.db, body.get("project"), body.get("project_name"), call.user, call.company)
    for identifier in body["ids"]:
        store.save(call, _task(call, identifier)["id"], {"project": project})
    projects.touch(call.db, project, call.now)
    return {"project_id": project}


__all__ = ["dequeue_one", "enqueue_one", "publish_one", "reset_one", "stop_one"]
