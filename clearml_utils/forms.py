"""What is spooled, in ClearML's own forms."""

from __future__ import annotations

import base64
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from clearml_utils.names import safe_file
from clearml_utils.spool import Op

EVENTS = 1_000


def stored(body: dict[str, Any]) -> bool:
    """Whether there is a file to be stored, or the value is only described."""
    return "data" in body or bool(body.get("file"))


def content(body: dict[str, Any]) -> bytes | Path:
    """A file to be stored: the record holds it, or names it."""
    return base64.b64decode(body["data"]) if "data" in body else Path(body["file"])


def place(body: dict[str, Any], folder: str) -> str:
    """Path of an artifact's file on the file server: the same at every try."""
    return f"{safe_file(body['project'])}/{body['run']}/{folder}/{safe_file(body['key'])}{body['suffix']}"


def hyperparams(sections: dict[str, dict[str, Any]]) -> dict[str, dict[str, dict[str, str]]]:
    """`{section: {name: value}}` in ClearML's form."""
    return {
        section: {
            name: {
                "section": section,
                "name": name,
                "value": "" if value is None else str(value),
                "type": type(value).__name__,
            }
            for name, value in values.items()
        }
        for section, values in sections.items()
        if values
    }


def configuration(items: dict[str, str]) -> dict[str, dict[str, str]]:
    """`{name: text}` in ClearML's form."""
    return {n: {"name": n, "type": "dictionary", "description": "", "value": v} for n, v in items.items()}


def chunks(ops: Sequence[Op]) -> Iterable[list[Op]]:
    """Records of events in parts of about a thousand events."""
    part: list[Op] = []
    count = 0
    for op in ops:
        part.append(op)
        count += len(op.body["events"])
        if count >= EVENTS:
            yield part
            part, count = [], 0
    if part:
        yield part


def remove(file: str | None) -> None:
    """Forget a file that was stored."""
    if file:
        Path(file).unlink(missing_ok=True)
