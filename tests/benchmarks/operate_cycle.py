"""One cycle in a process of its own, as a worker runs it; prints what it took as one JSON line."""

from __future__ import annotations

import json
import os
import resource
import time
from datetime import UTC, datetime


def phases(since: datetime) -> list[tuple[str, float]]:
    """Name and seconds of every flow run below the cycle, as Prefect has them."""
    import httpx

    asked = {"flow_runs": {"start_time": {"after_": since.isoformat()}}, "sort": "START_TIME_ASC"}
    url = os.environ["PREFECT_API_URL"].rstrip("/")
    runs = httpx.post(f"{url}/flow_runs/filter", json=asked, timeout=60).raise_for_status().json()
    return [(run["name"].rpartition("-")[0] or run["name"], run["total_run_time"]) for run in runs if run["end_time"]]


def main() -> None:
    """Collect, analyse, forecast, notify."""
    import httpx

    prefect = 0
    send = httpx.Client.send

    def counted(client, request, **options):
        nonlocal prefect
        prefect += "/api/" in str(request.url)
        return send(client, request, **options)

    httpx.Client.send = counted  # type: ignore[method-assign]
    from clearml_utils.recorder import recorder
    from flows.clients import sheets
    from flows.cycle import cycle

    made: list[sheets.Sheet] = []
    opened = sheets.Sheet.__init__

    def noted(self, *args, **options) -> None:
        opened(self, *args, **options)
        made.append(self)

    sheets.Sheet.__init__ = noted  # type: ignore[method-assign]
    started = datetime.now(UTC)
    begun = time.perf_counter()
    done = cycle()
    wall = time.perf_counter() - begun
    said = {
        "wall": wall,
        "rss_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        "persons": done.persons,
        "clearml_calls": recorder().connection.calls,
        "sheets_calls": sum(sheet.calls for sheet in made),
        "prefect_sync_calls": prefect,
        **{f"{name}_s": spent for name, spent in phases(started)},
    }
    print(json.dumps(said), flush=True)


if __name__ == "__main__":
    main()
