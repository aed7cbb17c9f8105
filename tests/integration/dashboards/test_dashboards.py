"""The dashboards and the comparison command against a running embedded server, through the SDK's own session."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.contract.viewer.filled import Api, plot, scalar
from tests.services import running

pytestmark = pytest.mark.xdist_group("dashboards")
ROOT = Path(__file__).resolve().parents[3]
PORTS = ("--api-port", "0", "--files-port", "0", "--web-port", "0")
BUILD = """
import json
from flows import settings as product
from flows.dashboards.flow import read_numbers, write_reports
settings = product.load()
print(json.dumps(write_reports.fn(settings, read_numbers.fn(settings))))
"""


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server, and the environment of a client of it."""
    folder = tmp_path_factory.mktemp("dashboards")
    with running("server.embedded", folder / "clearml", PORTS) as service:
        keys = json.loads(Path(service.ready["credentials"]).read_text())
        urls = service.ready["urls"]
        clean = {n: v for n, v in os.environ.items() if not n.startswith(("CLEARML", "TRAINS", "MOODFLOW", "PREFECT"))}
        env = clean | {
            "CLEARML_API_HOST": urls["api"], "CLEARML_WEB_HOST": urls["web"], "CLEARML_FILES_HOST": urls["files"],
            "CLEARML_API_ACCESS_KEY": keys["access_key"], "CLEARML_API_SECRET_KEY": keys["secret_key"],
            "MOODFLOW_HOME": str(folder / "home"), "PREFECT_HOME": str(folder / "prefect"), "PYTHONPATH": str(ROOT),
            "HOME": str(folder), "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
        }  # fmt: skip
        (folder / "home").mkdir()
        yield Api(service), env


def run(env: dict[str, str], *arguments: str) -> str:
    done = subprocess.run(
        [sys.executable, *arguments], env=env, cwd=env["HOME"], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done.stdout


def analysed(api: Api, people: int) -> str:
    """Put an analysis into ClearML as the bridge records it."""
    project = api.call("projects.get_all", name="^Moodflow/analyse$")["projects"]
    home = project[0]["id"] if project else api.call("projects.create", name="Moodflow/analyse")["id"]
    task = api.task(home, "indices and reports-abc")
    table = {
        "data": [{"type": "table", "header": {"values": ["index", "mean"]}, "cells": {"values": [["sd"], [1.25]]}}]
    }
    days = {"data": [{"type": "scatter", "x": ["2026-03-01", "2026-03-02"], "y": [2.5, 2.75]}]}
    drawn = [plot(task, "indices over people", table), plot(task, "level by day", days)]
    api.events([scalar(task, "Summary", "people", -(2**31), people), *drawn])
    api.call("tasks.completed", task=task, force=True)
    return task


def test_reports_are_written_kept_and_shown(server):
    """The flow writes five reports with live charts, edits the same ones the next time, and links them from the project."""
    api, env = server
    analysed(api, 12)
    first = json.loads(run(env, "-c", BUILD).splitlines()[-1])
    again = json.loads(run(env, "-c", BUILD).splitlines()[-1])
    assert len(first) == 5
    assert first == again, "the addresses stay good"
    page = httpx.get(first["Wellbeing of the group"]).text
    assert "12 people" in page
    assert "<td>1.25</td>" in page, "the embedded table is drawn from the analysis"
    assert page.count('<svg class="chart"') == 1, "and so is the level by day"
    described = api.call("projects.get_all", name="^Moodflow$", only_fields=["description"])["projects"][0][
        "description"
    ]
    assert all(f"]({url})" in described for url in first.values())
    home = api.call("projects.get_all", name="^Moodflow$", only_fields=["id"])["projects"][0]["id"]
    project = httpx.get(f"{env['CLEARML_WEB_HOST']}/projects/{home}").text
    for title, url in first.items():
        assert f">{title}</a>" in project, "the project's page in the viewer links to each"
        shown = httpx.get(url)
        assert (title, shown.status_code, f"<h1>{title}</h1>" in shown.text) == (title, 200, True)


def test_a_small_group_is_not_shown(server):
    """When the last analysis was of four people, the reports that were there lose their numbers."""
    api, env = server
    analysed(api, 4)
    links = json.loads(run(env, "-c", BUILD).splitlines()[-1])
    for title in ("Wellbeing of the group", "Data quality and compliance"):
        page = httpx.get(links[title]).text
        assert (title, "Fewer than 5 people" in page, "<table>" in page, "1.25" in page) == (title, True, False, False)


def compared(api: Api, name: str) -> list[str]:
    """Put three runs into ClearML that differ in a parameter, a metric with its interval, data, code and a curve."""
    project = api.call("projects.create", name=name)["id"]
    ids = []
    for i in range(3):
        args = {n: {"section": "Args", "name": n, "value": v} for n, v in (("rate", f"0.{i}"), ("same", "1"))}
        script = {
            "repository": "https://example.org/r.git", "version_num": f"c0ffee{i}", "entry_point": "train.py",
            "diff": f"+rate = 0.{i}\n+epochs = 3\n", "requirements": {"pip": f"numpy==1.{i}\npandas==2.0"},
        }  # fmt: skip
        made = api.task(project, f"run {i}", hyperparams={"Args": args}, script=script)
        values = {"mae": 0.5 + i / 4, "mae_low": 0.4 + i / 4, "mae_high": 0.6 + i / 4}
        api.events([scalar(made, "Summary", name, -(2**31), value) for name, value in values.items()])
        api.events([scalar(made, "loss", "train", step, 1 / (step + 1) + i) for step in range(20)])
        artifact = {"key": "frame", "type": "custom", "uri": "http://127.0.0.1/x", "hash": f"{i}" * 64}
        api.call("tasks.add_or_update_artifacts", task=made, artifacts=[artifact], force=True)
        ids.append(made)
    return ids


def test_experiments_are_compared_from_the_command_line(server, tmp_path):
    """`moodflow compare`: deltas with intervals, curves over each other, parameters, data and code that differ; as
    JSON, a page, a ClearML task, and the address of the same page in ClearML.
    """
    api, env = server
    ids = compared(api, "Compared")
    page = tmp_path / "c.html"
    said = json.loads(run(env, "-m", "flows", "compare", *ids, "--html", str(page), "--record", "--json"))
    first, second, third = (f"run {i} {ids[i][:6]}" for i in range(3))
    assert said["intervals"]["mae"][first] == [0.4, 0.6]
    assert {row: round(d["value"], 6) for row, d in said["deltas"]["mae"].items()} == {second: 0.25, third: 0.5}
    assert said["deltas"]["mae"][third]["low"] == pytest.approx(0.5 - 0.1 * 2**0.5)
    assert said["differ"]["Parameters"] == {"Args/rate": ["0.0", "0.1", "0.2"]}
    assert said["differ"]["Data"] == {"artifact frame": ["0" * 64, "1" * 64, "2" * 64]}
    assert said["differ"]["Code"] == {
        "version_num": ["c0ffee0", "c0ffee1", "c0ffee2"], "package numpy": ["1.0", "1.1", "1.2"],
    }  # fmt: skip
    assert "-+rate = 0.0\n++rate = 0.2" in said["diffs"][third]
    assert set(said["curves"]["loss/train"]) == {first, second, third}
    text = page.read_text()
    assert text.count("<polyline") == 3
    assert "Δ +0.25" in text
    assert "c0ffee2" in text
    assert f'href="{said["page"]}"' in text
    assert "Comparison of 3 experiments" in httpx.get(said["page"]).text
    kept = api.call("tasks.get_all", id=[said["task"]], search_hidden=True)["tasks"][0]
    assert (kept["status"], kept["tags"]) == ("completed", ["comparison"])
    assert set(kept["configuration"]) == {f"source of {second}", f"source of {third}"}
    plots = api.call("events.get_task_plots", task=said["task"], iters=1)["plots"]
    drawn = {event["metric"]: json.loads(event["plot_str"]) for event in plots}
    assert {"comparison", "mae", "loss/train by iteration", "Data that differs", "Code that differs"} <= set(drawn)
    assert [line["name"] for line in drawn["loss/train by iteration"]["data"]] == [first, second, third]
    assert drawn["mae"]["data"][0]["error_y"]["array"] == pytest.approx([0.1] * 3)
    for made in ids:
        api.call("tasks.completed", task=made, force=True)
    newest = run(env | {"MOODFLOW_PROJECT": "Compared"}, "-m", "flows", "compare", "--named", "run", "--json")
    assert json.loads(newest)["ids"] == ids[::-1], "without ids: the newest of that name in the project"
    shown = run(env | {"COLUMNS": "200"}, "-m", "flows", "compare", *ids)
    for words in ("0.75 [0.65, 0.85] (+0.25", "loss/train by iteration", "▁", "Code that differ", "c0ffee2"):
        assert words in " ".join(shown.split()), words


REGISTER = """
import sys
from pathlib import Path
from clearml_utils import registry
for path, task in zip(sys.argv[1::2], sys.argv[2::2]):
    registry.register("next-beep-forecast", Path(path), project="Moodflow", metrics={"mae": float(len(task))}, task_id=task,
                      metadata={"data_hash": path})
"""


def test_model_versions_are_compared_with_what_made_them(server, tmp_path):
    """Versions of a model: their numbers and metadata, and data, code and curves of the tasks that made them."""
    api, env = server
    ids = compared(api, "Made models")
    files = [tmp_path / f"m{i}" for i in range(2)]
    for path in files:
        path.write_text(path.name)
    pairs = [str(word) for path, task in zip(files, ids, strict=False) for word in (path, task)]
    run(env, "-c", REGISTER, *pairs)
    said = json.loads(run(env, "-m", "flows", "compare", "--model", "next-beep-forecast", "--json"))
    assert said["rows"][0]["name"] == "v1 (candidate)"
    assert said["differ"]["Metadata"]["data_hash"] == [str(path) for path in files]
    assert said["differ"]["Code"]["version_num"] == ["c0ffee0", "c0ffee1"]
    assert set(said["curves"]["loss/train"]) == {"v1 (candidate)", "v2 (candidate)"}
    assert "Comparison of 2 models" in httpx.get(said["page"]).text
    chosen = json.loads(run(env, "-m", "flows", "models", "compare", "2", "1", "--json"))
    assert [row["name"] for row in chosen["rows"]] == ["v2 (candidate)", "v1 (candidate)"], (
        "the first named is the base"
    )
    lost = subprocess.run(
        [sys.executable, "-m", "flows", "models", "compare", "1", "9"],
        env=env, cwd=env["HOME"], capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert (lost.returncode, "no version 9" in lost.stderr) == (2, True), lost.stderr


def test_comparing_what_cannot_be_compared_says_so(server, tmp_path):
    """One line that names it and the next step, never a traceback: exit status 2 for what is not there or too few, 3
    when ClearML does not answer.
    """
    _, env = server
    away = env | {"CLEARML_API_HOST": "http://127.0.0.1:1"}
    for words, code, named, where in (
        (["compare", "0" * 32, "1" * 32], 2, "0" * 32, env),
        (["compare", "0" * 32, "0" * 32], 2, "name two experiments", env),
        (["models", "compare", "--model", "never registered"], 2, "never registered", env),
        (["compare", "0" * 32, "1" * 32], 3, "host='127.0.0.1', port=1", away),
    ):
        done = subprocess.run(
            [sys.executable, "-m", "flows", *words],
            env=where, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=240,
        )  # fmt: skip
        said = " ".join(done.stderr.split())
        assert (words, done.returncode, named in said.replace(" ", "") or named in said) == (words, code, True), said
        assert "Traceback" not in done.stderr
