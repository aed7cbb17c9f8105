"""The help text of a person's country, from a file that a clinician reviews."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from functools import cache
from importlib import resources as package
from typing import Any

INTERNATIONAL = "INT"
FALLBACK_LANGUAGE = "en"


@dataclass(frozen=True, slots=True)
class Resource:
    """One place to turn to, in the asked language."""

    name: str
    contact: str


def help_text(country: str | None, language: str | None) -> str:
    """The whole vetted text: plain, to be sent without a parse mode.

    Parameters
    ----------
    country
        ISO 3166-1 alpha-2 code, any case. Unknown or None: the international directory alone.
    language
        IETF tag, only its first part is read. Unknown or None: English.
    """
    words = _words(language)
    lines = [words["opening"], words["danger"].format(emergency=emergency(country, language)), ""]
    lines += listing(country, language)
    return "\n".join([*lines, "", words["nobody"], words["always"]])


def listing(country: str | None, language: str | None) -> list[str]:
    """Lines that name where to turn, for /help: the country's own services, then the international directory."""
    words, (directory,) = _words(language), resources(None, language)
    own = [r for r in resources(country, language) if r != directory]
    heading = [words["talk"], *(f"• {r.name}: {r.contact}" for r in own)] if own else []
    return [*heading, f"{words['anywhere']} {directory.contact}"]


def resources(country: str | None, language: str | None) -> tuple[Resource, ...]:
    """Services of `country`, then the international directory; that directory alone for a country not listed."""
    lang = _language(language)
    listed = _file()["country"]
    names = [INTERNATIONAL] if _country(country) is None else [_country(country), INTERNATIONAL]
    return tuple(Resource(line[lang], line["contact"]) for name in names for line in listed[name]["lines"])


def emergency(country: str | None, language: str | None) -> str:
    """Emergency number of `country`, or words for one where it is not listed."""
    code = _country(country)
    return str(_words(language)["local_emergency"] if code is None else _file()["country"][code]["emergency"])


def countries() -> tuple[str, ...]:
    """Codes of the countries with services of their own."""
    return tuple(sorted(set(_file()["country"]) - {INTERNATIONAL}))


def review_status() -> str:
    """What the file says of its own review."""
    return str(_file()["review"]["status"])


def _country(country: str | None) -> str | None:
    code = (country or "").strip().upper()
    return code if code in countries() else None


def _language(language: str | None) -> str:
    short = (language or "").strip().lower().replace("_", "-").split("-")[0]
    return short if short in _file()["text"] else FALLBACK_LANGUAGE


def _words(language: str | None) -> dict[str, str]:
    words: dict[str, str] = _file()["text"][_language(language)]
    return words


@cache
def _file() -> dict[str, Any]:
    return tomllib.loads(package.files(__package__).joinpath("texts.toml").read_text(encoding="utf-8"))
