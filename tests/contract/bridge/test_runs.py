"""Every kind of Prefect run, as ClearML sees it afterwards."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections import Counter
from datetime import timedelta

import pytest
from prefect import unmapped
from prefect.cache_policies import INPUTS
from prefect.logging import get_run_logger
from prefect.task_runners import ThreadPoolTaskRunner

from clearml_utils import current_record, flow, task
from clearml_utils.reconcile import reconcile
from tests.contract.bridge.flows_for_tests import failing
from tests.contract.bridge.reading import Reader, parameters, properties

pytestmark = [pytest.mark.xdist_group("prefect")]


@task
def double(x: int) -> int:
    return 2 * x


@task(task_run_name="named-{x}")
def named(x: int) -> dict[str, float]:
    return {"half": x / 2, "square": float(x * x)}


def test_a_flow_is_a_controller_and_its_tasks_are_its_children(tracked: Reader):
    """A flow run is one controller task, each task run one child of it, named as in Prefect, with arguments and results."""

    @flow(name="plain", project="Bridge")
    def plain(n: int = 3):
        named(double(n))
        return n

    state = plain(return_state=True)
    controller = tracked.of(state.state_details.flow_run_id)
    assert (controller["type"], controller["status"]) == ("controller", "completed")
    assert "pipeline" in controller["system_tags"]
    assert parameters(controller) == {"n": "3"}
    children = {t["name"].rsplit("-", 1)[0]: t for t in tracked.children(state.state_details.flow_run_id)}
    assert set(children) == {"double", "named"}
    assert [t["status"] for t in children.values()] == ["completed", "completed"]
    assert parameters(children["double"]) == {"x": "3"}
    assert tracked.values(children["double"]) == {"result": 6.0}
    assert tracked.values(children["named"]) == {"half": 3.0, "square": 36.0}
    assert children["named"]["name"] == "named-6"


def test_links_go_both_ways(tracked: Reader):
    """The ClearML tasks name the Prefect run and its page; the Prefect flow run is labelled with the ClearML task."""
    from prefect.client.orchestration import get_client

    @flow(project="Bridge")
    def linked():
        double(1)

    run = linked(return_state=True).state_details.flow_run_id
    controller = tracked.of(run)
    assert properties(controller)["prefect_url"].endswith(f"/runs/flow-run/{run}")
    (child,) = tracked.children(run)
    assert properties(child)["prefect_flow_run"] == str(run)
    with get_client(sync_client=True) as client:
        end = time.monotonic() + 120  # a link is made beside the flow, which does not wait for it for long
        while "clearml.task" not in client.read_flow_run(run).labels and time.monotonic() < end:
            time.sleep(0.1)
        assert client.read_flow_run(run).labels["clearml.task"] == controller["id"]
        artifacts: list[dict[str, str]] = []
        while not artifacts and time.monotonic() < end:
            artifacts = client.request(
                "POST", "/artifacts/filter", json={"artifacts": {"flow_run_id": {"any_": [str(run)]}}}
            ).json()
    assert any(controller["id"] in a["data"] for a in artifacts)


def test_packages_and_revision_once_per_flow_run(tracked: Reader):
    """The controller holds the installed packages and the commit, and no diff; children do not repeat them."""

    @flow(project="Bridge")
    def revision():
        double(1)

    run = revision(return_state=True).state_details.flow_run_id
    script = tracked.of(run)["script"]
    assert "prefect==" in script["requirements"]["pip"].lower()
    assert len(script["version_num"]) in {0, 40}
    assert not script.get("diff")
    (child,) = tracked.children(run)
    assert not (child.get("script") or {}).get("requirements")


def test_threads_and_map_of_200_make_200_children(tracked: Reader):
    """`.map` of 200 on threads: 200 children, each with its own result and only its own log lines."""

    @task
    def speak(i: int) -> int:
        get_run_logger().info("I am number %d.", i)
        return i

    @flow(project="Bridge", task_runner=ThreadPoolTaskRunner(max_workers=8))
    def fan():
        return sum(f.result() for f in speak.map(list(range(200))))

    run = fan(return_state=True).state_details.flow_run_id
    children = tracked.children(run)
    assert Counter(t["status"] for t in children) == {"completed": 200}
    for child in children[::23]:
        number = parameters(child)["i"]
        assert tracked.values(child) == {"result": float(number)}
        assert tracked.log(child) == [f"I am number {number}."]
    assert len(tracked.graph(run)) == 200


def test_logs_of_two_threads_do_not_mix(tracked: Reader):
    """Two tasks that log through the same plain logger at the same time: each line is in its own task only."""
    meet = threading.Barrier(2, timeout=30)
    logger = logging.getLogger("somebody.else")

    @task
    def chat(who: str) -> None:
        meet.wait()
        for i in range(20):
            logger.warning("%s says %d", who, i)

    @flow(project="Bridge", task_runner=ThreadPoolTaskRunner(max_workers=2))
    def talk():
        for f in chat.map(["ann", "bob"]):
            f.result()

    run = talk(return_state=True).state_details.flow_run_id
    for child in tracked.children(run):
        who = parameters(child)["who"]
        assert tracked.log(child) == [f"{who} says {i}" for i in range(20)]


def test_async_flows_and_tasks(tracked: Reader):
    """Asynchronous flows and tasks are recorded the same, gathered ones too."""

    @task
    async def nap(x: int) -> int:
        await asyncio.sleep(0.01)
        current_record().text(f"napped {x}")
        return x

    @flow(project="Bridge")
    async def sleepy():
        return sum(await asyncio.gather(*(nap(i) for i in range(5))))

    run = asyncio.run(sleepy(return_state=True)).state_details.flow_run_id
    assert tracked.of(run)["status"] == "completed"
    children = tracked.children(run)
    assert sorted(tracked.values(t)["result"] for t in children) == [0, 1, 2, 3, 4]
    for child in children:
        assert tracked.log(child) == [f"napped {parameters(child)['x']}"]


def test_generators(tracked: Reader):
    """Generator tasks yield as ever, and are recorded."""

    @task
    def count(n: int):
        yield from range(n)

    counted = []

    @flow(project="Bridge")
    def counting():
        counted.extend(count(4))

    state = counting(return_state=True)
    assert counted == [0, 1, 2, 3]
    (child,) = tracked.children(state.state_details.flow_run_id)
    assert child["status"] == "completed"


def test_asynchronous_generators(tracked: Reader):
    """So do asynchronous ones, also where one fails halfway: what it yielded stands, the child is failed."""
    counted = []

    @task
    async def count(n: int):
        for i in range(n):
            yield i
        raise ValueError("halfway")

    @flow(project="Bridge")
    async def counting():
        try:
            async for i in count(3):
                counted.append(i)  # noqa: PERF401 - what came before the failure is wanted
        except ValueError:
            return

    state = asyncio.run(counting(return_state=True))
    assert counted == [0, 1, 2]
    (child,) = tracked.children(state.state_details.flow_run_id)
    assert (child["status"], child["status_reason"]) == ("failed", "ValueError")


def test_a_retried_task_is_one_child_with_its_attempts_visible(tracked: Reader):
    """Two failures, then success: one child, completed, tagged `retried`, with every attempt in its log."""
    calls = []

    @task(retries=2, retry_delay_seconds=0)
    def shaky() -> int:
        calls.append(1)
        if len(calls) < 3:
            raise ValueError(f"attempt {len(calls)} broke")
        return 7

    @flow(project="Bridge")
    def retrying():
        return shaky()

    run = retrying(return_state=True).state_details.flow_run_id
    (child,) = tracked.children(run)
    assert child["status"] == "completed"
    assert "retried" in child["tags"]
    assert properties(child)["attempts"] == "3"
    log = "\n".join(tracked.log(child))
    assert "attempt 1 raised ValueError" in log
    assert "attempt 2 raised ValueError" in log
    assert "attempt 3 begins" in log
    assert tracked.values(child) == {"result": 7.0}


def test_a_retried_flow_is_one_controller(tracked: Reader):
    """A flow that is retried stays one controller."""
    calls = []

    @flow(project="Bridge", retries=1, retry_delay_seconds=0)
    def again():
        calls.append(1)
        if len(calls) == 1:
            raise ValueError("once")
        return 1

    run = again(return_state=True).state_details.flow_run_id
    assert tracked.of(run)["status"] == "completed"


def test_a_failed_task_says_why(tracked: Reader):
    """Failure: the child is failed with the exception's type as reason, the traceback in its log; the flow is failed."""
    run = failing(return_state=True).state_details.flow_run_id
    (child,) = tracked.children(run)
    assert (child["status"], child["status_reason"]) == ("failed", "KeyError")
    assert "no such thing" in child["status_message"]
    assert "Traceback" in "".join(tracked.log(child))
    assert tracked.of(run)["status"] == "failed"
    assert [s["status"] for s in tracked.graph(run).values()] == ["failed"]


def test_cached_tasks_are_completed_and_tagged(tracked: Reader):
    """A task answered from the cache is a completed child tagged `cached`, shown as cached in the graph."""

    @task(cache_policy=INPUTS, persist_result=True, cache_expiration=timedelta(minutes=5))
    def slow(x: float) -> float:
        return x

    @flow(project="Bridge")
    def twice(x: float):
        slow(x)
        slow(x)

    run = twice(time.time(), return_state=True).state_details.flow_run_id
    children = tracked.children(run)
    assert [t["status"] for t in children] == ["completed", "completed"]
    assert sorted("cached" in t["tags"] for t in children) == [False, True]
    assert Counter(s["status"] for s in tracked.graph(run).values()) == {"completed": 1, "cached": 1}


def test_tasks_whose_upstream_failed_have_a_skipped_child(tracked: Reader):
    """NotReady: Prefect never calls the task; its child is there all the same, stopped, tagged `skipped`.

    Prefect's API hears of such a run by an event, at times after the flow's end; the reconciler then makes its child.
    """

    @task
    def broken() -> int:
        raise ValueError("upstream")

    @flow(project="Bridge", task_runner=ThreadPoolTaskRunner(max_workers=2))
    def skipping():
        first = broken.submit()
        second = double.submit(first)
        third = double.submit(second)
        for f in (first, second, third):
            f.wait()
        return third.result()

    run = skipping(return_state=True).state_details.flow_run_id
    end = time.monotonic() + 60
    while len(children := tracked.children(run)) < 3 and time.monotonic() < end:
        reconcile(str(run))
    assert Counter((t["status"], t["status_reason"]) for t in children) == {
        ("failed", "ValueError"): 1, ("stopped", "skipped"): 2,
    }  # fmt: skip
    graph = tracked.graph(run)
    assert Counter(s["status"] for s in graph.values()) == {"failed": 1, "skipped": 2}
    assert all(s["job_id"] for s in graph.values())


def test_timeouts_are_failures_that_say_so(tracked: Reader):
    """A task over its time is failed with the reason `timed out`, sync and async."""

    @task(timeout_seconds=0.2)
    def slow() -> None:
        for _ in range(200):
            time.sleep(0.01)

    @task(timeout_seconds=0.2)
    async def slow_async() -> None:
        await asyncio.sleep(5)

    @flow(project="Bridge")
    async def late():
        slow_state = slow(return_state=True)
        async_state = await slow_async(return_state=True)
        assert slow_state.name == async_state.name == "TimedOut"

    run = asyncio.run(late(return_state=True)).state_details.flow_run_id
    children = tracked.children(run)
    assert [(t["status"], t["status_reason"]) for t in children] == [("failed", "timed out")] * 2


def test_a_crash_in_a_task_is_recorded(tracked: Reader):
    """A task that is torn down by something stronger than an exception is failed as `crashed`, and so is its flow."""

    @task
    def stopped() -> None:
        raise KeyboardInterrupt

    @flow(project="Bridge")
    def interrupted():
        double(1)
        stopped()

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    controller = tracked.tasks(system_tags=["__$all", "prefect"], type=["controller"])[-1]
    children = {t["name"].rsplit("-", 1)[0]: t for t in tracked.tasks(parent=controller["id"])}
    assert (children["stopped"]["status"], children["stopped"]["status_reason"]) == ("failed", "crashed")
    assert (controller["status"], controller["status_reason"]) == ("failed", "crashed")


def test_options_map_and_unmapped_keep_working(tracked: Reader):
    """`with_options`, `.submit`, `.map` with `unmapped`, and `.fn` behave as Prefect's; hooks replaced by options lose nothing."""
    seen, sums = [], []

    @task
    def add(a: int, b: int) -> int:
        return a + b

    @flow(project="Bridge")
    def options():
        other = add.with_options(name="plus", on_completion=[lambda *_: seen.append("hook")])
        # noted here: a final state that Prefect's busy server is asked for twice comes back without its result
        sums.append(add.submit(1, 2).result() + sum(other.map([1, 2], unmapped(10)).result()) + add.fn(1, 1))

    state = options(return_state=True)
    assert sums == [3 + 23 + 2]
    assert seen == ["hook", "hook"]
    children = tracked.children(state.state_details.flow_run_id)
    assert Counter(t["name"].rsplit("-", 1)[0] for t in children) == {"add": 1, "plus": 2}
    assert {t["status"] for t in children} == {"completed"}


def test_no_thread_is_left_behind(tracked: Reader):
    """After the outermost flow the process has no thread of ours."""

    @flow(project="Bridge")
    def short():
        double(1)

    def ours() -> list[str]:
        return [t.name for t in threading.enumerate() if "clearml" in t.name.lower()]

    short()
    end = time.monotonic() + 120  # a link on its way ends by itself
    while ours() and time.monotonic() < end:
        time.sleep(0.05)
    assert ours() == []
