"""The official SDK against a real server over HTTP, each scenario in a process of its own.

The server is the one named by CLEARML_API_HOST and credentials where the environment has them, or else an embedded one
started for the run. The SDK is configured by its own environment variables and a file of two lines.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.services import running

Scenario = Callable[..., dict[str, Any]]
PREAMBLE = """
import json, os, subprocess, sys, textwrap, time
from pathlib import Path
def answer(**values):
    print("ANSWER " + json.dumps(values), flush=True)
def run(name, text):
    Path(name).write_text(textwrap.dedent(text))
    subprocess.run([sys.executable, name], check=True)
def call(service, action, **body):
    from clearml.backend_api import Session
    return Session().send_request(service, action, json=body).json()
"""


@pytest.fixture(scope="session")
def clearml_env(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Environment of a process that talks to the server under test."""
    folder = tmp_path_factory.mktemp("clearml")
    config = folder / "clearml.conf"
    config.write_text(
        "sdk.development.report_use_subprocess: false\nagent.package_manager.system_site_packages: true\n"
    )
    base = {"CLEARML_CONFIG_FILE": str(config), "CLEARML_LOG_LEVEL": "ERROR"}
    if os.environ.get("CLEARML_API_HOST") and os.environ.get("CLEARML_API_ACCESS_KEY"):
        yield base
        return
    with running(
        "server.embedded", folder / "data", ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
    ) as server:
        keys = json.loads(Path(server.ready["credentials"]).read_text())
        yield base | {
            "CLEARML_API_HOST": server.ready["urls"]["api"],
            "CLEARML_FILES_HOST": server.ready["urls"]["files"],
            "CLEARML_WEB_HOST": server.ready["urls"]["web"],
            "CLEARML_API_ACCESS_KEY": keys["access_key"],
            "CLEARML_API_SECRET_KEY": keys["secret_key"],
        }


@pytest.fixture
def environment(clearml_env: dict[str, str], tmp_path: Path) -> dict[str, str]:
    """Environment of one scenario: a cache of its own, nothing inherited from an outer task."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(("CLEARML_TASK", "CLEARML_PROC"))
    }
    return {**inherited, **clearml_env, "CLEARML_CACHE_DIR": str(tmp_path / "cache"), "PYTHONPATH": ""}


@pytest.fixture
def scenario(environment: dict[str, str], tmp_path: Path) -> Scenario:
    """Run a script against the server; returns what it answered."""

    def run(script: str, timeout: float = 300, **extra: str) -> dict[str, Any]:
        path = tmp_path / "scenario.py"
        path.write_text(PREAMBLE + textwrap.dedent(script))
        done = subprocess.run(
            [sys.executable, str(path)],
            cwd=tmp_path,
            env=environment | extra,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        lines = [line for line in done.stdout.splitlines() if line.startswith("ANSWER ")]
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        assert lines, done.stdout[-2000:] + done.stderr[-4000:]
        return json.loads(lines[-1].removeprefix("ANSWER "))

    return run
