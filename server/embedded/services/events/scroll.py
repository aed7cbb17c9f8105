"""Scroll ids: where a client is in a list, in the id itself: the server keeps nothing."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson

from server.embedded.errors import fail

END = "FFFF"  # what the official server calls a scroll that has nothing more


def write(state: dict[str, Any]) -> str:
    """Make a scroll id."""
    return base64.urlsafe_b64encode(orjson.dumps(state)).decode().rstrip("=")


def read(scroll_id: str) -> dict[str, Any] | None:
    """Read a scroll id; None when it is not one of ours."""
    try:
        state = orjson.loads(base64.urlsafe_b64decode(scroll_id + "=" * (-len(scroll_id) % 4)))
    except (binascii.Error, ValueError):
        return None
    return state if isinstance(state, dict) else None


def offset(scroll_id: str | None) -> int:
    """Position of a scroll through a list; 0 without one.

    Raises
    ------
    ApiError
        `invalid_scroll_id`.
    """
    if not scroll_id:
        return 0
    if scroll_id == END:
        return 2**62
    state = read(scroll_id) or {}
    position = state.get("offset")
    if not isinstance(position, int) or not 0 <= position < 2**62:
        raise fail("invalid_scroll_id", scroll_id=scroll_id)
    return position
