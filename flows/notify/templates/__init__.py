"""The shipped wording: a TOML file per language, a Jinja2 template per kind of message."""

from __future__ import annotations

import tomllib
from functools import cache
from importlib import resources

LANGUAGES = ("en", "ru")


def shipped() -> dict[str, dict[str, str]]:
    """Language -> kind -> template, a copy of its own for each caller."""
    return {language: dict(_file(language)) for language in LANGUAGES}


@cache
def _file(language: str) -> dict[str, str]:
    return tomllib.loads(resources.files(__package__).joinpath(f"{language}.toml").read_text(encoding="utf-8"))
