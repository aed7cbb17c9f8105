"""Request schemas: what every endpoint accepts, checked before its handler runs.

One module per service holds `REQUESTS`, a line for each endpoint in the notation of `grammar`. They are our own models
of the public API schemas, latest version of each endpoint. Lines are read when first used.
"""

from __future__ import annotations

import importlib
from functools import cache
from typing import Any

from server.embedded.errors import fail
from server.embedded.schemas.grammar import Rule, check_body, rules_of

__all__ = ["clean", "lines", "validate"]
SERVICES = (
    "auth",
    "debug",
    "events",
    "login",
    "models",
    "organization",
    "pipelines",
    "projects",
    "queues",
    "reports",
    "server",
    "serving",
    "storage",
    "tasks",
    "users",
    "workers",
)
_DEEPEST = 100
_INT64 = 2**63


def lines(service: str) -> dict[str, str]:
    """Return the schema lines of one service by action."""
    found: dict[str, str] = importlib.import_module(f"{__name__}.{service}").REQUESTS
    return found


@cache
def _rules(endpoint: str) -> dict[str, Rule]:
    service, _, action = endpoint.partition(".")
    line = lines(service).get(action) if service in SERVICES else None
    return rules_of(line) if line else {}


def validate(endpoint: str, body: dict[str, Any]) -> None:
    """Check a request body against the endpoint's schema; numbers written as text become numbers in place.

    Raises
    ------
    ApiError
        `validation_error` (12), `missing_required_fields` (11), `data_validation_error` (800) or `bad_request` (0),
        naming the field.
    """
    check_body(_rules(endpoint), body)


def clean(value: Any, depth: int = 0) -> None:
    """Refuse what JSON can write but no store keeps: broken characters, integers over 64 bits, endless nesting.

    Only bodies that the strict parser refused have to come here. Whole numbers at the top are left to the fields.
    """
    if depth > _DEEPEST:
        raise fail("validation_error", "the body is nested too deep")
    if isinstance(value, str):
        if not value.isascii() and any("\ud800" <= char <= "\udfff" for char in value):
            raise fail("validation_error", "text is not valid unicode")
    elif isinstance(value, dict):
        for key, item in value.items():
            clean(key, depth + 1)
            clean(item, depth + 1)
    elif isinstance(value, list):
        for item in value:
            clean(item, depth + 1)
    elif isinstance(value, int) and depth > 1 and not -_INT64 <= value < _INT64:
        raise fail("validation_error", "a number has more than 64 bits")
