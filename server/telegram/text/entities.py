"""Entities Telegram finds by itself, and offsets in the UTF-16 units it counts in."""

from __future__ import annotations

import re
from typing import Any

Entity = dict[str, Any]
ENTITY_TYPES = frozenset({
    "mention", "hashtag", "cashtag", "bot_command", "url", "email", "phone_number", "bold", "italic", "underline",
    "strikethrough", "spoiler", "blockquote", "expandable_blockquote", "code", "pre", "text_link", "text_mention",
    "custom_emoji", "date_time",
})  # fmt: skip

# The expressions are those documented in TDLib's comments, over Python's notion of a word character.
_TOP = "com|org|net|io|ru|me|dev|info|app|de|uk|eu"  # of the thousand top-level domains, those people meet
_PATTERNS = (
    (
        "url",
        re.compile(
            r"(?<![\w@./-])(?:(?:https?|ftp|tg|tonsite)://[^\s<>\"]+"
            rf"|(?:[a-z0-9-]+\.)+(?:{_TOP})\b(?:[/?#][^\s<>\"]*)?)",
            re.IGNORECASE,
        ),
    ),
    (
        "email",
        re.compile(r"(?<![\w.@+-])[\w.+-]{1,64}@[a-z0-9-]+(?:\.[a-z0-9-]+)*\.[a-z]{2,24}\b", re.IGNORECASE | re.ASCII),
    ),
    ("bot_command", re.compile(r"(?<![\w/<>])/[a-zA-Z0-9_]{1,64}(?:@[a-zA-Z0-9_]{3,32})?(?![\w/<>])")),
    ("mention", re.compile(r"(?<!\w)@[a-zA-Z0-9_]{2,32}(?!\w)")),
    ("hashtag", re.compile(r"(?<!\w)#(?=\d*[^\W\d])\w{1,256}(?![\w#])")),
    ("cashtag", re.compile(r"(?<![\w$])\$(?:1INCH|[A-Z]{1,8})(?![\w$])")),
)
_TRAILING = ".,:;!?'\")]}"


def utf16(text: str) -> int:
    """Length in UTF-16 code units."""
    return len(text) if text.isascii() else len(text.encode("utf-16-le", "surrogatepass")) // 2


def detect(text: str) -> list[Entity]:
    """Commands, mentions, links, addresses, hash- and cashtags, in order and without overlap."""
    if not any(mark in text for mark in "/@#$."):
        return []
    found: list[tuple[int, int, str]] = []
    for kind, pattern in _PATTERNS:
        for match in pattern.finditer(text):
            start, end = match.span()
            if kind == "url":
                end = start + len(match[0].rstrip(_TRAILING))
            if end > start and not any(a < end and start < b for a, b, _ in found):
                found.append((start, end, kind))
    return [
        {"type": kind, "offset": utf16(text[:start]), "length": utf16(text[start:end])}
        for start, end, kind in sorted(found)
    ]
