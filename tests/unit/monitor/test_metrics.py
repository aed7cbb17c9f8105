"""The numbers for Prometheus and the health of the installation, over HTTP."""

from __future__ import annotations

import dataclasses

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from flows.commands import metrics
from flows.commands.errors import PortError
from tests.unit.monitor.test_alerts import WELL


def values(text: str) -> dict[tuple[str, ...], float]:
    return {
        (s.name, *s.labels.values()): s.value for family in text_string_to_metric_families(text) for s in family.samples
    }


def test_metrics_are_prometheus_text_with_every_number():
    """The official parser reads them; each number seen is there with its value."""
    got = values(metrics.text(WELL).decode())
    assert {name: got[(f"moodflow_{name}",)] for name in WELL.numbers()} == WELL.numbers()
    assert got["moodflow_last_run_completed", "cycle"] == 1
    assert not [key for key in got if key[0] == "moodflow_problem"]
    gone = values(metrics.text(dataclasses.replace(WELL, prefect=None)).decode())
    assert gone["moodflow_answers", "prefect"] == 0
    assert gone["moodflow_problem", "prefect"] == 1


def test_health_is_200_or_503_and_names_what_is_wrong():
    """A load balancer sees the status, a person the next step."""
    now = [WELL]
    server = metrics.serve(lambda: now[0], 0)
    try:
        root = f"http://127.0.0.1:{server.server_address[1]}"
        well = httpx.get(f"{root}/health")
        assert (well.status_code, well.json()["healthy"]) == (200, True)
        now[0] = dataclasses.replace(WELL, disk_free_mb=1)
        ill = httpx.get(f"{root}/health")
        assert (ill.status_code, [p["key"] for p in ill.json()["problems"]]) == (503, ["disk"])
        assert ("moodflow_problem", "disk") in values(httpx.get(f"{root}/metrics").text)
        assert httpx.get(f"{root}/").status_code == 404
        with pytest.raises(PortError, match="--port"):
            metrics.serve(lambda: now[0], server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
