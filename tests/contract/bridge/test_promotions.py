"""The model registry under many hands, and comparisons read back, on a real server."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from uuid import uuid4

import pytest

from clearml_utils import recorder, registry
from clearml_utils.compare import compare_experiments, compare_models
from clearml_utils.connection import Connection

pytestmark = [pytest.mark.xdist_group("clearml-registry")]
ROOT = Path(__file__).parents[3]
PROMOTER = """
import sys
from concurrent.futures import ThreadPoolExecutor
from clearml_utils import registry
from clearml_utils.connection import Connection
project, mine = sys.argv[1], [int(v) for v in sys.argv[2:]]
versions = {v.version: v for v in registry.Registry(Connection()).versions("m", project)}
print("ready", flush=True)
sys.stdin.readline()
def promote(number):
    return registry.Registry(Connection()).promote(versions[number], f"promoter of {number}").version
with ThreadPoolExecutor(len(mine)) as pool:
    print(sorted(pool.map(promote, mine)))
"""


@pytest.fixture
def project(clearml_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A project of the test's own, and the environment that names the server."""
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("CLEARML_UTILS_SPOOL", str(tmp_path / "spool"))
    recorder.reset()
    yield f"Registry {uuid4().hex[:8]}"
    recorder.reset()


def _register(project: str, tmp_path: Path, count: int) -> list[registry.ModelVersion]:
    file = tmp_path / "model.bin"
    file.write_bytes(b"weights")
    return [
        registry.register(
            "m", file, project=project, metrics={"skill": number / 10}, metadata={"data_hash": f"hash{number}"}
        )
        for number in range(1, count + 1)
    ]


def test_promoters_in_processes_and_threads_leave_one_champion(project: str, tmp_path: Path):
    """Three processes of two threads each promote six versions at once: all take effect one after another, in an
    unbroken history, and exactly one version is champion, in the fold and in the tags everybody sees.
    """
    _register(project, tmp_path, 6)
    promoters = [
        subprocess.Popen(
            [sys.executable, "-c", PROMOTER, project, *numbers],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        for numbers in (("1", "2"), ("3", "4"), ("5", "6"))
    ]  # fmt: skip
    try:
        for process in promoters:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
        told = [process.communicate("go\n", timeout=120) for process in promoters]
    finally:
        for process in promoters:
            process.kill()
    assert [out.strip() for out, _ in told] == ["[1, 2]", "[3, 4]", "[5, 6]"], told
    history = registry.history("m", project)
    counted = [p for p in history if p.counts]
    assert sorted(p.version for p in counted) == [1, 2, 3, 4, 5, 6], "every promoter got its turn, once"
    assert [p.base for p in counted] == ["", *(p.id for p in counted[:-1])]
    champion = registry.champion("m", project)
    assert champion is not None
    assert champion.version == counted[-1].version
    stages = {v.version: v.stage for v in registry.versions("m", project)}
    assert stages == {n: "champion" if n == champion.version else "retired" for n in range(1, 7)}
    rows = Connection().call("models.get_all", tags=["champion"], only_fields=["id", "project"])["models"]
    ours = {v.id for v in registry.versions("m", project)}
    assert [r["id"] for r in rows if r["id"] in ours] == [champion.id]


def test_compared_models_read_back(project: str, tmp_path: Path):
    """`compare_models` holds every version's numbers, facts and stage; recorded, its table reads back from ClearML."""
    first, second = _register(project, tmp_path, 2)
    registry.promote(second, "better")
    compared = compare_models("m", project)
    assert compared.rows == ("v1 (candidate)", "v2 (champion)")
    assert [compared.metrics[row]["skill"] for row in compared.rows] == [first.metrics["skill"], 0.2]
    assert [compared.facts[row]["data_hash"] for row in compared.rows] == ["hash1", "hash2"]
    assert {"data_hash", "stage"} <= set(compared.differ)
    assert compare_models("m", project, [2]).rows == ("v2 (champion)",)
    task = compared.record(project)
    plots = Connection().call("events.get_task_plots", task=task, iters=1)["plots"]
    by_name = {p["metric"]: json.loads(p["plot_str"]) for p in plots}
    assert set(by_name) == {"comparison", "skill"}
    assert by_name["skill"]["data"][0]["y"] == [0.1, 0.2]
    table = by_name["comparison"]["data"][0]
    columns = dict(zip(table["header"]["values"], table["cells"]["values"], strict=True))
    assert columns["name"] == ["v1 (candidate)", "v2 (champion)"]
    assert columns["skill"] == [0.1, 0.2]


def test_compared_experiments_read_back(project: str):
    """`compare_experiments` holds last scalars, single values and parameters of the tasks, in the order asked for."""
    connection = Connection()
    where = registry.Registry(connection)._projects.id(project)
    tasks = []
    for rate, losses in (("0.1", [0.9, 0.5]), ("0.2", [0.8, 0.3])):
        parameter = {"Args": {"rate": {"section": "Args", "name": "rate", "value": rate}}}
        task = connection.call("tasks.create", name="run", type="training", project=where, hyperparams=parameter)["id"]
        connection.call("tasks.started", task=task)
        event = {"type": "training_stats_scalar", "task": task, "metric": "loss", "variant": "train"}
        single = {**event, "metric": "Summary", "variant": "accuracy", "iter": -(2**31), "value": float(rate)}
        rows = [{**event, "iter": i, "value": v} for i, v in enumerate(losses)]
        connection.lines("events.add_batch", [*rows, single])
        tasks.append(task)
    compared = compare_experiments(tasks[::-1])
    assert compared.rows == (f"run {tasks[1][:6]}", f"run {tasks[0][:6]}")
    assert [compared.metrics[row] for row in compared.rows] == [
        {"loss/train": 0.3, "accuracy": 0.2},
        {"loss/train": 0.5, "accuracy": 0.1},
    ]
    assert compared.differ == ["Args/rate"]
