"""kill -9 under load: what was acknowledged is there after a restart."""

from __future__ import annotations

import contextlib
import os
import random
import sqlite3
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import requests

from tests.benchmarks.figures import spread, write
from tests.contract.embedded_server import Client, begin

pytestmark = [pytest.mark.xdist_group("embedded-durability"), pytest.mark.campaign]
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
KILLS = 50 if FULL else 4
WRITERS = 4


@dataclass
class Acknowledged:
    """What the server said yes to."""

    points: dict[str, list[int]] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    statuses: dict[str, str] = field(default_factory=dict)
    wrong: list[Exception] = field(default_factory=list)


def work(server: Client, seed: int, done: Acknowledged) -> None:
    """Track tasks until the server is gone, noting each answer as it comes."""
    random_numbers = random.Random(seed)
    with contextlib.suppress(requests.RequestException, ConnectionError):
        while not done.wrong:
            task = server.call("tasks.create", name=f"writer {seed}", type="training")["id"]
            done.statuses[task] = "created"
            done.points[task] = []
            server.call("tasks.started", task=task)
            done.statuses[task] = "in_progress"
            for batch in range(random_numbers.randrange(1, 5)):
                iterations = list(range(batch * 20, batch * 20 + 20))
                event = {"type": "training_stats_scalar", "task": task, "metric": "m", "variant": "v"}
                server.events(*({**event, "iter": step, "value": float(step)} for step in iterations))
                done.points[task] += iterations
            content = random_numbers.randbytes(random_numbers.randrange(1, 200_000))
            name = f"{task}/artifact.bin"
            assert server.upload(name, content).status_code == 200
            done.files[name] = content
            server.call("tasks.completed", task=task)
            done.statuses[task] = "completed"


def guarded(server: Client, seed: int, done: Acknowledged) -> None:
    """Do the work, keeping what went wrong for the test to raise."""
    try:
        work(server, seed, done)
    except Exception as error:  # noqa: BLE001 - raised again in the test
        done.wrong.append(error)


def check(server: Client, done: Acknowledged) -> None:
    """Read back everything that was acknowledged."""
    order = ("created", "in_progress", "completed")
    for task, status in done.statuses.items():
        found = server.call("tasks.get_by_id", task=task)["task"]["status"]
        assert order.index(found) >= order.index(status), (task, found, status)
    for task, iterations in done.points.items():
        curve = server.call("events.scalar_metrics_iter_histogram", task=task).get("m", {}).get("v", {"x": [], "y": []})
        points = dict(zip(curve["x"], curve["y"], strict=True))
        assert {step: points.get(step) for step in iterations} == {step: float(step) for step in iterations}
        assert len(curve["x"]) == len(set(curve["x"]))
    for name, content in done.files.items():
        assert server.file(name).content == content


def test_acknowledged_writes_survive_a_kill(tmp_path: Path) -> None:
    """At random moments of a load of tasks, events and uploads the process dies; all it acknowledged is there again.

    The database is sound, no file is half there. At full size the times to the first answered call after each kill are
    left in `build/bench/kills.json`: the aim is under two seconds.
    """
    moments = random.Random(20261123)
    data = tmp_path / "data"
    done = Acknowledged()
    total = 0
    restarts: list[float] = []
    server = begin(data)
    for kill in range(KILLS):
        threads = [threading.Thread(target=guarded, args=(server, kill * WRITERS + n, done)) for n in range(WRITERS)]
        for thread in threads:
            thread.start()
        time.sleep(moments.uniform(0.3, 1.5))
        server.service.kill()
        for thread in threads:
            thread.join(30)
        if done.wrong:
            raise done.wrong[0]
        total += len(done.statuses) + len(done.files)
        began = time.perf_counter()
        server = begin(data)
        restarts.append(time.perf_counter() - began)
        check(server, done)
        done = Acknowledged()
    assert total > KILLS * WRITERS
    incoming = data / "files" / ".incoming"
    assert not incoming.exists() or not list(incoming.iterdir())
    server.service.stop()
    if FULL:
        write("kills", spread("restart_s", restarts) | {"kills": KILLS, "acknowledged": total})
    database = sqlite3.connect(data / "clearml.db")
    assert database.execute("PRAGMA integrity_check").fetchone()[0] == "ok"
    assert database.execute("PRAGMA foreign_key_check").fetchall() == []
