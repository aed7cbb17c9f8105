"""Runs whose tasks, or whose ends, are in other processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any
from uuid import UUID

import prefect
import psutil
import pytest
from prefect.client.orchestration import get_client
from prefect.client.schemas.actions import WorkPoolCreate
from prefect.workers.process import ProcessWorker

from clearml_utils import prefect_api
from clearml_utils.reconcile import reconcile, reconcile_flow
from tests.contract.bridge.reading import Reader, parameters

pytestmark = [pytest.mark.xdist_group("prefect")]
HERE = Path(__file__).parent
ROOT = HERE.parents[2]


def script(name: str, *args: str, **env: str) -> subprocess.Popen[str]:
    """Start one of the flows beside this file in a process of its own."""
    return subprocess.Popen(
        [sys.executable, str(HERE / "flows_for_tests.py"), name, *args],
        env={**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30", **env},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def finished(process: subprocess.Popen[str]) -> str:
    """What a script printed, once it is done."""
    out, err = process.communicate(timeout=180)
    assert process.returncode == 0, err[-3000:]
    return out.strip().splitlines()[-1]


@pytest.mark.parametrize("runner", ["dask", "processes"])
def test_tasks_in_other_processes_are_children_once(tracked: Reader, runner: str):
    """On Dask and in a process pool: every task run one child of the flow's controller, completed, and a whole graph."""
    run = finished(script(runner))
    children = tracked.children(run)
    assert Counter((t["name"].rsplit("-", 1)[0], t["status"]) for t in children) == {("square", "completed"): 6}
    assert {parameters(t)["x"]: tracked.values(t)["result"] for t in children} == {
        str(i): float(i * i) for i in range(6)
    }
    graph = tracked.graph(run)
    assert len(graph) == 6
    assert {s["status"] for s in graph.values()} == {"completed"}
    assert {s["job_id"] for s in graph.values()} == {t["id"] for t in children}


def _until(condition: Any, seconds: float = 240) -> Any:
    end = time.monotonic() + seconds
    while not (got := condition()):
        assert time.monotonic() < end, "did not happen in time"
        time.sleep(0.05)
    return got


def _running(reader: Reader) -> list[dict[str, Any]]:
    return reader.tasks(system_tags=["__$all", "prefect"], status=["in_progress"])


def test_sigkill_of_the_flow_process_is_settled(tracked: Reader, tmp_path: Path):
    """SIGKILL in the middle of a task: the reconciler fails flow and task as `lost`, in Prefect as crashed; nothing runs."""
    process = script("sleeper", str(tmp_path / "started"))
    _until((tmp_path / "started").exists)
    run = (tmp_path / "started").read_text()
    _until(lambda: [t for t in _running(tracked) if t["type"] != "controller"])
    mine = {tracked.of(run)["id"], *(t["id"] for t in tracked.children(run))}
    assert reconcile().settled.keys() & mine == set(), "a live process's tasks are left alone"
    process.send_signal(signal.SIGKILL)
    process.wait()
    report = reconcile()
    assert report.settled.keys() & mine == mine
    assert len(mine) == 2
    assert (tracked.of(run)["status"], tracked.of(run)["status_reason"]) == ("failed", "lost")
    (child,) = tracked.children(run)
    assert (child["status"], child["status_reason"]) == ("failed", "lost")
    assert _running(tracked) == []
    assert [s["status"] for s in tracked.graph(run).values()] == ["failed"]
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run).state.is_crashed()
    again = reconcile()
    assert (again.settled, again.created) == ({}, [])


def test_a_task_killed_before_its_start_was_stored_has_its_child(tracked: Reader, tmp_path: Path):
    """SIGKILL before the writer's turn: ClearML has heard of the flow only; the reconciler makes the task's child, `lost`."""
    process = script("sleeper", str(tmp_path / "unflushed"), CLEARML_UTILS_LINGER_MS="600000")
    _until((tmp_path / "unflushed").exists)
    run = (tmp_path / "unflushed").read_text()
    _until(lambda: [r for r in prefect_api.task_runs_of(run) if r.state and r.state.is_running()])
    _until(lambda: tracked.tasks(system_tags=["__$all", f"prefect:{run}"]))
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert tracked.children(run) == []
    assert len(reconcile(run).created) == 1
    (child,) = tracked.children(run)
    assert (child["status"], child["status_reason"]) == ("failed", "lost")
    assert [(s["status"], s["job_id"]) for s in tracked.graph(run).values()] == [("failed", child["id"])]
    again = reconcile(run)
    assert (again.settled, again.created, len(tracked.children(run))) == ({}, [], 1)


@contextmanager
def a_worker(folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A Prefect worker of a process pool, with one deployment of the sleeper."""
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": "30"}
    template = ProcessWorker.get_default_base_job_template()
    with get_client(sync_client=True) as client:
        client.create_work_pool(WorkPoolCreate(name="bridge-kill", type="process", base_job_template=template))
    found: Any = prefect.flow.from_source(str(ROOT), "tests/contract/bridge/flows_for_tests.py:sleeper")
    found.deploy("kill-me", work_pool_name="bridge-kill", print_next_steps=False)
    with (folder / "worker.log").open("wb") as log:
        worker = subprocess.Popen(
            [sys.executable, "-m", "prefect", "worker", "start", "--pool", "bridge-kill", "--type", "process"],
            env=env, cwd=folder, stdout=log, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            yield worker
        finally:
            with suppress(ProcessLookupError):
                os.killpg(worker.pid, signal.SIGKILL)
            worker.wait()


def test_sigkill_of_a_worker_is_settled(tracked: Reader, tmp_path: Path):
    """SIGKILL of a worker in the middle of a task: as long as the run's own process lives its tasks are left alone; once
    that is gone too, the reconciler fails flow and task as `lost`, in Prefect as crashed; nothing runs.
    """
    from prefect.deployments import run_deployment

    mark = tmp_path / "started"
    with a_worker(tmp_path) as worker:
        run_deployment("sleeper/kill-me", parameters={"mark": str(mark)}, timeout=0)
        _until(mark.exists)
        run, pid = mark.read_text(), int(Path(f"{mark}.pid").read_text())
        _until(lambda: tracked.tasks(system_tags=["__$all", f"prefect:{run}"]))
        _until(lambda: [t for t in tracked.children(run) if t["status"] == "in_progress"])
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        mine = {tracked.of(run)["id"], *(t["id"] for t in tracked.children(run))}
        settled = reconcile(run).settled
        if psutil.pid_exists(pid):
            assert settled == {}
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _until(lambda: not psutil.pid_exists(pid) or psutil.Process(pid).status() == psutil.STATUS_ZOMBIE)
    settled |= reconcile(run).settled
    assert settled.keys() == mine
    assert [(t["status"], t["status_reason"]) for t in (tracked.of(run), *tracked.children(run))] == [
        ("failed", "lost")
    ] * 2
    assert [s["status"] for s in tracked.graph(run).values()] == ["failed"]
    with get_client(sync_client=True) as client:
        assert client.read_flow_run(run).state.is_crashed()
        assert reconcile(run).settled == {}
        client.delete_deployment(client.read_deployment_by_name("sleeper/kill-me").id)  # the server is shared


def test_a_run_cancelled_in_prefect_is_stopped_in_clearml(tracked: Reader, tmp_path: Path):
    """A served run, cancelled in Prefect in the middle of a task: its process ends, and after the reconciler controller
    and child are `stopped`, as cancelled; nothing runs.
    """
    from prefect.deployments import run_deployment
    from prefect.exceptions import ObjectNotFound
    from prefect.states import Cancelling

    mark = tmp_path / "started"
    server = script("serve", "cancel-me")
    try:
        with get_client(sync_client=True) as client:

            def deployment() -> Any:
                try:
                    return client.read_deployment_by_name("sleeper/cancel-me")
                except ObjectNotFound:
                    return None

            _until(deployment)
            made: Any = run_deployment("sleeper/cancel-me", parameters={"mark": str(mark)}, timeout=0)
            _until(mark.exists)
            run = mark.read_text()
            assert run == str(made.id)
            _until(lambda: tracked.tasks(system_tags=["__$all", f"prefect:{run}"]))
            _until(lambda: [t for t in tracked.children(run) if t["status"] == "in_progress"])
            client.set_flow_run_state(made.id, Cancelling())
            _until(lambda: _cancelled(client, made.id))
        _until(lambda: not reconcile(run).running)
    finally:
        server.send_signal(signal.SIGINT)
        try:
            server.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            os.killpg(server.pid, signal.SIGKILL)  # the run's own process holds the pipes, too
            server.communicate()
    controller = tracked.of(run)
    assert (controller["status"], controller["status_reason"]) == ("stopped", "cancelled")
    (child,) = tracked.children(run)
    assert child["status"] in {"stopped", "failed"}, child["status_reason"]
    assert {s["status"] for s in tracked.graph(run).values()} <= {"aborted", "failed"}


def test_records_of_a_killed_process_are_delivered_by_the_next(tracked: Reader, tmp_path: Path, monkeypatch):
    """SIGKILL while ClearML is away: what had been recorded is delivered by the next process, once. On a machine that does
    not know the dead one's locks its tasks are settled once they are silent for too long, here by the scheduled flow.
    """
    monkeypatch.setattr(socket, "gethostname", lambda: "elsewhere")
    process = script("sleeper", str(tmp_path / "started"), CLEARML_API_HOST="http://127.0.0.1:9")
    _until((tmp_path / "started").exists)
    run = (tmp_path / "started").read_text()
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert tracked.tasks(system_tags=["__$all", f"prefect:{run}"]) == []
    report = reconcile()
    assert report.adopted == 1
    (child,) = tracked.children(run)
    assert child["status"] == "in_progress", "it was heard of a moment ago"
    mine = {child["id"], tracked.of(run)["id"]}
    assert reconcile_flow(stale_after_minutes=0)["settled"].keys() & mine == mine
    (child,) = tracked.children(run)
    assert tracked.scalars(child)["loss"]["train"]["y"] == [0.5, 0.25]
    assert (child["status"], child["status_reason"]) == ("failed", "lost")
    assert list(Path(os.environ["CLEARML_UTILS_SPOOL"]).glob("*.db")) == []


def test_a_task_killed_before_prefect_heard_of_it_is_lost(tracked: Reader, tmp_path: Path):
    """Prefect hears of task runs by events, which die with their process: one it never heard of is lost all the same, as its
    flow run is known.
    """
    process = script("sleeper", str(tmp_path / "started"))
    _until((tmp_path / "started").exists)
    run = (tmp_path / "started").read_text()
    _until(lambda: [t for t in _running(tracked) if t["type"] != "controller"])
    (unheard,) = _until(lambda: prefect_api.task_runs_of(run))
    process.send_signal(signal.SIGKILL)
    process.wait()
    with get_client(sync_client=True) as client:
        client.delete_task_run(unheard.id)
    reconcile(run)
    (child,) = tracked.children(run)
    assert (child["status"], child["status_reason"]) == ("failed", "lost")
    assert tracked.of(run)["status"] == "failed"
    assert [(s["status"], s["job_id"]) for s in tracked.graph(run).values()] == [("failed", child["id"])]


def test_runs_unknown_to_prefect_are_stopped(tracked: Reader, tmp_path: Path):
    """A flow run deleted in Prefect, with its process dead: controller and child are stopped, and say why."""
    process = script("sleeper", str(tmp_path / "started"))
    _until((tmp_path / "started").exists)
    run = (tmp_path / "started").read_text()
    _until(lambda: [t for t in _running(tracked) if t["type"] != "controller"])
    process.send_signal(signal.SIGKILL)
    process.wait()
    with get_client(sync_client=True) as client:
        client.delete_flow_run(UUID(run))
        for left in prefect_api.task_runs_of(run):
            client.delete_task_run(left.id)
    reconcile(run)
    tasks = [tracked.of(run), *tracked.children(run)]
    assert [(t["status"], t["status_reason"]) for t in tasks] == [("stopped", "unknown to Prefect")] * 2
    assert [s["job_id"] for s in tracked.graph(run).values()] == [tasks[1]["id"]], "the graph is left as it was"


def _cancelled(client: Any, run: Any) -> bool:
    return bool(client.read_flow_run(run).state.is_cancelled())
