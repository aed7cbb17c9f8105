"""`moodflow dashboards`: refresh the ClearML Reports now."""

from __future__ import annotations


def dashboards() -> None:
    """Write the ClearML Reports anew and print where they are."""
    from flows.dashboards.flow import dashboards as refresh

    for title, url in refresh().items():
        print(f"{title}: {url}")
