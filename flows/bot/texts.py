"""What the bot says, in the languages it speaks; the consent text is versioned by its own hash."""

from __future__ import annotations

import hashlib
import tomllib
from functools import cache
from importlib import resources

LANGUAGES = ("ru", "en")
FALLBACK = "en"


@cache
def table() -> dict[str, dict[str, str]]:
    """Every text by key and language."""
    return tomllib.loads((resources.files(__package__) / "texts.toml").read_text("utf-8"))


def text(key: str, language: str, **values: object) -> str:
    """A text, filled in."""
    said = table()[key]
    words = said.get(language) or said[FALLBACK]
    return words.format(**values) if values else words


def spoken(language: str) -> str:
    """The language to speak to somebody whose app speaks `language`."""
    return language if language in LANGUAGES else "ru" if language in {"be", "kk", "uk", "ky"} else FALLBACK


@cache
def consent_version() -> str:
    """Version of the consent text in all its languages."""
    said = table()["consent"]
    return hashlib.sha256("\n".join(said[language] for language in sorted(said)).encode()).hexdigest()[:12]
