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
    api.events([scalar(task, "Summary", "people", -(2**31), people), plot(task, "indices over people", table)])
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
    described = api.call("projects.get_all", name="^Moodflow$", only_fields=["description"])["projects"][0][
        "description"
    ]
    assert all(f"]({url})" in described for url in first.values())


def test_a_small_group_is_not_shown(server):
    """When the last analysis was of four people, the reports that were there lose their numbers."""
    api, env = server
    analysed(api, 4)
    links = json.loads(run(env, "-c", BUILD).splitlines()[-1])
    for title in ("Wellbeing of the group", "Data quality and compliance"):
        page = httpx.get(links[title]).text
        assert (title, "Fewer than 5 people" in page, "<table>" in page, "1.25" in page) == (title, True, False, False)


def test_experiments_are_compared_from_the_command_line(server, tmp_path):
    """`moodflow compare` tells the distance from the first, what differs, and the address of the same page in ClearML."""
    api, env = server
    project = api.call("projects.create", name="Compared")["id"]
    ids = []
    for i in range(3):
        rows = {
            "rate": {"section": "Args", "name": "rate", "value": f"0.{i}"},
            "same": {"section": "Args", "name": "same", "value": "1"},
        }
        ids.append(api.task(project, f"run {i}", hyperparams={"Args": rows}))
        api.events([scalar(ids[-1], "Summary", "mae", -(2**31), 0.5 + i / 4)])
    said = json.loads(
        run(env, "-m", "flows", "compare", *ids, "--html", str(tmp_path / "c.html"), "--record", "--json")
    )
    assert sorted(said["deltas"]["mae"].values()) == [0.25, 0.5]
    assert "Args/rate" in said["rows"][0]
    assert "Args/same" not in said["rows"][0]
    assert "<table>" in (tmp_path / "c.html").read_text()
    assert "Comparison of 3 experiments" in httpx.get(said["page"]).text
    kept = api.call("tasks.get_all", id=[said["task"]], search_hidden=True)["tasks"][0]
    assert (kept["status"], kept["tags"]) == ("completed", ["comparison"])
