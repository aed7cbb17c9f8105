"""An embedded server with something to look at, put there through its API by a plain HTTP client."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from tests.services import Service


class Api:
    """The API of a running server."""

    def __init__(self, service: Service) -> None:
        keys = json.loads(Path(service.ready["credentials"]).read_text())
        self.client = httpx.Client(base_url=service.ready["urls"]["api"], timeout=30)
        answer = self.client.post("/auth.login", auth=(keys["access_key"], keys["secret_key"]))
        self.client.headers["Authorization"] = f"Bearer {answer.json()['data']['token']}"

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        answer = self.client.post(f"/{endpoint}", json=body)
        assert answer.status_code == 200, (endpoint, answer.text[:600])
        return answer.json()["data"]

    def events(self, events: list[dict[str, Any]]) -> None:
        text = "\n".join(json.dumps(event) for event in events)
        answer = self.client.post("/events.add_batch", content=text, headers={"Content-Type": "application/json-lines"})
        assert answer.status_code == 200, answer.text[:600]

    def task(self, project: str, name: str, **fields: Any) -> str:
        made = self.call("tasks.create", project=project, name=name, type=fields.pop("type", "training"), **fields)
        self.call("tasks.started", task=made["id"], force=True)
        return str(made["id"])


@dataclass
class Filled:
    """Ids of what there is."""

    api: Api
    web: str
    files: str
    project: str = ""
    live: str = ""
    tasks: list[str] = field(default_factory=list)
    models: list[str] = field(default_factory=list)
    pipeline: str = ""
    report: str = ""
    report_project: str = ""
    environment: dict[str, str] = field(default_factory=dict)


def scalar(task: str, metric: str, variant: str, step: int, value: float) -> dict[str, Any]:
    return {
        "type": "training_stats_scalar", "task": task, "metric": metric, "variant": variant, "iter": step,
        "value": value, "timestamp": 1_750_000_000_000 + step,
    }  # fmt: skip


def plot(task: str, metric: str, figure: Any) -> dict[str, Any]:
    text = figure if isinstance(figure, str) else json.dumps(figure)
    return {
        "type": "plot", "task": task, "metric": metric, "variant": "v", "iter": 0, "plot_str": text,
        "timestamp": 1_750_000_000_000,
    }  # fmt: skip


PLOTS = {
    "lines": {"data": [
        {"type": "scatter", "name": "mood", "mode": "lines+markers", "x": ["2024-01-01", "2024-01-02", "2024-01-03"], "y": [1, None, 3]},
        {"type": "scatter", "name": "forecast", "mode": "lines", "x": ["2024-01-01", "2024-01-03"], "y": [2, 2.5]},
    ]},
    "bars": {"data": [{"type": "bar", "x": ["a", "b"], "y": [1, -2]}]},
    "table": {"data": [{"type": "table", "header": {"values": ["person", "mean"]}, "cells": {"values": [["p1", "<b>p2</b>"], [1.5, 2.25]]}}]},
    "heat": {"data": [{"type": "heatmap", "z": [[1, 2], [3, 4]]}]},
    "packed": {"data": [{"type": "scatter", "y": {"dtype": "f8", "bdata": "AAAAAAAA8D8AAAAAAAAAQA=="}}]},
    "unknown": {"data": [{"type": "sankey", "node": {"label": ["<script>alert(1)</script>"]}}]},
    "broken": "{not json",
}  # fmt: skip


def steps(*names: tuple[str, str, list[str]], tasks: list[str]) -> dict[str, Any]:
    graph = {
        name: {
            "parents": parents,
            "status": status,
            "job_id": tasks[i],
            "job_started": 1.75e9,
            "job_ended": 1.75e9 + 2.5,
        }
        for i, (name, status, parents) in enumerate(names)
    }
    return {"Pipeline": {"name": "Pipeline", "type": "json", "value": json.dumps(graph)}}


def fill(service: Service) -> Filled:
    """Put projects, experiments, models, a pipeline and a report into a server."""
    api = Api(service)
    found = Filled(api, service.ready["urls"]["web"], service.ready["urls"]["files"])
    keys = json.loads(Path(service.ready["credentials"]).read_text())
    found.environment = {f"CLEARML_{name.upper()}_HOST": url for name, url in service.ready["urls"].items()} | {
        "CLEARML_API_ACCESS_KEY": keys["access_key"], "CLEARML_API_SECRET_KEY": keys["secret_key"],
    }  # fmt: skip
    found.project = api.call("projects.create", name="Mood/study", description="**What** this is. [a](javascript:x)")[
        "id"
    ]
    found.live = api.call("projects.create", name="Live")["id"]
    for i in range(4):
        rows = {
            "rate": {"section": "Args", "name": "rate", "value": f"0.{i}"},
            "same": {"section": "Args", "name": "same", "value": "1"},
        }
        task = api.task(
            found.project, f"run {i} <&>", hyperparams={"Args": rows}, tags=["even" if i % 2 == 0 else "odd"]
        )
        events = [scalar(task, "loss", "train", s, math.exp(-s / 10) + i) for s in range(50)]
        events += [scalar(task, "Summary", "mae", -(2**31), 0.5 + i / 10)]
        events += [
            {
                "type": "log",
                "task": task,
                "level": "info",
                "msg": f"line {n} of {i}",
                "timestamp": 1_750_000_000_000 + n,
            }
            for n in range(700 if i == 0 else 3)
        ]
        api.events(events + ([plot(task, name, figure) for name, figure in PLOTS.items()] if i == 0 else []))
        artifact = {"key": "frame", "type": "pandas", "uri": f"{service.ready['urls']['files']}/x", "hash": f"{i}" * 64}
        api.call(
            "tasks.add_or_update_artifacts",
            task=task,
            artifacts=[artifact, {"key": "odd", "uri": "javascript:alert(1)", "type": "custom"}],
            force=True,
        )
        if i < 3:
            api.call("tasks.completed", task=task, force=True)
        found.tasks.append(task)
    for version in (1, 2):
        metadata = [
            {"key": "version", "type": "int", "value": str(version)},
            {"key": "mae", "type": "float", "value": f"0.{version}"},
        ]
        found.models.append(
            api.call(
                "models.create",
                name="forecaster",
                uri="file:///m.pkl",
                project=found.project,
                task=found.tasks[0],
                tags=["champion"],
                metadata=metadata,
            )["id"]
        )
    pipelines = api.call("projects.create", name="Mood/.pipelines/cycle", system_tags=["pipeline", "hidden"])["id"]
    graph = steps(
        ("collect", "completed", []),
        ("analyse", "running", ["collect"]),
        ("notify", "pending", ["analyse"]),
        tasks=found.tasks,
    )
    found.pipeline = api.task(pipelines, "cycle", type="controller", configuration=graph, system_tags=["pipeline"])
    frame = f'<iframe src="{found.web}/widgets/?type=plot&objectType=task&objects={found.tasks[0]}&metrics=lines&variants=v" width="100%"></iframe>'
    frame += "\n\n" + frame.replace("metrics=lines", "metrics=table")
    text = f"# Wellbeing\n\n<script>alert(1)</script>\n\n{frame}\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n![x](http://elsewhere.example/x.png)"
    made = api.call("reports.create", project=found.project, name="Wellbeing of the group", report=text)
    found.report, found.report_project = made["id"], made["project_id"]
    return found
