"""reports.*: documents with live charts, kept as tasks of type `report` in a hidden `.reports` project."""

from __future__ import annotations

from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import TASK
from server.embedded.query import find
from server.embedded.query.filters import Where, marks
from server.embedded.services.events.store import delete_events
from server.embedded.services.projects import store as projects
from server.embedded.services.reports import data
from server.embedded.services.tasks import status, store
from server.embedded.services.tasks.many import set_archived

__all__ = ["data"]
PROJECT = ".reports"
TYPE = "report"
SYSTEM_TAGS = ["hidden", "reports"]
EDITABLE = ("name", "tags", "comment", "report", "report_assets")


def home(call: Call, parent: str | None) -> str:
    """Return the hidden project that holds the reports of a project, made when it is new."""
    name = f"{projects.require(call.db, parent, call.company)['name']}/{PROJECT}" if parent else PROJECT
    return str(projects.ensure(call.db, name, call.user, call.company, system_tags=sorted(SYSTEM_TAGS))["id"])


def require(call: Call, identifier: str) -> dict[str, Any]:
    """Read a report.

    Raises
    ------
    ApiError
        `invalid_task_id`, also for a task that is no report.
    """
    found = objects.get(call.db, TASK, identifier, call.company)
    if found is None or found["type"] != TYPE:
        raise fail("invalid_task_id", id=identifier, company=call.company)
    return found


def _fields(call: Call) -> dict[str, Any]:
    body = call.body
    values: dict[str, Any] = {}
    for key in EDITABLE:
        if body.get(key) is not None:
            values[key] = body[key]
    if "name" in values:
        values["name"] = objects.check_name(values["name"])
    if "tags" in values:
        values["tags"] = objects.clean_tags(values["tags"])
    return values


@endpoint("reports.create", version="2.23", write=True)
def create(call: Call) -> dict[str, Any]:
    """Create a report."""
    parent = call.body.get("project")
    if parent and objects.get(call.db, objects.PROJECT, parent, call.company, ["id"]) is None:
        raise fail("invalid_fields_value", "expecting Project id", id=parent, field="project")
    project = home(call, parent)
    values = {"report": "", "comment": "", "type": TYPE, "project": project, "system_tags": SYSTEM_TAGS}
    report = store.new(call, values | _fields(call))
    objects.insert(call.db, TASK, report)
    store.touch_project(call, report)
    return {"id": report["id"], "project_id": project}


@endpoint("reports.update", version="2.23", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit a report that is not published."""
    report = require(call, call.body["task"])
    if report["status"] != "created":
        raise fail("invalid_task_status", expected="created", status=report["status"])
    values = _fields(call)
    if not values:
        return {"updated": 0, "fields": {}}
    return store.answer(store.save(call, report["id"], values, progress=True))


@endpoint("reports.move", version="2.23", write=True)
def move(call: Call) -> dict[str, Any]:
    """Move a report to a project, made when it is named and new; null is the root."""
    body = call.body
    report = require(call, body["task"])
    if "project" not in body and not body.get("project_name"):
        raise fail("missing_required_fields", "project or project_name is required")
    parent = projects.resolve(call.db, body.get("project"), body.get("project_name"), call.user, call.company)
    project = home(call, parent)
    store.save(call, report["id"], {"project": project}, progress=True)
    projects.touch(call.db, project, call.now)
    return {"project_id": project}


@endpoint("reports.publish", version="2.23", write=True)
def publish(call: Call) -> dict[str, Any]:
    """Publish a report: it is not edited any more."""
    report = require(call, call.body["task"])
    message = str(call.body.get("comment") or "")
    return store.answer(status.change(call, report, "published", message=message, published=call.now))


@endpoint("reports.archive", version="2.23", write=True)
def archive(call: Call) -> dict[str, Any]:
    """Archive a report."""
    set_archived(call, TASK, require(call, call.body["task"]), archived=True)
    return {"archived": 1}


@endpoint("reports.unarchive", version="2.23", write=True)
def unarchive(call: Call) -> dict[str, Any]:
    """Bring a report back from the archive."""
    set_archived(call, TASK, require(call, call.body["task"]), archived=False)
    return {"unarchived": 1}


@endpoint("reports.delete", version="2.23", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a report."""
    report = require(call, call.body["task"])
    delete_events(call.db, [report["id"]])
    call.db.execute("DELETE FROM task WHERE id = ?", (report["id"],))
    store.touch_project(call, report)
    return {"deleted": 1}


@endpoint("reports.get_all_ex", version="2.23")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List reports, what they name as objects. A project stands for the reports of it."""
    body = dict(call.body)
    where = Where()
    where.add("task.type = ?", TYPE)
    asked = body.pop("project", None)
    if asked:
        listed = [asked] if isinstance(asked, str) else [str(item) for item in asked if item]
        below = projects.with_children(call.db, listed)
        if not body.get("include_subprojects"):
            below = _own_reports(call, listed)
        where.add(f"task.project IN ({marks(below)})", *below)
    if body.get("search_text"):
        like = f"%{body.pop('search_text')}%"
        where.add("(task.name LIKE ? OR task.id LIKE ? OR task.report LIKE ?)", like, like, like)
    if body.get("allow_public") is False:
        where.add("task.company = ?", call.company)
    return find(call.db, TASK, body, call.company, extra=where, expanded=True).answer("tasks")


def _own_reports(call: Call, listed: list[str]) -> list[str]:
    rows = call.db.execute(
        f"SELECT id FROM project WHERE parent IN ({marks(listed)}) AND basename = ?",  # noqa: S608 - placeholders
        [*listed, PROJECT],
    )
    return listed + [row[0] for row in rows]


@endpoint("reports.get_tags", version="2.23")
def get_tags(call: Call) -> dict[str, Any]:
    """Name the tags of reports."""
    rows = call.db.execute(
        "SELECT DISTINCT tag FROM tag JOIN task ON task.id = tag.object WHERE tag.kind = 'task' AND field = 'tags'"
        " AND task.type = ? AND task.company IN (?, '') ORDER BY tag",
        (TYPE, call.company),
    )
    return {"tags": [row[0] for row in rows]}
