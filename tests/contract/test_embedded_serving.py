"""Containers that serve models, running times added up, and patterns that would never end."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.contract.embedded_server import Client, serving

pytestmark = pytest.mark.xdist_group("embedded-registry")
URL = "http://models.invalid/serve"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Client]:
    with serving(tmp_path_factory.mktemp("serving") / "data") as client:
        yield client


def container(name: str, url: str = URL) -> dict[str, Any]:
    return {
        "container_id": name, "endpoint_name": "mood", "model_name": "ridge", "endpoint_url": url, "model_version": "3",
        "reference": [{"type": "url", "value": url}],
    }  # fmt: skip


def test_containers_that_report_are_an_endpoint(server: Client) -> None:
    """Two containers of one address are one endpoint: requests add up, latency is their mean, each is listed."""
    for name, requests in (("first", 10), ("second", 30)):
        server.call("serving.register_container", **container(name))
        report = {"uptime_sec": requests, "requests_num": requests, "requests_min": 2.0, "latency_ms": requests}
        stats = {"cpu_usage": [10, 30], "memory_used": 100, "memory_free": 50}
        server.call("serving.container_status_report", **container(name), **report, machine_stats=stats)
    (found,) = server.call("serving.get_endpoints")["endpoints"]
    assert (found["endpoint"], found["model"], found["url"], found["instances"]) == ("mood", "ridge", URL, 2)
    assert (found["requests"], found["latency_ms"], found["uptime_sec"], found["requests_min"]) == (40, 20, 30, 2.0)
    details = server.call("serving.get_endpoint_details", endpoint_url=URL)
    assert details["model_version"] == "3"
    assert {item["id"]: item["requests"] for item in details["instances"]} == {"first": 10, "second": 30}
    assert details["instances"][0]["cpu_count"] == 2
    assert details["instances"][0]["reference"] == [{"type": "url", "value": URL}]


def test_an_endpoint_is_drawn_over_time(server: Client) -> None:
    """The history has one point per interval, in all and per container; sums and means as the metric asks."""
    server.call("serving.container_status_report", **container("drawn", "http://drawn.invalid"), requests_num=7,
                machine_stats={"cpu_usage": [20, 40], "memory_used": 1, "memory_free": 2})  # fmt: skip
    now = time.time()
    window = {"endpoint_url": "http://drawn.invalid", "from_date": now - 600, "to_date": now + 60, "interval": 60}
    for metric, value in (("requests", 7), ("cpu_util", 30), ("cpu_count", 2), ("ram_total", 3), ("gpu_util", 0)):
        drawn = server.call("serving.get_endpoint_metrics_history", **window, metric_type=metric)
        dates, values = drawn["total"]["dates"], drawn["total"]["values"]
        assert drawn["computed_interval"] == 60
        assert len(dates) == len(values) == 11
        assert set(map(int.__sub__, dates[1:], dates[:-1])) == {60}
        assert max(values) == value
        assert [max(line["values"]) for line in drawn["instances"].values()] == ([value] if value else [])
    bare = server.call("serving.get_endpoint_metrics_history", **window, instance_charts=False)
    assert "instances" not in bare


def test_a_container_goes_when_it_says_so_or_falls_silent(server: Client) -> None:
    """One without an address is loading; an unregistered one and one past its timeout are gone."""
    server.call("serving.register_container", container_id="loading", endpoint_name="next", model_name="m")
    (loading,) = server.call("serving.get_loading_instances")["instances"]
    assert (loading["id"], loading["endpoint"]) == ("loading", "next")
    server.call("serving.unregister_container", container_id="loading")
    assert server.call("serving.get_loading_instances")["instances"] == []
    assert server.error("serving.unregister_container", {"container_id": "loading"})[0] == 400
    assert server.error("serving.get_endpoint_details", {"endpoint_url": "http://nowhere.invalid"})[0] == 400
    server.call("serving.register_container", **container("brief", "http://brief.invalid"), timeout=1)
    ends = time.time() + 120
    while any(item["url"] == "http://brief.invalid" for item in server.call("serving.get_endpoints")["endpoints"]):
        assert time.time() < ends
        time.sleep(0.1)


def test_running_times_add_up_by_project_user_and_queue(server: Client) -> None:
    """Usages are totals and daily series by project, user and queue; what ran outside the period does not count."""
    project = server.call("projects.create", name="usages")["id"]
    task = server.call("tasks.create", name="ran", type="training", project=project)["id"]
    server.call("tasks.started", task=task)
    server.call("tasks.completed", task=task)
    period = {"projects": [project], "from_date": "2020-01-01T00:00:00.000Z", "to_date": "2020-01-03T00:00:00.000Z"}
    empty = {name: {"total": [], "series": []} for name in ("projects", "users", "queues")}
    assert server.call("organization.get_project_usages", **period) == empty
    recent = time.strftime("%Y-%m-%dT00:00:00.000Z", time.gmtime(time.time() - 86_400))
    now = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(time.time() + 10))
    found = server.call("organization.get_project_usages", projects=[project], from_date=recent, to_date=now)
    (total,), (series,) = found["projects"]["total"], found["projects"]["series"]
    assert (total["id"], total["name"], series["name"]) == (project, "usages", "usages")
    assert len(series["dates"]) == len(series["duration"])
    assert sum(series["duration"]) == pytest.approx(total["duration"], abs=0.5)
    assert [item["id"] for item in found["users"]["total"]] == ["default"]


@pytest.mark.parametrize("pattern", [r"(a|aa)+b", r"^(a|a|aa)*$", r"(a+)+$", r"^(a*)*b", r"(.*a){20}b"])
def test_a_pattern_that_would_never_end_is_refused(server: Client, pattern: str) -> None:
    """A regular expression that explodes is an error of the client's, or is answered; the server goes on either way."""
    if not server.call("tasks.get_all", name="^aaaa", only_fields=["id"])["tasks"]:
        server.call("tasks.create", name="a" * 60 + "c", type="training")
    answer = server.send("tasks.get_all", {"name": pattern, "only_fields": ["id"]})
    meta = answer.json()["meta"]
    assert (answer.status_code, meta["result_subcode"]) in {(400, 21), (200, 0)}
    if answer.status_code == 400:
        assert "took longer" in meta["result_msg"]
    else:  # matched in time: only what is there to be found
        assert len(answer.json()["data"]["tasks"]) == len(
            server.call("tasks.get_all", name=r"a$", only_fields=["id"])["tasks"] if pattern == r"(a+)+$" else []
        )
    assert (answer.status_code == 400) or pattern != r"(a|aa)+b"
    assert server.error("workers.get_all", {"worker_pattern": pattern})[0] in {200, 400}
    assert len(server.call("tasks.get_all", name=r"^a+c$", only_fields=["id"])["tasks"]) == 1
    assert len(server.call("tasks.get_all", name=r"^(a|b)+c.*$", only_fields=["id"])["tasks"]) == 1
