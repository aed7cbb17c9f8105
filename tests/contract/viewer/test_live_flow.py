"""The graph of a flow that really runs, followed on an open page: Prefect runs it, the bridge records it, nobody reloads."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

from tests.contract.viewer.conftest import ARGUMENTS, CHROMIUM

pytestmark = [
    pytest.mark.browser,
    pytest.mark.skipif(CHROMIUM is None, reason="chromium is not installed"),
    pytest.mark.xdist_group("prefect"),
]
ROOT = Path(__file__).resolve().parents[3]
PATIENCE = 180_000
FLOW = """
import sys, time
from pathlib import Path
from clearml_utils import flow, task

gate = Path(sys.argv[1])

@task
def collect() -> int:
    return 1

@task
def analyse(rows: int) -> int:
    while not gate.exists():
        time.sleep(0.05)
    return rows

@flow(name="followed", flow_run_name="followed", project="Followed")
def followed() -> int:
    return analyse(collect())

followed()
"""


def controller(server: dict[str, str]) -> str | None:
    """Address of the run's page, as soon as ClearML knows of it."""
    keys = (server["CLEARML_API_ACCESS_KEY"], server["CLEARML_API_SECRET_KEY"])
    api = server["CLEARML_API_HOST"]
    token = httpx.post(f"{api}/auth.login", auth=keys).json()["data"]["token"]
    body = {"type": ["controller"], "name": "followed", "search_hidden": True, "only_fields": ["id", "project"]}
    found = httpx.post(f"{api}/tasks.get_all", json=body, headers={"Authorization": f"Bearer {token}"}).json()["data"]
    web = server["CLEARML_WEB_HOST"]
    return next((f"{web}/pipelines/{t['project']}/experiments/{t['id']}" for t in found["tasks"]), None)


def test_a_running_flow_is_followed_without_a_reload(prefect_server, clearml_server, tmp_path: Path):
    """A step that works is shown as running; when it ends, the open page says so and stops asking."""
    from playwright.sync_api import sync_playwright

    script, gate = tmp_path / "followed.py", tmp_path / "gate"
    script.write_text(FLOW)
    env = {n: v for n, v in os.environ.items() if not n.startswith(("CLEARML", "MOODFLOW"))} | clearml_server
    env |= {"PREFECT_API_URL": prefect_server, "CLEARML_UTILS_SPOOL": str(tmp_path / "spool"), "PYTHONPATH": str(ROOT)}
    with (
        (tmp_path / "log").open("w") as log,
        subprocess.Popen([sys.executable, script, gate], env=env, cwd=tmp_path, stdout=log, stderr=log) as process,
        sync_playwright() as player,
    ):
        try:
            browser = player.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
            page = browser.new_page()
            page.set_default_timeout(PATIENCE)
            while (address := controller(clearml_server)) is None:
                assert process.poll() is None, (tmp_path / "log").read_text()[-3000:]
                page.wait_for_timeout(200)
            loads: list[str] = []
            page.on("framenavigated", lambda frame: loads.append(frame.url))
            page.goto(address)
            page.locator("a[aria-label^='collect'][aria-label$=': completed']").wait_for()
            page.locator("a[aria-label^='analyse'][aria-label$=': running']").wait_for()
            gate.touch()
            page.locator("a[aria-label^='analyse'][aria-label$=': completed']").wait_for()
            page.locator("[data-live='0']").wait_for(state="attached")
            assert loads == [address], "the page was not loaded again"
            assert process.wait(120) == 0
            browser.close()
        finally:
            gate.touch()
