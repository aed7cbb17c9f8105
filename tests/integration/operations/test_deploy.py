"""`prefect --no-prompt deploy --all` against a real server: every deployment, its schedule and its triggers."""

from __future__ import annotations

import os

import httpx
import pytest
import yaml

from flows.commands.prefect_api import ROOT, deploy_all, make_pool

pytestmark = pytest.mark.xdist_group("prefect")


def test_every_flow_is_deployed_with_its_schedule_and_triggers(prefect_server, tmp_path):
    """What prefect.yaml names is on the server: deployments, active schedules, event triggers, one run at a time."""
    wanted = {d["name"]: d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]}
    env = {**os.environ, "PREFECT_API_URL": prefect_server}
    make_pool(env, "moodflow")
    deploy_all(env, tmp_path / "deploy.log")
    with httpx.Client(base_url=prefect_server.rstrip("/") + "/", timeout=60) as http:
        found = {d["name"]: d for d in http.post("deployments/filter", json={}).raise_for_status().json()}
        automations = http.post("automations/filter", json={}).raise_for_status().json()
        try:
            assert wanted.keys() <= found.keys()
            for name in wanted:
                assert len(found[name]["schedules"]) == len(wanted[name]["schedules"])
                assert found[name]["global_concurrency_limit"]["limit"] == 1
            triggers = {t["name"] for d in wanted.values() for t in d.get("triggers", [])}
            assert triggers == {"new answers -> collect", "drift -> train", "failed run -> monitor"}
            assert triggers <= {a["name"] for a in automations}
        finally:  # the server is shared: schedules would fill it with runs
            for name in wanted:
                http.delete(f"deployments/{found[name]['id']}")
