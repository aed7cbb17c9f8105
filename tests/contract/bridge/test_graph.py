"""The graph of a run, field by field as ClearML's Pipelines page reads it."""

from __future__ import annotations

import re
import time
from collections import Counter
from datetime import timedelta
from importlib import import_module
from typing import Any

import pytest
from prefect.cache_policies import INPUTS
from prefect.context import FlowRunContext
from prefect.task_runners import ThreadPoolTaskRunner

from clearml_utils import flow, task
from clearml_utils.reconcile import reconcile
from clearml_utils.recorder import recorder
from tests.contract.bridge.flows_for_tests import failing
from tests.contract.bridge.reading import Reader, properties

pytestmark = [pytest.mark.xdist_group("prefect")]


@task
def double(x: int) -> int:
    return 2 * x


def test_nested_flows_are_nested_controllers(tracked: Reader):
    """A flow called in a flow is a controller whose parent is the outer one, and a step in the outer graph, once."""

    @flow(name="inner", project="Bridge")
    def inner(x: int):
        return double(x)

    @flow(name="outer", project="Bridge")
    def outer():
        return inner(double(1))

    run = outer(return_state=True).state_details.flow_run_id
    children = {t["type"]: t for t in tracked.children(run)}
    assert set(children) == {"controller", "data_processing"}
    inside = tracked.tasks(parent=children["controller"]["id"])
    assert [t["status"] for t in inside] == ["completed"]
    graph = tracked.graph(run)
    assert Counter(s["job_type"] for s in graph.values()) == {"controller": 1, "data_processing": 1}
    assert {s["job_id"] for s in graph.values()} == {t["id"] for t in children.values()}


def test_the_graph_has_the_edges_of_nested_flows(tracked: Reader):
    """What a nested flow takes its input from is its step's parent; what takes its result has its step as parent."""

    @flow(name="middle", flow_run_name="middle", project="Bridge")
    def middle(x: float) -> float:
        return x + 0.5

    @flow(name="around", project="Bridge")
    def around():
        double(middle(double.with_options(task_run_name="first")(0.25)))

    graph = tracked.graph(around(return_state=True).state_details.flow_run_id)
    (last,) = set(graph) - {"first", "middle"}
    assert {name: step["parents"] for name, step in graph.items()} == {
        "first": [],
        "middle": ["first"],
        last: ["middle"],
    }


FIELDS = {
    "parents",
    "status",
    "job_id",
    "job_type",
    "job_started",
    "job_ended",
    "job_code_section",
    "base_task_id",
    "executed",
}


def test_the_graph_of_every_status_is_as_the_pipelines_page_reads_it(tracked: Reader):
    """Completed, failed, cached, skipped, retried, timed out, and running while it runs: each step has the page's fields,
    its task, its times, and parents that are steps; the controller the tags, type, hash and project of a pipeline.
    """
    tries: list[int] = []

    @task(task_run_name="{name}", cache_policy=INPUTS, persist_result=True, cache_expiration=timedelta(minutes=5))
    def cacheable(name: str, salt: float) -> float:
        return -salt  # not the very object it was given: Prefect takes who returned an object for where it comes from

    @task(task_run_name="failed")
    def fails(upstream: float) -> float:
        raise ValueError(str(upstream))

    @task(name="skipped")
    def never(upstream: float) -> float:
        return upstream

    @task(task_run_name="retried", retries=1, retry_delay_seconds=0)
    def again(upstream: float) -> float:
        tries.append(1)
        if len(tries) == 1:
            raise ValueError
        return upstream

    @task(task_run_name="timed out", timeout_seconds=0.2)
    def slow() -> None:
        for _ in range(1000):
            time.sleep(0.01)

    live: list[dict[str, Any]] = []

    @task(task_run_name="looks")
    def looks(flow_run: str) -> None:
        def drawn() -> dict[str, Any]:
            recorder().tick()
            step = (
                tracked.graph(flow_run).get("looks")
                if tracked.tasks(system_tags=["__$all", f"prefect:{flow_run}"])
                else None
            )
            return step if step and step["job_id"] else {}

        end = time.monotonic() + 120
        while not drawn() and time.monotonic() < end:
            time.sleep(0.2)
        live.append(drawn())

    @flow(project="Bridge", task_runner=ThreadPoolTaskRunner(max_workers=1))
    def all_kinds(salt: float):
        context = FlowRunContext.get()
        assert context is not None
        assert context.flow_run is not None
        looks(str(context.flow_run.id))
        first = cacheable.submit("completed", salt)
        again.submit(first).wait()
        broken = fails.submit(first)
        skipped = never.submit(broken)
        late = slow.submit()
        cacheable.with_options(task_run_name="cached").submit("completed", salt).wait()
        for future in (broken, skipped, late):
            future.wait()
        return skipped.state

    before = time.time()
    run = all_kinds(before, return_state=True).state_details.flow_run_id
    end = time.monotonic() + 60
    while len(children := {t["name"]: t for t in tracked.children(run)}) < 7 and time.monotonic() < end:
        reconcile(str(run))  # Prefect hears of what never started by an event, at times late
    names = {
        name: re.sub("^skipped-.*", "skipped", name) for name in children
    }  # Prefect names what never began by itself
    children = {names[name]: child for name, child in children.items()}
    graph = {names[name]: step for name, step in tracked.graph(run).items()}
    assert {name: (step["status"], step["parents"]) for name, step in graph.items()} == {
        "looks": ("completed", []), "completed": ("completed", []), "retried": ("completed", ["completed"]),
        "failed": ("failed", ["completed"]), "skipped": ("skipped", ["failed"]), "timed out": ("failed", []),
        "cached": ("cached", []),
    }  # fmt: skip
    for name, step in graph.items():
        assert set(step) == FIELDS, name
        assert step["job_id"] == children[name]["id"]
        assert step["job_type"] == "data_processing"
        if name != "skipped":
            assert before - 1 <= step["job_started"] <= step["job_ended"] <= time.time() + 1, name
    assert (live[0]["status"], live[0]["job_ended"], live[0]["executed"]) == ("running", None, None)
    controller = tracked.of(run)
    assert controller["runtime"]["_pipeline_hash"]
    assert controller["runtime"]["version"] == properties(controller)["version"]
    (project,) = tracked.connection.call("projects.get_all", id=[controller["project"]], search_hidden=True)["projects"]
    assert project["name"] == "Bridge/.pipelines/all-kinds"
    assert {"pipeline", "hidden"} <= set(project["system_tags"])


def test_the_graph_keeps_what_prefect_has_not_heard_of_yet(tracked: Reader, monkeypatch: pytest.MonkeyPatch):
    """Prefect hears of task runs by events, late where it is busy: what this process saw stays in the graph."""
    monkeypatch.setattr(import_module("clearml_utils.reconcile"), "_settled_runs", lambda *_: [])
    run = failing(return_state=True).state_details.flow_run_id
    assert [s["status"] for s in tracked.graph(run).values()] == ["failed"]
