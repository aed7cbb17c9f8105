"""Arguments of a call as ClearML parameters."""

from __future__ import annotations

import inspect
import json
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from clearml_utils.capture import kind_of, summary
from clearml_utils.record import Capture
from clearml_utils.redact import MASK, Redactor

_LIMIT = 2_000
_IDENTIFIER = re.compile(r"[\w.:/@+-]{1,80}")


def bound(fn: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]) -> dict[str, Any]:
    """Arguments by name, defaults filled in; the keyword arguments alone where they do not bind."""
    try:
        call = _signature(fn).bind(*args, **kwargs)
    except (TypeError, ValueError):
        return dict(kwargs)
    call.apply_defaults()
    return dict(call.arguments)


@lru_cache(maxsize=512)
def _signature(fn: Callable[..., Any]) -> inspect.Signature:
    return inspect.signature(fn)


def recorded(values: Mapping[str, Any], policy: Capture, redactor: Redactor, secrets: frozenset[str]) -> dict[str, Any]:
    """What is written of the arguments: nothing under `none`, no content under `summary`, else redacted texts."""
    shown: dict[str, Any] = {}
    for name, value in values.items():
        if name in {"self", "cls"}:
            continue
        clean = MASK if name in secrets else redactor.value(name, value)
        if name in secrets:
            redactor.value("secret", value)  # learned, so that a later text that quotes it is clean
        if policy != "none":
            shown[name] = _shown(clean if clean == MASK or kind_of(value) in _PLAIN else value, clean, policy)
    return shown


_PLAIN = {"none", "bool", "number", "text"}


def _shown(value: Any, clean: Any, policy: Capture) -> Any:
    kind = kind_of(value)
    try:
        if kind in {"none", "bool", "number"}:
            return value if kind != "number" or isinstance(value, (int, float)) else float(value)
        if kind == "text":
            if policy == "full" or value == MASK or _IDENTIFIER.fullmatch(value):
                return value[:_LIMIT]
            return f"<text of {len(value)} characters>"
        if policy == "summary" or kind in {"frame", "series", "array", "model", "matplotlib", "plotly"}:
            return "<" + ", ".join(f"{k}: {v}" for k, v in summary(value).items()) + ">"
        return _text(clean)[:_LIMIT]
    except Exception as error:  # noqa: BLE001 - an argument may raise anything from its own methods
        return f"<{type(value).__name__}, not shown: {type(error).__name__}>"


def _text(value: Any) -> str:
    try:
        return json.dumps(value, default=repr)
    except (TypeError, ValueError):
        return repr(value)
