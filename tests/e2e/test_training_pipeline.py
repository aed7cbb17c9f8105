"""The training as ClearML's own pipeline."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from clearml_utils import recorder, registry
from clearml_utils.connection import Connection
from flows.simulate import ItemRange, simulate

ROOT = Path(__file__).parents[2]
STEPS = {"read", "compare", "fit", "register"}
KEPT = {"data_hash", "metrics", "fitted", "champion"}
AGENT_CONFIG = """
agent.worker_name: training
agent.package_manager.system_site_packages: true
agent.package_manager.type: pip
sdk.development.report_use_subprocess: false
"""
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
pytestmark = pytest.mark.xdist_group("training-pipeline")


@pytest.fixture
def product(
    clearml_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Environment of the product with a study to train on, in a project of its own."""
    items = [ItemRange("na", 0, 100, -1), ItemRange("calm", 0, 100, 1)]
    simulate(items, persons=4, days=14).to_csv(tmp_path / "study.csv", index=False)
    (tmp_path / "clearml.conf").write_text("sdk.development.report_use_subprocess: false\n")
    env = {
        **clearml_server, "MOODFLOW_HOME": str(tmp_path / "home"), "MOODFLOW_PROJECT": f"Training {tmp_path.name}",
        "PYTHONPATH": str(ROOT), "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
        "CLEARML_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    recorder.reset()
    yield env
    recorder.reset()


def train(study: Path, *options: str) -> None:
    """Start the pipeline as an operator does."""
    command = [sys.executable, "-m", "deployments.training_pipeline", "--study", str(study), *options]
    done = subprocess.run(command, check=False, cwd=study.parent, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def steps_of(controller: str) -> dict[str, dict[str, Any]]:
    """Steps of a run by name."""
    rows = Connection().call(
        "tasks.get_all", search_hidden=True, parent=controller,
        only_fields=["id", "name", "status", "execution.artifacts", "hyperparams", "status_message"],
    )["tasks"]  # fmt: skip
    return {row["name"]: row for row in rows}


def assert_trained(controller: str, project: str, version: int) -> None:
    """Every step completed, the model is registered and one version is the champion, and no answers are in ClearML."""
    steps = steps_of(controller)
    assert set(steps) == STEPS
    assert {row["status"] for row in steps.values()} == {"completed"}, steps
    found = {v.version: v for v in registry.versions("next-beep-forecast", project)}
    assert max(found) == version
    assert found[version].task_id == steps["register"]["id"]
    assert found[version].metadata["people"] == "4"
    champion = registry.champion("next-beep-forecast", project)
    assert champion is not None
    kept = {a["key"] for row in steps.values() for a in (row.get("execution") or {}).get("artifacts") or []}
    assert kept <= KEPT, "answers travel by the private folder only"


def mine(project: str) -> list[dict[str, Any]]:
    """Controllers of the training in this test's project, the oldest first."""
    found = Connection().call("projects.get_all", name=f"^{project}/", search_hidden=True)["projects"]
    return Connection().call(
        "tasks.get_all", search_hidden=True, project=[row["id"] for row in found], type=["controller"],
        order_by=["created"], only_fields=["id", "status", "system_tags", "name", "status_message"],
    )["tasks"] if found else []  # fmt: skip


@pytest.mark.timeout(300)
def test_the_training_is_a_pipeline_of_clearml(product: dict[str, str], tmp_path: Path):
    """Run locally, every step and the controller complete, the model is registered and champion, and neither
    parameters nor artifacts hold answers.
    """
    project = product["MOODFLOW_PROJECT"]
    train(tmp_path / "study.csv", "--local")
    (controller,) = mine(project)
    assert controller["status"] == "completed"
    assert "pipeline" in controller["system_tags"]
    assert_trained(controller["id"], project, 1)


@contextmanager
def process(command: list[str], folder: Path, log: str, **env: str) -> Iterator[subprocess.Popen[bytes]]:
    """A process and its children for the time of a test; their words in a file."""
    with (folder / log).open("wb") as file:
        started = subprocess.Popen(
            command,
            env={**os.environ, **env},
            cwd=folder,
            stdout=file,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
        try:
            yield started
        finally:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def until(condition: Callable[[], Any], what: str, folder: Path, seconds: float = 600) -> Any:
    """Wait for a condition; the processes' words where it does not come."""
    end = time.monotonic() + seconds
    while not (got := condition()):
        if time.monotonic() > end:
            said = "\n".join(f"== {p.name}\n{p.read_text(errors='replace')[-3000:]}" for p in folder.glob("*.log"))
            pytest.fail(f"{what}: did not happen in {seconds:.0f} s\n{said}")
        time.sleep(0.5)
    return got


@contextmanager
def an_agent(folder: Path, queue: str) -> Iterator[None]:
    """An unmodified `clearml-agent` on a queue, running tasks in this environment."""
    (folder / "agent").mkdir()
    config = folder / "agent" / "clearml.conf"
    config.write_text(AGENT_CONFIG)
    command = [
        str(Path(sys.executable).with_name("clearml-agent")), "daemon", "--queue", queue,
        "--foreground", "--services-mode", "4",
    ]  # fmt: skip
    env = {
        "CLEARML_CONFIG_FILE": str(config), "HOME": str(folder / "agent"), "PYTHONPATH": "",
        "CLEARML_AGENT_SKIP_PIP_VENV_INSTALL": sys.executable, "CLEARML_AGENT_SKIP_PYTHON_ENV_INSTALL": "1",
        "CLEARML_AGENT_QUEUE_POLL_FREQ_SEC": "1",
    }  # fmt: skip
    with process(command, folder, "agent.log", **env):
        yield


def publish_an_import(project: str) -> None:
    """What the trigger waits for: a task of the project, tagged, completes."""
    connection = Connection()
    (where,) = connection.call("projects.get_all", name=f"^{project}$", search_hidden=True)["projects"]
    made = connection.call("tasks.create", name="import", type="data_processing", project=where["id"], tags=["train"])
    connection.call("tasks.started", task=made["id"])
    connection.call("tasks.completed", task=made["id"])


def enqueued(folder: Path, project: str, queue: str) -> str:
    """A run of the training in a new queue."""
    Connection().call("queues.create", name=queue)
    train(folder / "study.csv", "--queue", queue)
    (first,) = mine(project)
    assert first["status"] == "queued"
    return str(first["id"])


@contextmanager
def scheduled(how: str, task: str, folder: Path, project: str, queue: str) -> Iterator[None]:
    """One of ClearML's schedulers at work: at the next minute but one, or, where it waits for new data, now."""
    command = [sys.executable, "-u", "-m", "deployments.training_schedule", how, "--task", task, "--queue", queue]
    soon = datetime.now(UTC) + timedelta(minutes=2)  # a minute at least, to start in
    by_time = ["--at", f"{soon:%H:%M}", "--weekday", f"{soon:%A}".lower()]
    command += ["--poll-minutes", "0.05", *(by_time if how == "time" else ())]
    with process(command, folder, f"{how}.log"):
        if how == "trigger":
            until(lambda: b"Sleeping" in (folder / "trigger.log").read_bytes(), "the trigger has looked once", folder)
            publish_an_import(project)
        yield


def waiting_in(queue: str) -> list[str]:
    """Tasks in a queue."""
    (found,) = Connection().call("queues.get_all", name=f"^{queue}$")["queues"]
    return [str(entry["task"]) for entry in found["entries"]]


def synced(folder: Path) -> int:
    """How often the scheduler has looked."""
    return (folder / "time.log").read_bytes().count(b"Syncing scheduler")


@pytest.mark.timeout(900)
def test_the_training_is_enqueued_by_clearml_itself(product: dict[str, str], tmp_path: Path):
    """ClearML's `TaskScheduler` at its time, and its `TriggerScheduler` when an import completes, put a clone of the training
    into the queue, once.
    """
    project = product["MOODFLOW_PROJECT"]
    first = enqueued(tmp_path, project, "by-hand")
    assert waiting_in("by-hand") == [first]
    for queue in ("by-time", "by-trigger"):
        Connection().call("queues.create", name=queue)
    with (
        scheduled("time", first, tmp_path, project, "by-time"),
        scheduled("trigger", first, tmp_path, project, "by-trigger"),
    ):
        clones = [until(lambda q=queue: waiting_in(q), queue, tmp_path, 300) for queue in ("by-trigger", "by-time")]
        looked = synced(tmp_path)
        until(lambda: synced(tmp_path) > looked + 1, "it looks again", tmp_path)
    assert waiting_in("by-time") == clones[1], "once a week, not every so many hours of that day"
    assert {row["id"]: row["status"] for row in mine(project)} == dict.fromkeys(
        (first, *clones[0], *clones[1]), "queued"
    )


@pytest.mark.campaign
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("how", ["queue", "time", "trigger"] if FULL else ["trigger"])
def test_the_training_runs_from_a_queue(product: dict[str, str], tmp_path: Path, how: str):
    """Controller and steps run by an unmodified agent: enqueued by hand, or a clone enqueued by ClearML's `TaskScheduler`
    at its time, or by its `TriggerScheduler` when an import completes. The model is registered, with the run as its origin.
    """
    project, queue = product["MOODFLOW_PROJECT"], f"training-{how}"
    first = enqueued(tmp_path, project, queue)
    if how != "queue":
        Connection().call("tasks.dequeue", task=first)

    def ended() -> dict[str, Any] | None:
        rows = [row for row in mine(project) if how == "queue" or row["id"] != first]
        return next((row for row in rows if row["status"] in {"completed", "failed", "stopped"}), None)

    by = nullcontext() if how == "queue" else scheduled(how, first, tmp_path, project, queue)
    with an_agent(tmp_path, queue), by:
        run = until(ended, "the run ends", tmp_path, 1200)
    assert run["status"] == "completed", run
    assert_trained(run["id"], project, 1)
