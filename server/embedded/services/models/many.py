"""models.*: one action over several models, and publishing."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import ApiError, fail
from server.embedded.objects import MODEL, TASK
from server.embedded.services.models import store
from server.embedded.services.projects import store as projects
from server.embedded.services.tasks import lifecycle
from server.embedded.services.tasks.many import each, set_archived

Body = Mapping[str, Any]


def publish_one(call: Call, identifier: Any, *, publish_task: bool, force_task: bool) -> dict[str, Any]:
    """Publish a model and, if asked to, the task that made it.

    Raises
    ------
    ApiError
        `invalid_model_id`, `model_is_ready`, or what keeps the task from being published.
    """
    model = store.own(call, identifier)
    if model.get("ready"):
        raise fail("model_is_ready", company=call.company, model=model["id"])
    answer: dict[str, Any] = {"updated": 1, "fields": {}}
    if publish_task and model.get("task"):
        task = objects.get(call.db, TASK, model["task"], call.company, ["id", "status"])
        if task is not None and task["status"] != "published":
            published = lifecycle.publish_one(call, task["id"], {"force": force_task, "publish_model": False})
            answer["published_task"] = {"id": task["id"], "data": published}
    store.save(call, model["id"], {"ready": True})
    return answer


@endpoint("models.set_ready", write=True)
def set_ready(call: Call) -> dict[str, Any]:
    """Publish a model, by default with the task that made it when that can be."""
    body = call.body
    return publish_one(
        call,
        body["model"],
        publish_task=body.get("publish_task") is not False,
        force_task=body.get("force_publish_task", False),
    )


@endpoint("models.publish_many", version="2.13", write=True)
def publish_many(call: Call) -> dict[str, Any]:
    """Publish models."""

    def publish(_: Call, identifier: Any, body: Body) -> dict[str, Any]:
        answer = publish_one(
            call,
            identifier,
            publish_task=body.get("publish_tasks") is not False,
            force_task=bool(body.get("force_publish_task")),
        )
        return {key: value for key, value in answer.items() if key != "fields"}

    return each(call, publish)


@endpoint("models.archive_many", version="2.13", write=True)
def archive_many(call: Call) -> dict[str, Any]:
    """Archive models."""

    def archive(_: Call, identifier: Any, __: Body) -> dict[str, Any]:
        set_archived(call, MODEL, store.own(call, identifier), archived=True)
        return {"archived": True}

    return each(call, archive)


@endpoint("models.unarchive_many", version="2.13", write=True)
def unarchive_many(call: Call) -> dict[str, Any]:
    """Bring models back from the archive."""

    def unarchive(_: Call, identifier: Any, __: Body) -> dict[str, Any]:
        set_archived(call, MODEL, store.own(call, identifier), archived=False)
        return {"unarchived": True}

    return each(call, unarchive)


@endpoint("models.delete", write=True)
def delete(call: Call) -> dict[str, Any]:
    """Delete a model."""
    return store.remove(call, call.body["model"], force=call.body.get("force", False))


@endpoint("models.delete_many", version="2.13", write=True)
def delete_many(call: Call) -> dict[str, Any]:
    """Delete models."""
    return each(call, lambda _, identifier, body: store.remove(call, identifier, force=bool(body.get("force"))))


def _known(call: Call, *, public: bool = False) -> list[str]:
    ids = [str(item) for item in dict.fromkeys(call.body.get("ids") or ())]
    unknown = []
    for identifier in ids:
        found = objects.get(call.db, MODEL, identifier, call.company, ["id", "company"])
        if found is None or (not public and found.get("company") != call.company):
            unknown.append(identifier)
    if unknown or not ids:
        raise fail("invalid_model_id", ids=tuple(unknown))
    return ids


@endpoint("models.move", version="2.12", write=True)
def move(call: Call) -> dict[str, Any]:
    """Move models to a project, made when it is named and new; null is the root."""
    body = call.body
    if "project" not in body and not body.get("project_name"):
        raise fail("missing_required_fields", "project or project_name is required")
    ids = _known(call)
    project = projects.resolve(call.db, body.get("project"), body.get("project_name"), call.user, call.company)
    for identifier in ids:
        store.save(call, identifier, {"project": project})
    projects.touch(call.db, project, call.now)
    return {"project_id": project}


@endpoint("models.update_tags", version="2.27", write=True)
def update_tags(call: Call) -> dict[str, Any]:
    """Add and remove tags of several models."""
    body = call.body
    ids = _known(call)
    added, removed = dict.fromkeys(body.get("add_tags") or ()), set(body.get("remove_tags") or ())
    for identifier in ids:
        tags = [tag for tag in store.own(call, identifier).get("tags", []) if tag not in removed]
        store.save(call, identifier, {"tags": sorted(tags + [tag for tag in added if tag not in tags])})
    return {"updated": len(ids) * (bool(added) + bool(removed))}  # adding and removing count apart, as recorded


@endpoint("models.make_public", version="2.9", write=True)
def make_public(call: Call) -> dict[str, Any]:
    """Make models everybody's."""
    return _share(call, "", call.company)


@endpoint("models.make_private", version="2.9", write=True)
def make_private(call: Call) -> dict[str, Any]:
    """Make models the company's again."""
    return _share(call, call.company, "")


def _share(call: Call, new: str, old: str) -> dict[str, Any]:
    ids = _known(call, public=True)
    marks = ", ".join("?" * len(ids))
    changed = call.db.execute(
        f"UPDATE model SET company = ? WHERE company = ? AND id IN ({marks})",  # noqa: S608 - placeholders only
        [new, old, *ids],
    )
    return {"updated": changed.rowcount}


def moved(use: str) -> ApiError:
    """Make the error of an endpoint that later versions of the API do without."""
    return fail("moved_permanently", use)


@endpoint("models.update_for_task", write=True)
def update_for_task(call: Call) -> dict[str, Any]:
    """Name the endpoint that took over."""
    del call
    raise moved("use tasks.add_or_update_model")


@endpoint("models.get_by_task_id")
def get_by_task_id(call: Call) -> dict[str, Any]:
    """Name the endpoints that took over."""
    del call
    raise moved("use models.get_by_id/get_all apis")
