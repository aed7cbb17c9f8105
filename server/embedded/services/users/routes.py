"""users.*: people and their preferences."""

from __future__ import annotations

from typing import Any

import orjson

from server.embedded import objects
from server.embedded.auth import COMPANY_NAME, WEB_USER
from server.embedded.endpoints import Call, endpoint
from server.embedded.errors import fail
from server.embedded.objects import USER
from server.embedded.query import find
from server.embedded.query.filters import Where, marks
from server.embedded.services.projects.store import with_children

ADMINS = ("system", "root")


def _user(call: Call, identifier: str) -> dict[str, Any]:
    found = objects.get(call.db, USER, identifier, call.company)
    if found is None:
        raise fail("invalid_user_id", id=identifier, company=call.company)
    return found


@endpoint("users.get_current_user")
def get_current_user(call: Call) -> dict[str, Any]:
    """Tell the caller who they are."""
    user = _user(call, call.user)
    return {
        "user": user | {"company": {"id": call.company, "name": COMPANY_NAME}},
        "getting_started": {
            "agentName": "clearml",
            "configure": "clearml-init",
            "install": "pip install clearml",
            "packageName": "clearml",
        },
        "settings": {"max_download_items": 50_000},
    }


def _people() -> Where:
    where = Where()
    where.add("user.id <> ?", WEB_USER)
    return where


@endpoint("users.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List people."""
    found = find(call.db, USER, call.body, call.company, extra=_people(), compute=_plain).answer("users")
    for user in found["users"]:
        user.pop("role", None)
    return found


@endpoint("users.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List people, their company as an object; all, or those who made something in some projects."""
    where = _people()
    projects = call.body.get("active_in_projects")
    if projects:
        ids = with_children(call.db, [str(item) for item in projects])
        where.add(f"user.id IN (SELECT user FROM task WHERE project IN ({marks(ids)}))", *ids)  # noqa: S608
    return find(call.db, USER, call.body, call.company, extra=where, compute=_plain, expanded=True).answer("users")


def _plain(*_: Any) -> None:
    """Users have no fields to compute."""


@endpoint("users.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one user."""
    return {"user": _user(call, str(call.body["user"]))}


@endpoint("users.create", write=True, roles=ADMINS)
def create(call: Call) -> dict[str, Any]:
    """Create a user with an id."""
    body = call.body
    if objects.get(call.db, USER, body["id"], call.company):
        raise fail("user_id_exists", id=body["id"])
    given = {key: body.get(key) for key in ("id", "name", "given_name", "family_name", "avatar")}
    objects.insert(call.db, USER, given | {"company": call.company, "created": call.now, "role": "user"})
    return {}


@endpoint("users.delete", write=True, roles=ADMINS)
def delete(call: Call) -> dict[str, Any]:
    """Delete a user; keys go too, what the user made stays."""
    user = _user(call, str(call.body["user"]))
    call.db.execute("DELETE FROM user WHERE id = ?", (user["id"],))
    call.state.auth.forget(user["id"])
    return {}


@endpoint("users.update", write=True)
def update(call: Call) -> dict[str, Any]:
    """Change a user's names: one's own, or anybody's for an administrator."""
    user = _user(call, str(call.body["user"]))
    if user["id"] != call.user and call.identity.role not in ADMINS:
        raise fail("forbidden", "only one's own user can be changed", user=user["id"])
    changes = {key: call.body[key] for key in ("name", "given_name", "family_name", "avatar") if call.body.get(key)}
    updated = objects.update(call.db, USER, user["id"], changes)
    call.state.auth.forget(user["id"])
    return {"updated": updated, "fields": changes}


def _preferences(call: Call) -> dict[str, Any]:
    row = call.db.execute("SELECT preferences FROM user WHERE id = ?", (call.user,)).fetchone()
    found: dict[str, Any] = orjson.loads(row[0]) if row and row[0] else {}
    return found


@endpoint("users.get_preferences")
def get_preferences(call: Call) -> dict[str, Any]:
    """Read what the web app remembers for the caller."""
    return {"preferences": _preferences(call)}


@endpoint("users.set_preferences", write=True)
def set_preferences(call: Call) -> dict[str, Any]:
    """Merge changes into what the web app remembers; dotted keys reach inside."""
    preferences = _preferences(call)
    for key, value in call.body["preferences"].items():
        _merge(preferences, str(key).split("."), value)
    call.db.execute("UPDATE user SET preferences = ? WHERE id = ?", (orjson.dumps(preferences).decode(), call.user))
    return {"updated": 1, "fields": {"preferences": preferences} if call.body.get("return_updated", True) else {}}


def _merge(target: dict[str, Any], path: list[str], value: Any) -> None:
    head, *rest = path
    if rest:
        inner = target.setdefault(head, {})
        if not isinstance(inner, dict):
            inner = target[head] = {}
        _merge(inner, rest, value)
    else:
        target[head] = value
