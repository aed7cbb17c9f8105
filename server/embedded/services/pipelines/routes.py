"""pipelines.*: starting a pipeline from the page, and deleting its runs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import TASK
from server.embedded.services.projects import store as projects
from server.embedded.services.queues import store as queues
from server.embedded.services.tasks import lifecycle, removal, store
from server.embedded.services.tasks.many import each

ARGUMENTS = "Args"


@endpoint("pipelines.start_pipeline", version="2.17", write=True)
def start_pipeline(call: Call) -> dict[str, Any]:
    """Run a pipeline once more: a copy of its controller with other arguments, put into a queue."""
    body = call.body
    queue = queues.chosen(call, body.get("queue"), None)
    task = store.find(call.db, body["task"], call.company)
    copied = _copy(call, task)
    _set_arguments(call, copied, body.get("args") or [])
    lifecycle.enqueue_one(call, copied, {"queue": queue})
    answer: dict[str, Any] = {"pipeline": copied, "enqueued": True}
    if body.get("verify_watched_queue"):
        answer["queue_watched"] = queues.watched(call.db, queue, call.now)
    return answer


def _copy(call: Call, task: dict[str, Any]) -> str:
    body = {"task": task["id"], "new_task_name": _next_name(call, task)}
    answer = lifecycle.clone(replace(call, body=body))
    return str(answer["id"] if isinstance(answer, dict) else answer.data["id"])


def _next_name(call: Call, task: dict[str, Any]) -> str:
    """Name a run as clients do: the pipeline's name and a number."""
    base = str(task["name"]).partition(" #")[0]
    runs = call.db.execute(
        "SELECT count(*) FROM task WHERE project IS ? AND type = 'controller' AND company = ?",
        (task.get("project"), call.company),
    ).fetchone()[0]
    return f"{base} #{runs + 1}"


def _set_arguments(call: Call, identifier: str, args: list[dict[str, Any]]) -> None:
    if not args:
        return
    task = store.find(call.db, identifier, call.company, ["id", "hyperparams"])
    hyperparams = dict(task.get("hyperparams") or {})
    section = dict(hyperparams.get(ARGUMENTS) or {})
    for item in args:
        name = str(item.get("name") or "")
        known = dict(section.get(name) or {"section": ARGUMENTS, "name": name})
        section[name] = known | {"value": str(item.get("value") or "")}
    store.save(call, identifier, {"hyperparams": hyperparams | {ARGUMENTS: section}})


@endpoint("pipelines.delete_runs", version="2.26", write=True)
def delete_runs(call: Call) -> dict[str, Any]:
    """Delete runs of a pipeline with their steps; the last run stays, for it is the pipeline.

    Raises
    ------
    ApiError
        `invalid_project_id`, `validation_error` for ids that are no runs of it or that are all of them.
    """
    project = projects.require(call.db, call.body["project"], call.company)["id"]
    rows = call.db.execute("SELECT id FROM task WHERE project = ? AND type = 'controller'", (project,))
    runs = {row[0] for row in rows}
    asked = set(call.body["ids"])
    strangers = tuple(sorted(asked - runs))
    if strangers:
        raise fail("validation_error", "Some of the tasks are not runs of the pipeline", ids=strangers)
    if runs == asked:
        raise fail("validation_error", "At least one run should be left in the pipeline project", ids=tuple(asked))

    def delete(_: Call, identifier: str, __: Any) -> dict[str, Any]:
        steps = [row[0] for row in call.db.execute("SELECT id FROM task WHERE parent = ?", (identifier,))]
        for step in steps:
            if objects.get(call.db, TASK, step, call.company, ["id"]) is not None:
                removal.delete_one(call, step, {"force": True})
        return removal.delete_one(call, identifier, {"force": True})

    return each(call, delete)
