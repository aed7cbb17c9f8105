"""What tracking costs: against untracked Prefect, and against ClearML's own pipelines, in one run.

    python -m tests.benchmarks.bridge [--runs 5] [--tasks 100] [--long 5000]

One Prefect server (SQLite) and one embedded ClearML server run beside it, on the same machine. Heartbeats of flows
are off on both sides, and each run starts once Prefect's server has worked through the events of the one before. A
tracked flow counts as done when every one of its tasks reads back from ClearML as completed.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psutil

from tests import services
from tests.benchmarks.figures import spread, write

HERE = Path(__file__).parent
TWO_STEPS = """
import sys, time
from clearml import PipelineDecorator
@PipelineDecorator.component(return_values=["x"], cache=False)
def one(n):
    return n + 1
@PipelineDecorator.component(return_values=["y"], cache=False)
def two(x):
    return 2 * x
@PipelineDecorator.pipeline(name="bench-decorator", project="Bench", version="1.0.0")
def pipe(n):
    return two(one(n))
if __name__ == "__main__":
    PipelineDecorator.run_locally()
    t = time.perf_counter()
    pipe(1)
    print("WALL", time.perf_counter() - t)
"""
CONTROLLER = """
import time
from clearml import PipelineController
def one(n):
    return n + 1
def two(x):
    return 2 * x
if __name__ == "__main__":
    t = time.perf_counter()
    pipe = PipelineController(name="bench-controller", project="Bench", version="1.0.0")
    pipe.add_function_step("one", one, function_kwargs={"n": 1}, function_return=["x"], cache_executed_step=False)
    pipe.add_function_step("two", two, function_kwargs={"x": "${one.x}"}, function_return=["y"], cache_executed_step=False)
    pipe.start_locally(run_pipeline_steps_locally=True)
    print("WALL", time.perf_counter() - t)
"""


def work(record: Any, i: int) -> int:
    """Ten scalars, a line of text, a small artifact."""
    for k in range(10):
        record.scalar("loss", "train", 1 / (k + 1), k)
    record.text(f"this is task {i}")
    record.artifact("small", {"i": i})
    return i


def flows(threads: int | None) -> tuple[Any, Any]:
    """The same flow, tracked and not."""
    import prefect
    from prefect.task_runners import ThreadPoolTaskRunner

    from clearml_utils import current_record, flow, task
    from clearml_utils.record import NULL

    def build(make_flow: Any, make_task: Any, get: Callable[[], Any]) -> Any:
        @make_task
        def step(i: int) -> int:
            return work(get(), i)

        def run(n: int) -> int:
            if threads is None:
                return sum(step(i) for i in range(n))
            return sum(f.result() for f in step.map(list(range(n))))

        return make_flow(run)

    runner = {"task_runner": ThreadPoolTaskRunner(max_workers=threads)} if threads else {}
    tracked = build(flow(name=f"bench-{threads or 1}", project="Bench", **runner), task, current_record)
    plain = build(prefect.flow(name=f"plain-{threads or 1}", **runner), prefect.task, lambda: NULL)
    return tracked, plain


class Timing:
    """Time spent in the bridge on tasks' own paths: by the clock, other threads' turns included, and of the processor."""

    def __init__(self) -> None:
        self.seconds = self.processor = 0.0
        self._lock = threading.Lock()

    def around(self, fn: Callable[..., Any]) -> Callable[..., Any]:
        def timed(*args: Any, **kwargs: Any) -> Any:
            start, worked = time.perf_counter(), time.thread_time()
            try:
                return fn(*args, **kwargs)
            finally:
                took, work = time.perf_counter() - start, time.thread_time() - worked
                with self._lock:
                    self.seconds += took
                    self.processor += work

        return timed

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Time what the wrapper, the hook and the record's methods take."""
        from clearml_utils import lifecycle
        from clearml_utils.record import Record

        places: list[tuple[Any, str]] = [
            (lifecycle, "begin_task"), (lifecycle, "task_hook"), (lifecycle.Attempt, "returned"),
            (lifecycle.Attempt, "leave"), (Record, "scalar"), (Record, "text"), (Record, "artifact"),
        ]  # fmt: skip
        before = [getattr(where, name) for where, name in places]
        for (where, name), fn in zip(places, before, strict=True):
            setattr(where, name, self.around(fn))
        try:
            yield
        finally:
            for (where, name), fn in zip(places, before, strict=True):
                setattr(where, name, fn)


def until_completed(connection: Any, run: Any, n: int) -> None:
    """Wait until every child reads back as completed."""
    controller = connection.call("tasks.get_all", system_tags=["__$all", f"prefect:{run}"], search_hidden=True)
    parent = controller["tasks"][0]["id"]
    while True:
        done = connection.call(
            "tasks.get_all", parent=parent, status=["completed"], only_fields=["id"], page=0, page_size=500
        )["tasks"]
        if len(done) >= n:
            return
        time.sleep(0.02)


@contextmanager
def reader() -> Iterator[Any]:
    """A connection of its own to read back with, signed in."""
    from clearml_utils.connection import Connection

    connection = Connection()
    _ = connection.session
    yield connection
    connection.close()


def settled(run: Any, n: int) -> None:
    """Wait until Prefect's own server has worked through the events of a flow run, so that the next starts in peace."""
    from clearml_utils import prefect_api

    end = time.monotonic() + 120
    while time.monotonic() < end:
        known = prefect_api.task_runs_of(str(run))
        if len(known) >= n and all(r.state is not None and r.state.is_final() for r in known):
            return
        time.sleep(0.2)


def measure(threads: int | None, n: int, runs: int) -> dict[str, list[float]]:
    """Wall of tracked and untracked runs, in turn; HTTP calls and added time per task."""
    tracked, plain = flows(threads)
    plain(3)
    tracked(3)
    found: dict[str, list[float]] = {"tracked": [], "plain": [], "ratio": [], "calls": [], "added": [], "worked": []}
    with reader() as reading:
        for _ in range(runs):
            _one(reading, tracked, plain, n, found)
    return found


def _one(reading: Any, tracked: Any, plain: Any, n: int, found: dict[str, list[float]]) -> None:
    """One untracked and one tracked run, into `found`."""
    from clearml_utils.recorder import recorder

    start = time.perf_counter()
    state = plain(n, return_state=True)
    untracked = time.perf_counter() - start
    settled(state.state_details.flow_run_id, n)
    calls, timing = recorder().connection.calls, Timing()
    with timing.installed():
        start = time.perf_counter()
        state = tracked(n, return_state=True)
    used = recorder().connection.calls - calls
    until_completed(reading, state.state_details.flow_run_id, n)
    wall = time.perf_counter() - start
    settled(state.state_details.flow_run_id, n)
    found["plain"].append(untracked)
    found["tracked"].append(wall)
    found["ratio"].append(wall / untracked)
    found["calls"].append(used / n)
    found["added"].append(1000 * timing.seconds / n)
    found["worked"].append(1000 * timing.processor / n)


def ours_two_steps(runs: int) -> list[float]:
    """The two-step workload through the bridge, until it reads back."""
    from clearml_utils import flow, task

    @task
    def one(n: int) -> int:
        return n + 1

    @task
    def two(x: int) -> int:
        return 2 * x

    @flow(name="bench-two", project="Bench")
    def pipe(n: int) -> int:
        return two(one(n))

    pipe(1)
    walls = []
    with reader() as reading:
        for _ in range(runs):
            start = time.perf_counter()
            state = pipe(1, return_state=True)
            until_completed(reading, state.state_details.flow_run_id, 2)
            walls.append(time.perf_counter() - start)
    return walls


def theirs(script: str, runs: int, folder: Path) -> list[float]:
    """The two-step workload through ClearML's own pipelines, in a process of its own, imports not counted."""
    path = folder / "pipeline.py"
    path.write_text(script)
    walls = []
    for _ in range(runs):
        got = subprocess.run(
            [sys.executable, str(path)], cwd=folder, capture_output=True, text=True, timeout=300, check=False
        )
        line = next((ln for ln in got.stdout.splitlines() if ln.startswith("WALL")), None)
        if line is None:
            raise RuntimeError(f"ClearML's own pipeline failed:\n{got.stdout[-1500:]}\n{got.stderr[-3000:]}")
        walls.append(float(line.split()[1]))
    return walls


def growth(n: int) -> tuple[float, int]:
    """Resident memory gained over `n` tracked tasks in flows of a hundred, after a warm-up; threads left behind."""
    tracked, _ = flows(8)
    for _ in range(5):
        tracked(100)
    process = psutil.Process()
    before, threads = process.memory_info().rss, _ours()
    for _ in range(n // 100):
        tracked(100)
    return (process.memory_info().rss - before) / 1e6, _ours() - threads


def _ours() -> int:
    return sum("clearml" in t.name.lower() for t in threading.enumerate())


def main() -> None:
    """Measure everything and write build/bench/bridge.json."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--tasks", type=int, default=100)
    parser.add_argument("--long", type=int, default=5000)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with services.running(
            "server.embedded", folder / "clearml", ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
        ) as service:
            _environment(service, folder)
            from prefect.settings import PREFECT_LOGGING_LEVEL, temporary_settings

            logging.disable(logging.INFO)
            with (
                services.prefect_harness(),
                temporary_settings({PREFECT_LOGGING_LEVEL: "WARNING"}),
            ):
                write("bridge", _figures(args, folder))


def _environment(service: services.Service, folder: Path) -> None:
    keys = json.loads(Path(service.ready["credentials"]).read_text())
    os.environ.update(
        CLEARML_API_HOST=service.ready["urls"]["api"],
        CLEARML_FILES_HOST=service.ready["urls"]["files"],
        CLEARML_WEB_HOST=service.ready["urls"]["web"],
        CLEARML_API_ACCESS_KEY=keys["access_key"],
        CLEARML_API_SECRET_KEY=keys["secret_key"],
        CLEARML_UTILS_SPOOL=str(folder / "spool"),
        PREFECT_SERVER_ANALYTICS_ENABLED="false",
    )


def _figures(args: argparse.Namespace, folder: Path) -> dict[str, float | int | str]:
    sequential = measure(None, args.tasks, args.runs)
    threads = measure(8, args.tasks, args.runs)
    two = ours_two_steps(args.runs)
    decorator = theirs(TWO_STEPS, max(1, args.runs // 2), folder)
    controller = theirs(CONTROLLER, 1, folder)
    grown, left = growth(args.long)
    steps = sorted(two)[len(two) // 2] / 2
    return {
        **spread("tracked_over_untracked_sequential", sequential["ratio"]),
        **spread("tracked_over_untracked_threads", threads["ratio"]),
        **spread("http_calls_per_task", sequential["calls"] + threads["calls"]),
        **spread("added_ms_per_task", sequential["added"]),
        **spread("added_ms_per_task_threads", threads["added"]),
        **spread("added_processor_ms_per_task", sequential["worked"] + threads["worked"]),
        **spread("pipeline_decorator_over_ours_per_step", [w / 2 / steps for w in decorator]),
        **spread("pipeline_controller_over_ours_per_step", [w / 2 / steps for w in controller]),
        **spread("untracked_sequential_s", sequential["plain"]),
        **spread("tracked_sequential_s", sequential["tracked"]),
        **spread("untracked_threads_s", threads["plain"]),
        **spread("tracked_threads_s", threads["tracked"]),
        **spread("ours_two_steps_s", two),
        **spread("pipeline_decorator_two_steps_s", decorator),
        **spread("pipeline_controller_two_steps_s", controller),
        "rss_growth_mb_5000": grown,
        "threads_left": left,
        "tasks": args.tasks,
        "runs": args.runs,
        "long": args.long,
    }


if __name__ == "__main__":
    main()
