"""tasks.*: creating, reading and editing tasks. Importing it registers the whole service."""

from __future__ import annotations

from typing import Any

from server.embedded import clock, objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import bad_field, fail
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.query.filters import Where, marks
from server.embedded.services.projects.store import with_children
from server.embedded.services.tasks import (
    artifacts,  # noqa: F401 - registers
    lifecycle,  # noqa: F401 - registers
    many,  # noqa: F401 - registers
    parameters,  # noqa: F401 - registers
    store,
)


@endpoint("tasks.create", write=True)
def create(call: Call) -> dict[str, Any]:
    """Create a draft."""
    values = store.new(call, store.fields_of(call, call.body))
    objects.insert(call.db, TASK, values)
    store.touch_project(call, values)
    return {"id": values["id"]}


@endpoint("tasks.validate")
def validate(call: Call) -> dict[str, Any]:
    """Check what `tasks.create` would be given."""
    body = {key: value for key, value in call.body.items() if key != "name"}
    store.fields_of(call, body)
    return {}


def _one(call: Call, identifier: str, paths: list[str] | None = None, *, expanded: bool) -> dict[str, Any]:
    body: dict[str, Any] = {"id": [identifier]} if identifier else {"id": [""]}
    if paths:
        body["only_fields"] = paths
    found = find(call.db, TASK, body, call.company, expanded=expanded).objects
    if not found:
        raise fail("invalid_task_id", ids=(identifier,))
    return found[0]


@endpoint("tasks.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one task."""
    return {"task": _one(call, str(call.body["task"]), expanded=False)}


@endpoint("tasks.get_by_id_ex")
def get_by_id_ex(call: Call) -> dict[str, Any]:
    """Read tasks by id, the objects they name as objects."""
    if not call.body.get("id"):
        raise fail("missing_required_fields", missing=("id",))
    return find(call.db, TASK, call.body, call.company, expanded=True).answer("tasks")


def visible(call: Call) -> Where:
    """Conditions of lists of tasks: projects with their sub-projects, hidden tasks, text search."""
    body = call.body
    where = Where()
    if not body.get("search_hidden") and not body.get("id"):
        where.add(
            "task.id NOT IN (SELECT object FROM tag WHERE kind = 'task' AND field = 'system_tags' AND tag = 'hidden')"
        )
    if body.get("project") and body.get("include_subprojects"):
        asked = [body["project"]] if isinstance(body["project"], str) else [p for p in body["project"] if p]
        below = with_children(call.db, asked)
        where.add(f"task.project IN ({marks(below)})", *below)
        where.narrow = True
    if body.get("search_text"):
        like = f"%{body['search_text']}%"
        where.add("(task.name LIKE ? OR task.id LIKE ? OR task.comment LIKE ?)", like, like, like)
    return where


def listing(call: Call) -> dict[str, Any]:
    """Return the filters of a list request that columns can answer."""
    body = dict(call.body)
    if body.get("include_subprojects"):
        body.pop("project", None)
    return body


@endpoint("tasks.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List tasks."""
    return find(call.db, TASK, listing(call), call.company, extra=visible(call)).answer("tasks")


@endpoint("tasks.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List tasks, the objects they name as objects."""
    return find(call.db, TASK, listing(call), call.company, extra=visible(call), expanded=True).answer("tasks")


@endpoint("tasks.get_types")
def get_types(call: Call) -> dict[str, Any]:
    """List the types that occur."""
    where, values = "company IN (?, '')", [call.company]
    if call.body.get("projects"):
        below = with_children(call.db, [str(item) for item in call.body["projects"]])
        where += f" AND project IN ({marks(below)})"
        values += below
    rows = call.db.execute(f"SELECT DISTINCT type FROM task WHERE {where}", values)  # noqa: S608 - placeholders only
    return {"types": [row[0] for row in rows]}


@endpoint("tasks.edit", write=True)
def edit(call: Call) -> dict[str, Any]:
    """Edit a draft; with force, any task."""
    task = store.find(call.db, call.body["task"], call.company)
    if task["status"] != "created" and not call.body.get("force"):
        raise fail("invalid_task_status", expected="created", status=task["status"])
    changes = store.fields_of(call, call.body, old=task)
    if not changes:
        return {"updated": 0, "fields": {}}
    written = store.save(call, task["id"], changes)
    store.touch_project(call, task | written)
    return store.answer(written)


@endpoint("tasks.update", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit what may be edited at any time: name, tags, comment, project."""
    return _update(call, call.body)


def _update(call: Call, body: dict[str, Any]) -> dict[str, Any]:
    task = store.find(call.db, body["task"], call.company)
    allowed: dict[str, Any] = {
        key: body[key] for key in ("name", "tags", "system_tags", "comment", "project") if key in body
    }
    changes = store.fields_of(call, allowed)
    if body.get("output__error") is not None:
        changes["output"] = dict(task.get("output") or {}) | {"error": body["output__error"]}
    if body.get("created"):
        try:
            changes["created"] = clock.parse(str(body["created"]))
        except ValueError as error:
            raise bad_field("created", f"'{body['created']}' is not a time") from error
    if not changes:
        return {"updated": 0, "fields": {}}
    return store.answer(store.save(call, task["id"], changes))


@endpoint("tasks.update_batch", write=True, batch=True)
def update_batch(call: Call) -> dict[str, Any]:
    """Update many tasks at once; one unknown task and nothing is written."""
    if not call.items:
        raise fail("batch_contains_no_items")
    items = [item for item in call.items if isinstance(item, dict) and item.get("task")]
    if len(items) < len(call.items):
        raise fail("batch_validation_error", "every item is an object with a task")
    known = [objects.get(call.db, TASK, str(item["task"]), call.company, ["id"]) for item in items]
    unknown = tuple(str(item["task"]) for item, found in zip(items, known, strict=True) if found is None)
    if unknown:
        raise fail("invalid_task_id", ids=unknown)
    return {"updated": sum(_update(call, item)["updated"] for item in items)}


@endpoint("tasks.set_requirements", write=True)
def set_requirements(call: Call) -> dict[str, Any]:
    """Keep the packages a task was run with."""
    task = store.find(call.db, call.body["task"], call.company, ["id", "script"])
    script = dict(task.get("script") or store.SCRIPT) | {"requirements": call.body["requirements"]}
    store.save(call, task["id"], {"script": script})
    return {"updated": 1, "fields": {}}


@endpoint("tasks.ping", write=True)
def ping(call: Call) -> dict[str, Any]:
    """Tell that a task is alive."""
    task = store.find(call.db, call.body["task"], call.company, ["id"])
    call.db.execute("UPDATE task SET last_update = ? WHERE id = ?", (call.now, task["id"]))
    return {}


@endpoint("tasks.edit_runtime", version="2.31", write=True)
def edit_runtime(call: Call) -> dict[str, Any]:
    """Set and remove runtime properties."""
    task = store.find(call.db, call.body["task"], call.company, ["id", "status", "runtime"])
    runtime = dict(task.get("runtime") or {}) | dict(call.body.get("add_or_update") or {})
    for name in call.body.get("remove") or ():
        runtime.pop(name, None)
    store.save(call, task["id"], {"runtime": runtime})
    return {"updated": 1}
