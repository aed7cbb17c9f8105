"""tasks.*_many and the older list forms: one action over ids, each failing for itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import ApiError
from server.embedded.objects import Kind
from server.embedded.services.tasks import lifecycle, removal, store

One = Callable[[Call, Any, Mapping[str, Any]], dict[str, Any]]
ARCHIVED = "archived"


def each(call: Call, action: One) -> dict[str, Any]:
    """Apply an action to every id of a request, in a savepoint each."""
    succeeded: list[dict[str, Any]] = []
    failed: list[dict[str, Any]] = []
    for identifier in call.body["ids"]:
        call.db.execute("SAVEPOINT item")
        try:
            succeeded.append({"id": identifier, **action(call, identifier, call.body)})
        except ApiError as error:
            call.db.execute("ROLLBACK TO item")
            failed.append({"id": identifier, "error": error.entry()})
        call.db.execute("RELEASE item")
    return {"succeeded": succeeded, "failed": failed}


def _told(answer: dict[str, Any], name: str) -> dict[str, Any]:
    """Tell as yes or no what the action on one task tells as a number."""
    for item in answer["succeeded"]:
        item[name] = bool(item[name])
    return answer


def set_archived(call: Call, kind: Kind, task: Mapping[str, Any], *, archived: bool) -> None:
    """Add or remove the system tag that archives."""
    tags = [tag for tag in task.get("system_tags", []) if tag != ARCHIVED]
    changes: dict[str, Any] = {
        "system_tags": sorted([*tags, ARCHIVED] if archived else tags),
        "last_change": call.now,
        "last_changed_by": call.user,
    }
    objects.update(call.db, kind, task["id"], changes)


def _archive(call: Call, identifier: Any, _: Mapping[str, Any]) -> dict[str, Any]:
    task = store.find(call.db, identifier, call.company)
    if task["status"] == "queued":
        lifecycle.dequeue_one(call, identifier, {})
    set_archived(call, objects.TASK, task, archived=True)
    return {"archived": True}


def _unarchive(call: Call, identifier: Any, _: Mapping[str, Any]) -> dict[str, Any]:
    set_archived(call, objects.TASK, store.find(call.db, identifier, call.company), archived=False)
    return {"unarchived": True}


@endpoint("tasks.archive", write=True)
def archive(call: Call) -> dict[str, Any]:
    """Archive tasks; one unknown and nothing is archived."""
    return {"archived": sum(1 for item in call.body["tasks"] if _archive(call, item, call.body))}


@endpoint("tasks.archive_many", write=True)
def archive_many(call: Call) -> dict[str, Any]:
    """Archive tasks."""
    return each(call, _archive)


@endpoint("tasks.unarchive_many", write=True)
def unarchive_many(call: Call) -> dict[str, Any]:
    """Bring tasks back from the archive."""
    return each(call, _unarchive)


@endpoint("tasks.delete_many", write=True)
def delete_many(call: Call) -> dict[str, Any]:
    """Delete tasks."""
    return each(call, removal.delete_one)


@endpoint("tasks.stop_many", write=True)
def stop_many(call: Call) -> dict[str, Any]:
    """Stop tasks."""
    return each(call, lifecycle.stop_one)


@endpoint("tasks.reset_many", write=True)
def reset_many(call: Call) -> dict[str, Any]:
    """Reset tasks."""
    return each(call, lifecycle.reset_one)


@endpoint("tasks.publish_many", write=True)
def publish_many(call: Call) -> dict[str, Any]:
    """Publish tasks."""
    return each(call, lifecycle.publish_one)


@endpoint("tasks.enqueue_many", write=True)
def enqueue_many(call: Call) -> dict[str, Any]:
    """Put tasks into a queue."""
    return _told(each(call, lifecycle.enqueue_one), "queued")


@endpoint("tasks.dequeue_many", write=True)
def dequeue_many(call: Call) -> dict[str, Any]:
    """Take tasks out of their queues."""
    return _told(each(call, lifecycle.dequeue_one), "dequeued")


@endpoint("tasks.make_public", write=True)
def make_public(call: Call) -> dict[str, Any]:
    """Make tasks everybody's."""
    return _share(call, "", call.company)


@endpoint("tasks.make_private", write=True)
def make_private(call: Call) -> dict[str, Any]:
    """Make tasks the company's again."""
    return _share(call, call.company, "")


def _share(call: Call, new: str, old: str) -> dict[str, Any]:
    ids = store.check_ids(call.db, call.body["ids"], call.company)
    marks = ", ".join("?" * len(ids))
    changed = call.db.execute(
        f"UPDATE task SET company = ? WHERE company = ? AND id IN ({marks})",  # noqa: S608 - placeholders
        [new, old, *ids],
    ).rowcount
    return {"updated": changed}


@endpoint("tasks.update_tags", write=True)
def update_tags(call: Call) -> dict[str, Any]:
    """Add and remove tags of several tasks."""
    changed = 0
    for identifier in call.body["ids"]:
        task = store.find(call.db, identifier, call.company, ["id", "tags"])
        removed = set(call.body.get("remove_tags") or ())
        tags = [tag for tag in task.get("tags", []) if tag not in removed]
        added = [tag for tag in dict.fromkeys(call.body.get("add_tags") or ()) if tag not in tags]
        store.save(call, task["id"], {"tags": sorted(tags + added)})
        changed += bool(removed) + bool(call.body.get("add_tags"))  # they count apart, as recorded
    return {"updated": changed}
