"""storage.*: credentials of buckets, kept for the clients that ask for them."""

from __future__ import annotations

from typing import Any

import orjson

from server.embedded import clock
from server.embedded.endpoints import Call, endpoint

_EMPTY: dict[str, dict[str, Any]] = {
    "aws": {"key": "", "secret": "", "token": "", "region": "", "use_credentials_chain": False, "buckets": []},
    "google": {"project": None, "credentials_json": None, "buckets": []},
    "azure": {"containers": []},
}


def _read(call: Call) -> dict[str, Any]:
    row = call.db.execute("SELECT value FROM setting WHERE name = 'storage'").fetchone()
    found: dict[str, Any] = orjson.loads(row[0]) if row else {}
    return found


def _write(call: Call, settings: dict[str, Any]) -> dict[str, Any]:
    settings["last_update"] = clock.iso_millis(call.now)
    call.db.execute("INSERT OR REPLACE INTO setting VALUES ('storage', ?)", (orjson.dumps(settings).decode(),))
    return {"updated": 1}


@endpoint("storage.get_settings", version="2.22")
def get_settings(call: Call) -> dict[str, Any]:
    """Read the settings of all kinds of storage."""
    kept = _read(call)
    shown = {kind: empty | kept.get(kind, {}) for kind, empty in _EMPTY.items()}
    return {"settings": shown | {"last_update": kept.get("last_update")}}


@endpoint("storage.set_settings", version="2.31", write=True)
def set_settings(call: Call) -> dict[str, Any]:
    """Replace the settings of the kinds given."""
    given = {kind: dict(call.body[kind]) for kind in _EMPTY if call.body.get(kind) is not None}
    return _write(call, _read(call) | given)


@endpoint("storage.reset_settings", version="2.31", write=True)
def reset_settings(call: Call) -> dict[str, Any]:
    """Forget the settings of the kinds named, or of all."""
    gone = set(call.body.get("keys") or _EMPTY)
    return _write(call, {kind: value for kind, value in _read(call).items() if kind not in gone})
