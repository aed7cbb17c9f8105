"""auth.* of administrators: the web app's own account makes users here when a new name logs in in simple mode."""

from __future__ import annotations

from typing import Any

from server.embedded import objects
from server.embedded.auth import MAX_TOKEN_S, SERVER_VERSION
from server.embedded.endpoints import Call, Identity, endpoint
from server.embedded.errors import ApiError, fail
from server.embedded.objects import USER

ADMINS = ("system", "root")
MANAGERS = ("system", "root", "admin")


@endpoint("auth.create_user", write=True, roles=ADMINS)
def create_user(call: Call) -> dict[str, Any]:
    """Create a user; the same e-mail address again is the same user."""
    body = call.body
    row = call.db.execute("SELECT id FROM user WHERE email = ?", (body["email"],)).fetchone()
    if row is not None:
        return {"id": row["id"]}
    identifier = objects.new_id()
    call.db.execute(
        "INSERT INTO user (id, company, name, given_name, family_name, avatar, email, role, created,"
        " created_in_version) VALUES (?, ?, ?, ?, ?, ?, ?, 'user', ?, ?)",
        (
            identifier, call.company, objects.check_name(body["name"], minimum=1), body.get("given_name"),
            body.get("family_name"), body.get("avatar"), body["email"], call.now, SERVER_VERSION,
        ),
    )  # fmt: skip
    return {"id": identifier}


def require_user(call: Call, identifier: Any) -> dict[str, Any]:
    """Read a user.

    Raises
    ------
    ApiError
        `invalid_user_id`
    """
    found = objects.get(call.db, USER, str(identifier), call.company)
    if found is None:
        raise fail("invalid_user_id", id=identifier, company=call.company)
    return found


@endpoint("auth.edit_user", write=True, roles=MANAGERS)
def edit_user(call: Call) -> dict[str, Any]:
    """Change a user's role."""
    user = require_user(call, call.body.get("user"))
    role = call.body.get("role")
    if role is None:
        return {"updated": 0, "fields": {}}
    objects.update(call.db, USER, user["id"], {"role": role})
    call.state.auth.forget(user["id"])
    return {"updated": 1, "fields": {"role": role}}


@endpoint("auth.get_token_for_user", roles=ADMINS)
def get_token_for_user(call: Call) -> dict[str, Any]:
    """Sign a token for somebody else."""
    user = require_user(call, call.body["user"])
    seconds = min(int(call.body.get("expiration_sec") or MAX_TOKEN_S), MAX_TOKEN_S)
    identity = Identity(user["id"], user["company"], str(user.get("role", "user")), user["name"])
    return {"token": call.state.auth.issue(identity, seconds)}


@endpoint("auth.validate_token", roles=ADMINS)
def validate_token(call: Call) -> dict[str, Any]:
    """Tell whose a token is."""
    try:
        identity = call.state.auth.check(str(call.body["token"]))
    except ApiError as error:
        return {"valid": False, "msg": error.message}
    return {"valid": True, "user": identity.user, "company": identity.company}
