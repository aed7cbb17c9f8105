"""`moodflow dashboards`: refresh the ClearML Reports now."""

from __future__ import annotations

from typing import Any


def dashboards() -> None:
    """Write the ClearML Reports anew and print where they are."""
    from flows.dashboards.flow import dashboards as refresh

    made: Any = refresh()
    for title, url in made.items():
        print(f"{title}: {url}")
