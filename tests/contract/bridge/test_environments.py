"""Only Prefect and ClearML: the package in an environment that has nothing else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tomllib
import venv
from pathlib import Path

import pytest

from tests.contract.bridge.reading import Reader, properties
from tests.contract.bridge.test_readme import README

ROOT = README.parents[1]
FULL = os.environ.get("MOODFLOW_CAMPAIGN") == "full"
pytestmark = [pytest.mark.xdist_group("prefect"), pytest.mark.campaign]


def _claimed(name: str) -> str:
    """What pyproject.toml asks of a distribution."""
    wanted = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["dependencies"]
    return next(line.removeprefix(name) for line in wanted if re.match(rf"{name}\b", line))


def _lowest(claim: str) -> str:
    found = re.search(r">=([\d.]+)", claim)
    assert found is not None
    return f"=={found.group(1)}.*"


@pytest.mark.skipif(not FULL, reason="installs two environments from the package index; MOODFLOW_CAMPAIGN=full")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("which", ["oldest", "newest"])
def test_the_example_runs_where_only_prefect_and_clearml_are(tracked: Reader, tmp_path: Path, which: str):
    """The README's example runs, and is recorded, with the oldest and the newest Prefect claimed and nothing else installed."""
    claim = _claimed("prefect")
    venv.create(tmp_path / "venv", with_pip=True)
    python = str(tmp_path / "venv" / "bin" / "python")
    wanted = [f"prefect{_lowest(claim) if which == 'oldest' else claim}", f"clearml{_claimed('clearml')}"]
    pip = [python, "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt"), *wanted]
    if which == "newest":
        pip = [python, "-m", "pip", "install", "-q", "--upgrade", *wanted]
    subprocess.run(pip, check=True, timeout=1200)
    shutil.copytree(ROOT / "clearml_utils", tmp_path / "site" / "clearml_utils")
    code = re.search(r"```python\n(.*?)```", README.read_text(), re.DOTALL)
    assert code is not None
    (tmp_path / "hello.py").write_text(code.group(1))
    env = {**os.environ, "PYTHONPATH": str(tmp_path / "site"), "PREFECT_HOME": str(tmp_path / "prefect")}
    env.pop("PREFECT_API_URL", None)  # a server of its own: it must be of the same version
    env["PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS"] = "240"
    done = subprocess.run(
        [python, str(tmp_path / "hello.py")],
        env=env,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-4000:]
    controllers = [
        t for t in tracked.tasks(system_tags=["__$all", "prefect"], type=["controller"])
        if properties(t).get("prefect_flow") == "hello"
    ]  # fmt: skip
    (child,) = tracked.tasks(parent=controllers[-1]["id"])
    assert child["status"] == "completed"
    assert tracked.values(child) == {"accuracy": 0.9}
