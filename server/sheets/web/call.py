"""One request, read: who asks for what, with which query and body."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote

import orjson

from server.sheets.auth import Caller
from server.sheets.errors import bad_field
from server.sheets.storage.library import Library
from server.sheets.text import fields


@dataclass(frozen=True)
class Call:
    """An API request after authorisation."""

    library: Library
    caller: Caller
    method: str
    segments: tuple[str, ...]
    verb: str
    query: dict[str, list[str]]
    raw_body: bytes

    def one(self, name: str, default: str | None = None) -> str | None:
        """The last value of a query parameter; `fields` may also be called `$fields`."""
        found = self.query.get(name)
        return found[-1] if found else default

    def flag(self, name: str) -> bool:
        """A boolean query parameter, as any client writes it."""
        return (self.one(name) or "").lower() in {"true", "1", "yes"}

    def mask(self) -> fields.Mask | None:
        """The field mask, if one was given."""
        text = self.one("fields") or self.one("$fields")
        return fields.parse(text) if text else None

    def body(self) -> dict[str, Any]:
        """The JSON body; an empty one is an empty message.

        Raises
        ------
        InvalidArgument
            As Google words it, where it is no JSON object.
        """
        if not self.raw_body.strip():
            return {}
        try:
            body = orjson.loads(self.raw_body)
        except orjson.JSONDecodeError as error:
            raise bad_field("", f"Invalid JSON payload received. {error}") from error
        if body is None:
            return {}
        if not isinstance(body, dict):
            raise bad_field("", "Invalid JSON payload received. Root element must be a message.")
        return body


def split_path(raw: str) -> tuple[tuple[str, ...], str]:
    """Segments and custom verb of a path that is still percent-encoded: a colon in a range comes as `%3A`.

    Clients that leave the colons of a range bare are understood too: only a known verb is taken off.
    """
    parts = [part for part in raw.split("/") if part]
    verb = ""
    if parts and ":" in parts[-1]:
        rest, _, last = parts[-1].rpartition(":")
        if last in VERBS:
            parts[-1], verb = rest, last
    return tuple(unquote(part) for part in parts), verb


VERBS = {
    "append",
    "clear",
    "batchUpdate",
    "batchGet",
    "batchClear",
    "getByDataFilter",
    "batchGetByDataFilter",
    "batchUpdateByDataFilter",
    "batchClearByDataFilter",
    "copyTo",
    "search",
}


def read_query(text: str) -> dict[str, list[str]]:
    """Query parameters, repeated ones in order."""
    query: dict[str, list[str]] = {}
    for name, value in parse_qsl(text, keep_blank_values=True):
        query.setdefault(name, []).append(value)
    return query
