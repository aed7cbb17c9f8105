"""Text as Telegram reads it: parse modes, found entities, limits. Pure."""

from __future__ import annotations

from typing import Any

from server.telegram.errors import BadRequest
from server.telegram.text import html, markdown
from server.telegram.text.entities import ENTITY_TYPES, Entity, detect, utf16

PARSERS = {"markdown": markdown.parse_v1, "markdownv2": markdown.parse_v2, "html": html.parse}


def formatted(text: str, mode: str = "", entities: Any = None) -> tuple[str, list[Entity]]:
    """Text and entities of a message as it is stored.

    Parameters
    ----------
    text
        As sent, markup included.
    mode
        ``Markdown``, ``MarkdownV2``, ``HTML`` (any case) or empty.
    entities
        Explicit entities, used where there is no mode.

    Returns
    -------
    tuple
        Trimmed text, and entities in order of offset (in UTF-16 code units): what was marked, then what is found
        (commands, links, mentions) in the rest.

    Raises
    ------
    BadRequest
        With Telegram's words where the markup cannot be read.
    """
    if mode:
        parser = PARSERS.get(mode.lower())
        if parser is None:
            raise BadRequest("unsupported parse_mode")
        text, marked = parser(text)
    else:
        marked = [_checked(entity) for entity in entities or []]
    return _found(*_trimmed(text.replace("\r", ""), marked))


def _checked(entity: Any) -> Entity:
    if (
        not isinstance(entity, dict)
        or not isinstance(entity.get("offset"), int)
        or not isinstance(entity.get("length"), int)
    ):
        raise BadRequest('can\'t parse MessageEntity: Field "offset" must be of type Number')
    if entity.get("type") not in ENTITY_TYPES:
        raise BadRequest("can't parse MessageEntity: Unsupported type specified")
    return entity


def _trimmed(text: str, entities: list[Entity]) -> tuple[str, list[Entity]]:
    """Telegram strips white space around a message; entities move along and are cut at the ends."""
    left = len(text) - len(text.lstrip())
    text = text.strip()
    end = utf16(text)
    kept = []
    for entity in entities:
        start = max(entity["offset"] - left, 0)
        stop = min(entity["offset"] - left + entity["length"], end)
        if stop > start:
            kept.append({**entity, "offset": start, "length": stop - start})
    return text, kept


def _found(text: str, marked: list[Entity]) -> tuple[str, list[Entity]]:
    blocked = [(e["offset"], e["offset"] + e["length"]) for e in marked if e["type"] in _OPAQUE]
    found = [e for e in detect(text) if not any(a < e["offset"] + e["length"] and e["offset"] < b for a, b in blocked)]
    return text, sorted(marked + found, key=lambda e: (e["offset"], -e["length"]))


_OPAQUE = frozenset({"code", "pre", "text_link", "text_mention"})
