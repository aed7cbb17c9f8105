"""auth.*: tokens and access keys."""

from __future__ import annotations

import sqlite3
from typing import Any

from server.embedded import clock
from server.embedded.auth import MAX_TOKEN_S, hash_secret, new_key_pair
from server.embedded.endpoints import Answer, Call, endpoint
from server.embedded.errors import bad_field, fail
from server.embedded.services.auth import admin  # noqa: F401 - registers

COOKIE_AGE_S = 99_999_999_999  # as long as the official server says; the token inside ends it


def session_cookie(token: str) -> str:
    """Write the cookie the web app lives on."""
    return f"clearml_token_basic={token}; Max-Age={COOKIE_AGE_S}; HttpOnly; Path=/; SameSite=Lax"


def ended_cookie() -> str:
    """Write the cookie that ends a session."""
    return "clearml_token_basic=; Max-Age=0; HttpOnly; Path=/; SameSite=Lax"


@endpoint("auth.login")
def login(call: Call) -> Answer:
    """Exchange credentials, or a token, for a token."""
    seconds = call.body.get("expiration_sec")
    if seconds is not None and (not isinstance(seconds, int) or seconds > MAX_TOKEN_S):
        raise bad_field("expiration_sec", f"'{seconds}' is bigger than maximum ('{MAX_TOKEN_S}').")
    if call.headers.get("authorization", "").lower().startswith("basic"):
        call.state.auth.note_use(call.headers["authorization"], call.client)
    token = call.state.auth.issue(call.identity, seconds)
    return Answer({"token": token}, cookies=(session_cookie(token),))


@endpoint("auth.logout", version="2.2", write=True)
def logout(call: Call) -> Answer:
    """End the session: the token is worthless from now on."""
    revoke_token(call)
    return Answer(cookies=(ended_cookie(),))


def revoke_token(call: Call) -> None:
    """Revoke the token a request came with."""
    kind, _, token = call.headers.get("authorization", "").partition(" ")
    if kind.lower() == "bearer" and token:
        call.state.auth.revoke(call.db, token.strip())
    held = call.cookie()
    if held:
        call.state.auth.revoke(call.db, held)


@endpoint("auth.fixed_users_mode", auth=False)
def fixed_users_mode(call: Call) -> dict[str, Any]:
    """Tell whether people log in with passwords."""
    return {"enabled": call.state.auth.password_mode, "guest": {"enabled": False}, "server_errors": {}}


@endpoint("auth.get_credentials")
def get_credentials(call: Call) -> dict[str, Any]:
    """List the caller's keys, never a secret."""
    rows = call.db.execute("SELECT * FROM credential WHERE user = ? ORDER BY created", (call.user,)).fetchall()
    return {"credentials": [_shown(row) for row in rows]}


def _shown(row: sqlite3.Row) -> dict[str, Any]:
    found: dict[str, Any] = {"access_key": row["access_key"]}
    if row["label"]:
        found["label"] = row["label"]
    if row["last_used"]:
        found["last_used"] = clock.iso(row["last_used"])[:26]
        found["last_used_from"] = row["last_used_from"]
    return found


@endpoint("auth.create_credentials", version="2.1", write=True)
def create_credentials(call: Call) -> dict[str, Any]:
    """Draw a key pair; its secret is shown this once."""
    access, secret = new_key_pair()
    label = call.body.get("label")
    call.db.execute(
        "INSERT INTO credential (access_key, secret_hash, user, label, created) VALUES (?, ?, ?, ?, ?)",
        (access, hash_secret(secret), call.user, label, call.now),
    )
    return {"credentials": {"access_key": access, "secret_key": secret, "label": label}}


def _own_key(call: Call) -> str:
    access = str(call.body["access_key"])
    row = call.db.execute("SELECT user FROM credential WHERE access_key = ?", (access,)).fetchone()
    if row is None or row["user"] != call.user:
        raise fail(
            "access_key_not_found",
            "invalid user or invalid access key",
            user=call.user,
            access_key=access,
            company=call.company,
        )
    return access


@endpoint("auth.edit_credentials", version="2.19", write=True)
def edit_credentials(call: Call) -> dict[str, Any]:
    """Rename a key."""
    access = _own_key(call)
    call.db.execute("UPDATE credential SET label = ? WHERE access_key = ?", (call.body.get("label"), access))
    return {"updated": 1}


@endpoint("auth.revoke_credentials", write=True)
def revoke_credentials(call: Call) -> dict[str, Any]:
    """Delete a key: whoever holds it can get no new token."""
    call.db.execute("DELETE FROM credential WHERE access_key = ?", (_own_key(call),))
    return {"revoked": 1}
