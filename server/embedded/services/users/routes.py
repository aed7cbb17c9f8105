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
from server.embedded.query.filters import Where


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


def _people(call: Call) -> Where:
    where = Where()
    where.add("user.id <> ?", WEB_USER)
    return where


@endpoint("users.get_all")
def get_all(call: Call) -> dict[str, Any]:
    """List people."""
    found = find(call.db, USER, call.body, call.company, extra=_people(call), compute=_plain).answer("users")
    for user in found["users"]:
        user.pop("role", None)
    return found


@endpoint("users.get_all_ex")
def get_all_ex(call: Call) -> dict[str, Any]:
    """List people, their company as an object."""
    return find(call.db, USER, call.body, call.company, extra=_people(call), compute=_plain, expanded=True).answer(
        "users"
    )


def _plain(*_: Any) -> None:
    """Users have no fields to compute."""


@endpoint("users.get_by_id")
def get_by_id(call: Call) -> dict[str, Any]:
    """Read one user."""
    return {"user": _user(call, str(call.body["user"]))}


@endpoint("users.get_preferences")
def get_preferences(call: Call) -> dict[str, Any]:
    """Read what the web app remembers for the caller."""
    row = call.db.execute("SELECT preferences FROM user WHERE id = ?", (call.user,)).fetchone()
    return {"preferences": orjson.loads(row[0]) if row and row[0] else {}}


@endpoint("users.set_preferences", write=True)
def set_preferences(call: Call) -> dict[str, Any]:
    """Merge changes into what the web app remembers; dotted keys reach inside."""
    preferences = get_preferences(call)["preferences"]
    changes = call.body["preferences"]
    for key, value in changes.items():
        _merge(preferences, str(key).split("."), value)
    call.db.execute("UPDATE user SET preferences = ? WHERE id = ?", (orjson.dumps(preferences).decode(), call.user))
    return {"updated": 1, "fields": {"preferences": preferences}}


def _merge(target: dict[str, Any], path: list[str], value: Any) -> None:
    head, *rest = path
    if rest or isinstance(value, dict):
        inner = target.setdefault(head, {})
        if not isinstance(inner, dict):
            inner = target[head] = {}
        if rest:
            _merge(inner, rest, value)
        else:
            for key, item in value.items():
                _merge(inner, [str(key)], item)
    else:
        target[head] = value
