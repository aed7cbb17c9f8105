"""The one shape of every answer: `{"meta": {...}, "data": {...}}`."""

from __future__ import annotations

import uuid
from typing import Any

import orjson


def _default(value: Any) -> Any:
    if isinstance(value, set | tuple):
        return list(value)
    raise TypeError(f"{type(value).__name__} does not go into an answer")


def encode(value: Any) -> bytes:
    """Encode as JSON, one place for its options."""
    return orjson.dumps(value, default=_default, option=orjson.OPT_NON_STR_KEYS)


def meta(
    endpoint: str, requested: str, actual: str, code: int = 200, subcode: int = 0, message: str = "OK"
) -> dict[str, Any]:
    """Build the part of an answer that says what was asked and how it went."""
    identifier = uuid.uuid4().hex
    return {
        "id": identifier,
        "trx": identifier,
        "endpoint": {"name": endpoint, "requested_version": requested, "actual_version": actual},
        "result_code": code,
        "result_subcode": subcode,
        "result_msg": message,
        "error_stack": None,
        "error_data": {},
    }
