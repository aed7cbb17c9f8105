"""projects.* that change the tree: move, merge, delete, share."""

from __future__ import annotations

from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import PROJECT
from server.embedded.query.filters import marks
from server.embedded.services.events import store as events
from server.embedded.services.projects import store
from server.embedded.services.projects.stats import NOT_ARCHIVED


def relocate(call: Call, project: dict[str, Any], parent: dict[str, Any] | None) -> int:
    """Hang a project below another one, or at the top. Returns how many projects moved."""
    name = f"{parent['name']}/{project['basename']}" if parent else project["basename"]
    if store.by_name(call.db, name, call.company):
        raise fail("expected_unique_data", "unique field already contains this value", name=name)
    path = [*parent.get("path", []), parent["id"]] if parent else []
    below = store.with_children(call.db, [project["id"]])
    changes = {"name": name, "parent": parent["id"] if parent else None, "path": path, "last_update": call.now}
    objects.update(call.db, PROJECT, project["id"], changes)
    store.rename_below(call.db, call.company, project["name"], name)
    for identifier in below[1:]:
        child = store.require(call.db, identifier, call.company)
        above = store.require(call.db, child["parent"], call.company)
        objects.update(call.db, PROJECT, identifier, {"path": [*above.get("path", []), above["id"]]})
    return len(below)


@endpoint("projects.move", version="2.13", write=True)
def move(call: Call) -> dict[str, Any]:
    """Move a project with everything below it."""
    project = store.require(call.db, str(call.body["project"]), call.company)
    location = str(call.body.get("new_location") or "").strip("/ ")
    if location == project["name"].rpartition("/")[0]:
        raise fail("project_source_and_destination_are_the_same", location=location)
    parent = store.ensure(call.db, store.normalized(location), call.user, call.company) if location else None
    if parent and (parent["id"] == project["id"] or project["id"] in parent.get("path", [])):
        raise fail("project_cannot_be_moved_under_itself", project=project["id"], parent=parent["id"])
    return {"moved": relocate(call, project, parent)}


@endpoint("projects.merge", version="2.13", write=True)
def merge(call: Call) -> dict[str, Any]:
    """Move everything of a project into another one and remove it."""
    source = store.require(call.db, str(call.body["project"]), call.company)
    target = store.require(call.db, str(call.body.get("destination_project")), call.company)
    if source["id"] == target["id"]:
        raise fail("project_source_and_destination_are_the_same", source=source["id"])
    if source["id"] in target.get("path", []):
        raise fail("project_cannot_be_moved_under_itself", project=source["id"], parent=target["id"])
    entities = sum(
        call.db.execute(f"UPDATE {table} SET project = ? WHERE project = ?", (target["id"], source["id"])).rowcount  # noqa: S608
        for table in ("task", "model")
    )
    children = call.db.execute("SELECT id FROM project WHERE parent = ?", (source["id"],)).fetchall()
    moved = 0
    for row in children:
        moved += relocate(call, store.require(call.db, row[0], call.company), target)
    call.db.execute("DELETE FROM project WHERE id = ?", (source["id"],))
    store.touch(call.db, target["id"], call.now)
    return {"moved_entities": entities, "moved_projects": moved}


def contents(call: Call, ids: list[str]) -> dict[str, int]:
    """Count what lies in projects."""
    found: dict[str, int] = {}
    for field, table, only in (
        ("tasks", "task", "type <> 'report'"),
        ("models", "model", "1"),
        ("reports", "task", "type = 'report'"),
    ):
        base = f"SELECT count(*) FROM {table} WHERE project IN ({marks(ids)}) AND {only}"  # noqa: S608 - names above
        found[field] = call.db.execute(base, ids).fetchone()[0]
        alive = f"{base} AND {NOT_ARCHIVED.format(table)}"
        found[f"non_archived_{field}"] = call.db.execute(alive, ids).fetchone()[0]
    for field, tag in (("pipelines", "pipeline"), ("datasets", "dataset")):
        found[field] = call.db.execute(
            f"SELECT count(*) FROM project WHERE id IN ({marks(ids)}) AND EXISTS (SELECT 1 FROM tag WHERE"  # noqa: S608
            " object = project.id AND field = 'system_tags' AND tag = ?)",
            [*ids, tag],
        ).fetchone()[0]
    return found


@endpoint("projects.validate_delete", version="2.14")
def validate_delete(call: Call) -> dict[str, Any]:
    """Tell what deleting a project would touch."""
    project = store.require(call.db, str(call.body["project"]), call.company)
    return contents(call, store.with_children(call.db, [project["id"]]))


@endpoint("projects.delete", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a project with those below it: with their contents, or the contents are left without a project.

    Raises
    ------
    ApiError
        `project_has_tasks`, `project_has_models`: something not archived is in there and force is not set.
    """
    project = store.require(call.db, str(call.body["project"]), call.company)
    ids = store.with_children(call.db, [project["id"]])
    if not call.body.get("force"):
        inside = contents(call, ids)
        if inside["non_archived_tasks"] or inside["non_archived_reports"]:
            raise fail("project_has_tasks", "use force=true", id=project["id"])
        if inside["non_archived_models"]:
            raise fail("project_has_models", "use force=true", id=project["id"])
    answer: dict[str, Any] = {"disassociated_tasks": 0, "deleted_models": 0, "deleted_tasks": 0}
    if call.body.get("delete_contents"):
        answer |= _delete_contents(call, ids)
    else:
        for table in ("task", "model"):
            changed = call.db.execute(
                f"UPDATE {table} SET project = NULL, last_change = ? WHERE project IN ({marks(ids)})",  # noqa: S608
                [call.now, *ids],
            ).rowcount
            answer["disassociated_tasks"] += changed if table == "task" else 0
    call.db.execute(f"DELETE FROM project WHERE id IN ({marks(ids)})", ids)  # noqa: S608
    return answer | {"deleted": len(ids)}


def _delete_contents(call: Call, ids: list[str]) -> dict[str, Any]:
    chosen = f"WHERE project IN ({marks(ids)})"
    tasks = [row[0] for row in call.db.execute(f"SELECT id FROM task {chosen}", ids)]  # noqa: S608
    models = [row[0] for row in call.db.execute(f"SELECT id FROM model {chosen}", ids)]  # noqa: S608
    uris = call.db.execute(f"SELECT uri FROM model {chosen} AND uri IS NOT NULL", ids).fetchall()  # noqa: S608
    artifacts = call.db.execute(
        f"SELECT a.value ->> '$.uri' FROM task, json_each(task.execution, '$.artifacts') AS a {chosen}"  # noqa: S608
        " AND a.value ->> '$.uri' IS NOT NULL AND a.value ->> '$.mode' <> 'input'",
        ids,
    ).fetchall()
    urls = {
        "model_urls": [row[0] for row in uris],
        "artifact_urls": [row[0] for row in artifacts],
        "event_urls": events.event_urls(call.db, tasks),
    }
    events.delete_events(call.db, [*tasks, *models])
    call.db.execute(f"DELETE FROM queue_entry WHERE task IN (SELECT id FROM task {chosen})", ids)  # noqa: S608
    for table, column in (("task", "parent"), ("model", "task")):
        call.db.execute(
            f"UPDATE {table} SET {column} = NULL WHERE {column} IN (SELECT id FROM task {chosen})",  # noqa: S608
            ids,
        )
    for table in ("task", "model"):
        call.db.execute(f"DELETE FROM {table} {chosen}", ids)  # noqa: S608
    return {"deleted_tasks": len(tasks), "deleted_models": len(models), "urls": urls}


@endpoint("projects.make_public", version="2.9", write=True)
def make_public(call: Call) -> dict[str, Any]:
    """Make projects everybody's."""
    return _share(call, "", call.company)


@endpoint("projects.make_private", version="2.9", write=True)
def make_private(call: Call) -> dict[str, Any]:
    """Make projects the company's again."""
    return _share(call, call.company, "")


def _share(call: Call, new: str, old: str) -> dict[str, Any]:
    ids = [str(item) for item in call.body.get("ids") or ()]
    for identifier in ids:
        store.require(call.db, identifier, call.company)
    changed = call.db.execute(
        f"UPDATE project SET company = ? WHERE company = ? AND id IN ({marks(ids)})",  # noqa: S608
        [new, old, *ids],
    ).rowcount
    return {"updated": changed}
