"""Pages of the built-in viewer over ten thousand experiments: the time to answer, and the size.

The experiments are put there through the API; a page is timed at the client, over loopback, one after the other.
`worst_page_ms` is the slowest page's median, `largest_page_kb` the largest page.
"""

from __future__ import annotations

import json
import math
import sys
import tempfile
import time
from pathlib import Path

import httpx

from tests.benchmarks.figures import spread, write
from tests.contract.viewer.filled import Api, plot, scalar
from tests.services import running

EXPERIMENTS = 10_000
RUNS = 9
POINTS = 50
PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")


def fill(api: Api, count: int) -> tuple[str, list[str], str]:
    """Put experiments with three metrics and two parameters each into a project, all of them steps of one pipeline."""
    project = api.call("projects.create", name="Bench/viewer")["id"]
    controller = api.task(project, "pipeline", type="controller")
    made: list[str] = []
    for i in range(count):
        rows = {n: {"section": "Args", "name": n, "value": str(i % 97)} for n in ("rate", "depth")}
        task = api.call(
            "tasks.create", project=project, name=f"run {i:05d}", type="training", hyperparams={"Args": rows},
            tags=[f"tag{i % 7}"], parent=controller,
        )["id"]  # fmt: skip
        made.append(task)
        if len(made) % 500 == 0:
            api.events(
                [scalar(t, m, m, 0, math.sin(hash((t, m)))) for t in made[-500:] for m in ("mae", "rmse", "skill")]
            )
    for task in made[:20]:
        api.events([scalar(task, "loss", "train", s, math.exp(-s / 100)) for s in range(POINTS * 200)])
        api.events([{"type": "log", "task": task, "msg": "x" * 200, "timestamp": n} for n in range(5_000)])
    curve = {"data": [{"type": "scatter", "y": [math.sin(n / 50) for n in range(5_000)]}]}
    api.events([plot(made[0], f"plot {n}", curve) for n in range(60)])
    graph = {f"step {i}": {"parents": [f"step {i - 1}"] if i % 9 else [], "status": "completed", "job_id": task}
             for i, task in enumerate(made)}  # fmt: skip
    item = {"name": "Pipeline", "type": "json", "value": json.dumps(graph)}
    api.call("tasks.edit_configuration", task=controller, configuration=[item], force=True)
    for i in range(200):
        told = [{"key": f"metric.m{n}", "type": "str", "value": str(i / (n + 1))} for n in range(20)]
        fields = {"name": "forecaster", "uri": "file:///m", "project": project, "task": made[i % len(made)]}
        api.call("models.create", metadata=[*told, {"key": "version", "type": "int", "value": str(i)}], **fields)
    return project, made, controller


def pages(project: str, made: list[str], controller: str, mae: str) -> dict[str, str]:
    """Name the pages that are timed."""
    table = f"/projects/{project}/experiments"
    return {
        "home": "/", "project": f"/projects/{project}", "table": table, "table_by_metric": f"{table}?sort=-{mae}",
        "table_by_name_last": f"{table}?sort=name&page={EXPERIMENTS // 50 - 1}", "table_searched": f"{table}?q=run+0123",
        "table_tag": f"{table}?tag=tag3&sort=-{mae}", "task": f"/tasks/{made[0]}",
        "scalars": f"/tasks/{made[0]}?tab=scalars", "log": f"/tasks/{made[0]}?tab=log",
        "plots": f"/tasks/{made[0]}?tab=plots", "children": f"/tasks/{controller}?tab=children",
        "pipeline": f"/pipelines/{project}/experiments/{controller}", "models": f"/projects/{project}/models",
        "compare_12": f"/projects/*/compare-experiments;ids={','.join(made[:12])}",
    }  # fmt: skip


def main(count: int = EXPERIMENTS) -> None:
    """Fill, time, write build/bench/viewer.json."""
    figures: dict[str, float | int | str] = {"experiments": count}
    with tempfile.TemporaryDirectory() as folder, running("server.embedded", Path(folder), PORTS) as service:
        project, made, controller = fill(Api(service), count)
        with httpx.Client(base_url=service.ready["urls"]["web"], timeout=60) as client:
            text = client.get(f"/projects/{project}/experiments").text
            mae = text.split('name="m" value="')[1].split('"')[0]
            worst, largest = 0.0, 0
            for name, path in pages(project, made, controller, mae).items():
                times = []
                for _ in range(RUNS + 1):
                    began = time.perf_counter()
                    answer = client.get(path)
                    times.append((time.perf_counter() - began) * 1e3)
                    answer.raise_for_status()
                found = spread(f"{name}_ms", times[1:])  # the first one fills the page cache
                figures |= found
                worst, largest = max(worst, found[f"{name}_ms"]), max(largest, len(answer.content))
    write("viewer", figures | {"worst_page_ms": worst, "largest_page_kb": largest / 1e3})


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
