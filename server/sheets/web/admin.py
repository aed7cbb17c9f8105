"""The admin API, for tests: faults, quotas, tokens, counts. JSON in, JSON out; nothing of it exists at Google."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson

from server.sheets.errors import InvalidArgument, NotFound

if TYPE_CHECKING:
    from server.sheets.web.app import State


def answer(state: State, method: str, path: str, raw: bytes) -> tuple[int, dict[str, Any]]:
    """Carry out one call; status and body.

    Raises
    ------
    InvalidArgument
        Where the body is wrong.
    NotFound
        Where there is no such path.
    """
    try:
        body = orjson.loads(raw) if raw.strip() else {}
    except orjson.JSONDecodeError as error:
        raise InvalidArgument(f"The body is no JSON: {error}") from error
    known: dict[tuple[str, str], Callable[[], dict[str, Any]]] = {
        ("GET", "/admin/faults"): lambda: {"faults": [rule.described() for rule in state.faults.rules]},
        ("POST", "/admin/faults"): lambda: _add(state, body),
        ("DELETE", "/admin/faults"): lambda: _clear(state),
        ("GET", "/admin/quota"): lambda: _quota(state),
        ("POST", "/admin/quota"): lambda: _set_quota(state, body),
        ("POST", "/admin/revoke-tokens"): lambda: {"revoked": state.tokens.revoke_all()},
    }
    handler = known.get((method, path))
    if handler is None:
        raise NotFound(f"No {method} {path}; there are: {', '.join(f'{m} {p}' for m, p in known)}")
    return 200, handler()


def _add(state: State, body: Any) -> dict[str, Any]:
    rules = body if isinstance(body, list) else [body]
    return {"faults": [state.faults.add(rule).described() for rule in rules]}


def _clear(state: State) -> dict[str, Any]:
    state.faults.clear()
    return {"faults": []}


def _quota(state: State) -> dict[str, Any]:
    return {"per_project": state.quota.per_project, "per_user": state.quota.per_user}


def _set_quota(state: State, body: dict[str, Any]) -> dict[str, Any]:
    """`{"per_project": 300, "per_user": 60}`; null switches a quota off."""
    unknown = body.keys() - {"per_project", "per_user"}
    if unknown:
        raise InvalidArgument(f"A quota has per_project and per_user, not {sorted(unknown)}.")
    state.quota.per_project, state.quota.per_user = body.get("per_project"), body.get("per_user")
    return _quota(state)
