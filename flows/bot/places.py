"""Countries and their timezones, from the tz database."""

from __future__ import annotations

from collections import defaultdict
from functools import cache
from importlib import resources
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

COMMON = ("RU", "BY", "KZ", "UA", "DE", "NL", "GB", "US")
SHOWN_ZONES = 12


@cache
def _zones() -> dict[str, tuple[str, ...]]:
    lines = (resources.files("tzdata.zoneinfo") / "zone.tab").read_text("utf-8").splitlines()
    found: dict[str, list[str]] = defaultdict(list)
    for line in lines:
        if line and not line.startswith("#"):
            code, _, zone = line.split("\t")[:3]
            found[code].append(zone)
    return {code: tuple(zones) for code, zones in found.items()}


def country(words: str) -> str | None:
    """ISO 3166 code a person typed or tapped, None where it is no country's."""
    code = words.strip().upper()
    return code if code in _zones() else None


def zones(code: str | None) -> tuple[str, ...]:
    """Timezones of a country, the usual ones first; UTC where it is unknown."""
    return _zones().get(code or "", ("UTC",))[:SHOWN_ZONES]


def timezone(words: str) -> str | None:
    """Name of a timezone a person typed or tapped, None where there is none such."""
    name = words.strip().replace(" ", "_")
    if not name or name.startswith((".", "/")) or ".." in name or len(name) > 40:
        return None
    try:
        return ZoneInfo(name).key
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return None
