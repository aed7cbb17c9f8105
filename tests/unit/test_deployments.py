"""What is shipped for running the flows elsewhere, checked as what it is."""

from __future__ import annotations

import configparser
import importlib
import inspect
import json
import re
import shutil
import subprocess
from pathlib import Path

import jsonschema
import pytest
import yaml

from flows.commands.stack import LEASES
from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
HERE = ROOT / "deployments"


@pytest.fixture(scope="module")
def compose():
    return yaml.safe_load((HERE / "compose.yaml").read_text())


def test_the_production_compose_publishes_nothing_beyond_loopback_and_pins_its_images(compose):
    """Ports on loopback; images with a version; limits for each; databases on a network without a way out."""
    for name, service in compose["services"].items():
        assert all(port.startswith("127.0.0.1:") for port in service.get("ports", [])), name
        assert ":" in service["image"]
        assert not service["image"].endswith(":latest")
        assert service["deploy"]["resources"]["limits"].keys() == {"memory", "cpus"}
    assert compose["services"]["postgres"]["networks"] == ["stores"]
    assert compose["networks"]["stores"]["internal"] is True


def test_every_service_that_stays_has_a_health_check_and_every_base_image_a_whole_version(compose):
    """What runs on can be waited for and is restarted when it is deaf; images are built on one release of Python."""
    for name, service in compose["services"].items():
        assert service["restart"] == "no" or service["healthcheck"]["test"][0].startswith("CMD"), name
    bases = re.findall(r"^FROM (\S+)", (HERE / "Dockerfile").read_text(), re.MULTILINE)
    assert len(bases) == 2
    assert all(re.search(r":\d+\.\d+\.\d+-", base) for base in bases)


def test_places_under_limits_outlive_a_restart_of_prefect_everywhere(compose):
    """Kept in memory, as by default, a place whose run died with the server would never be free again: in the local stack,
    the compose file and the unit they are on disk, in a directory that stays.
    """
    prefect = compose["services"]["prefect"]
    assert prefect["environment"]["PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE"] == LEASES
    assert prefect["volumes"] == [f"prefect:{prefect['environment']['PREFECT_HOME']}"]
    unit = (HERE / "systemd" / "moodflow-prefect.service").read_text()
    assert f"PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE={LEASES}" in unit
    assert "PREFECT_HOME=/var/lib/moodflow/prefect" in unit
    importlib.import_module(LEASES)


def test_images_are_built_without_answers_or_secrets():
    """Docker is shown what an image is made of, and nothing else of the directory."""
    lines = [line for line in (ROOT / ".dockerignore").read_text().splitlines() if line and not line.startswith("#")]
    assert lines[0] == "*"
    shown = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = {
        word
        for line in re.findall(r"^COPY (?!--from)(.*)", (HERE / "Dockerfile").read_text(), re.MULTILINE)
        for word in line.split()[:-1]
        if not word.startswith("--")
    }
    assert copied == shown
    assert {"**/.env", "server/official/config"} <= {*lines}


def test_the_example_environment_names_what_compose_asks_for():
    """Every variable without a default is in the example, and the example holds no value."""
    asked = set(re.findall(r"\$\{(\w+):\?", (HERE / "compose.yaml").read_text()))
    lines = [line for line in (HERE / "production.env.example").read_text().splitlines() if not line.startswith("#")]
    given = dict(line.split("=", 1) for line in lines)
    assert asked == given.keys()
    assert set(given.values()) == {""}
    known = {f"MOODFLOW_{name.upper()}" for name in Settings.model_fields}
    assert {name for name in given if name.startswith("MOODFLOW_")} <= known


@pytest.mark.parametrize("path", sorted((HERE / "systemd").glob("*.service")), ids=lambda p: p.stem)
def test_units_are_confined_and_keep_secrets_out(path):
    """Each unit parses, restarts, has a private state directory, and takes secrets from a file alone."""
    unit = configparser.ConfigParser(interpolation=None, strict=False)
    unit.optionxform = str
    unit.read_string(path.read_text())
    service = unit["Service"]
    assert service["User"] == "moodflow"
    assert service["StateDirectoryMode"] == "0700"
    assert service["UMask"] == "0077"
    assert service["NoNewPrivileges"] == "yes"
    assert service["Restart"] == "always"
    assert not re.search(r"KEY|TOKEN|SECRET|PASSWORD", service["Environment"])
    assert service["ExecStart"].startswith("/opt/moodflow/.venv/bin/")


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed")
def test_systemd_itself_finds_nothing_wrong_with_the_units(tmp_path):
    """`systemd-analyze verify` says nothing about any unit, and names a misspelt key (programs stand in for ours)."""

    def said(change: str = "") -> str:
        paths = []
        for unit in (HERE / "systemd").glob("*.service"):
            text = re.sub(r"/opt/moodflow/.venv/bin/\w+", "/bin/true", unit.read_text()).replace("/opt/moodflow", "/")
            paths.append(tmp_path / unit.name)
            paths[-1].write_text(text.replace("Restart=", change) if change else text)
        command = ["systemd-analyze", "verify", "--man=no", *map(str, paths)]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=300).stderr

    assert "moodflow" not in said()
    assert "Restrat" in said("Restrat=")


def test_the_docker_pool_is_a_valid_base_job_template():
    """Every placeholder of the job is a variable with a schema; the schema is one."""
    pool = json.loads((HERE / "pools" / "docker.json").read_text())
    used = set(re.findall(r"\{\{ (\w+) \}\}", json.dumps(pool["job_configuration"])))
    assert used == pool["variables"]["properties"].keys()
    jsonschema.Draft202012Validator.check_schema(pool["variables"])


@pytest.mark.parametrize("path", sorted((HERE / "automations").glob("*.yaml")), ids=lambda p: p.stem)
def test_automations_are_what_prefect_reads(path):
    """Prefect's own schema takes each file."""
    from prefect.events.schemas.automations import AutomationCore

    core = AutomationCore.model_validate(yaml.safe_load(path.read_text()))
    assert core.enabled
    assert core.actions


def test_every_deployment_names_a_flow_that_exists_and_parameters_it_takes():
    """Entrypoints import; parameters are the flow's; every flow of the product has a limit of one run at a time."""
    for one in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"]:
        module, _, name = one["entrypoint"].rpartition(":" if ":" in one["entrypoint"] else ".")
        found = getattr(importlib.import_module(module.removesuffix(".py").replace("/", ".")), name)
        assert one.get("parameters", {}).keys() <= inspect.signature(found.fn).parameters.keys()
        assert one["concurrency_limit"]["limit"] == 1
        assert one["schedules"]
