"""projects.*: reading and editing one project, and lists of them."""

from __future__ import annotations

from typing import Any

from server.embedded import objects
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import PROJECT
from server.embedded.query import find
from server.embedded.services.projects import (
    store,
    tree,  # noqa: F401 - registers
    values,  # noqa: F401 - registers
)
from server.embedded.services.projects.listing import visible

EDITABLE = ("description", "default_output_destination")


@endpoint("projects.create", write=True)
def create(call: Call) -> dict[str, Any]:
    """Create a project, and the parents its path names."""
    body = call.body
    if not body.get("name") and body.get("name") != "":
        raise fail("missing_required_fields", missing=("name",))
    name = store.normalized(str(body["name"]))
    if store.by_name(call.db, name, call.company):
        raise fail("project_exists", name=name, company=call.company)
    identifier = store.create(call.db, name, call.user, call.company, **_edits(body))
    return {"id": identifier}


def _edits(body: dict[str, Any]) -> dict[str, Any]:
    changes = {key: body[key] for key in EDITABLE if body.get(key) is not None}
    for key in ("tags", "system_tags"):
        if body.get(key) is not None:
            changes[key] = objects.clean_tags(body[key], key)
    return changes


@endpoint("projects.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one project."""
    return {"project": store.require(call.db, str(call.body["project"]), call.company)}


def _plain(*_: Any) -> None:
    """Projects of `get_all` have no fields to compute."""


@endpoint("projects.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List projects."""
    page = find(
        call.db, PROJECT, call.body, call.company, extra=visible(call), compute=_plain,
        patterns=("name", "basename", "description"),
    )  # fmt: skip
    for item in page.objects:
        item.pop("path", None)
    return page.answer("projects")


@endpoint("projects.update", write=True)
def update(call: Call) -> dict[str, Any]:
    """Edit a project. Its name may change, its place in the tree not."""
    project = store.require(call.db, str(call.body["project"]), call.company)
    changes = _edits(call.body)
    if call.body.get("name") is not None:
        name = store.normalized(str(call.body["name"]))
        if name.rpartition("/")[0] != project["name"].rpartition("/")[0]:
            raise fail("cannot_update_project_location", name=name)
        other = store.by_name(call.db, name, call.company)
        if other is not None and other["id"] != project["id"]:
            raise fail(
                "expected_unique_data",
                "unique field already contains this value",
                err="Update failed (E11000 Duplicate Key Error)",
            )
        changes |= {"name": name, "basename": name.rpartition("/")[2]}
        store.rename_below(call.db, call.company, project["name"], name)
    changes["last_update"] = call.now
    objects.update(call.db, PROJECT, project["id"], changes)
    return {"updated": 1, "fields": objects.shown(PROJECT, changes)}
