"""The training as ClearML's own pipeline."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from clearml_utils import recorder, registry
from clearml_utils.connection import Connection
from flows.simulate import ItemRange, simulate

ROOT = Path(__file__).parents[2]
STEPS = {"read", "compare", "fit", "register"}
KEPT = {"data_hash", "metrics", "fitted", "champion"}
pytestmark = pytest.mark.xdist_group("training-pipeline")


@pytest.fixture
def product(
    clearml_server: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, str]]:
    """Environment of the product with a study to train on, in a project of its own."""
    items = [ItemRange("na", 0, 100, -1), ItemRange("calm", 0, 100, 1)]
    simulate(items, persons=4, days=14).to_csv(tmp_path / "study.csv", index=False)
    (tmp_path / "clearml.conf").write_text("sdk.development.report_use_subprocess: false\n")
    env = {
        **clearml_server, "MOODFLOW_HOME": str(tmp_path / "home"), "MOODFLOW_PROJECT": f"Training {tmp_path.name}",
        "PYTHONPATH": str(ROOT), "CLEARML_CONFIG_FILE": str(tmp_path / "clearml.conf"),
        "CLEARML_CACHE_DIR": str(tmp_path / "cache"),
    }  # fmt: skip
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    recorder.reset()
    yield env
    recorder.reset()


def train(study: Path, *options: str) -> None:
    """Start the pipeline as an operator does."""
    command = [sys.executable, "-m", "deployments.training_pipeline", "--study", str(study), *options]
    done = subprocess.run(command, check=False, cwd=study.parent, capture_output=True, text=True, timeout=280)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]


def steps_of(controller: str) -> dict[str, dict[str, Any]]:
    """Steps of a run by name."""
    rows = Connection().call(
        "tasks.get_all", search_hidden=True, parent=controller,
        only_fields=["id", "name", "status", "execution.artifacts", "hyperparams", "status_message"],
    )["tasks"]  # fmt: skip
    return {row["name"]: row for row in rows}


def assert_trained(controller: str, project: str, version: int) -> None:
    """Every step completed, the model is registered and one version is the champion, and no answers are in ClearML."""
    steps = steps_of(controller)
    assert set(steps) == STEPS
    assert {row["status"] for row in steps.values()} == {"completed"}, steps
    found = {v.version: v for v in registry.versions("next-beep-forecast", project)}
    assert max(found) == version
    assert found[version].task_id == steps["register"]["id"]
    assert found[version].metadata["people"] == "4"
    champion = registry.champion("next-beep-forecast", project)
    assert champion is not None
    kept = {a["key"] for row in steps.values() for a in (row.get("execution") or {}).get("artifacts") or []}
    assert kept <= KEPT, "answers travel by the private folder only"


def mine(project: str) -> list[dict[str, Any]]:
    """Controllers of the training in this test's project, the oldest first."""
    found = Connection().call("projects.get_all", name=f"^{project}/", search_hidden=True)["projects"]
    return Connection().call(
        "tasks.get_all", search_hidden=True, project=[row["id"] for row in found], type=["controller"],
        order_by=["created"], only_fields=["id", "status", "system_tags", "name", "status_message"],
    )["tasks"] if found else []  # fmt: skip


@pytest.mark.timeout(300)
def test_the_training_is_a_pipeline_of_clearml(product: dict[str, str], tmp_path: Path):
    """Run locally, every step and the controller complete, the model is registered and champion, and neither
    parameters nor artifacts hold answers.
    """
    project = product["MOODFLOW_PROJECT"]
    train(tmp_path / "study.csv", "--local")
    (controller,) = mine(project)
    assert controller["status"] == "completed"
    assert "pipeline" in controller["system_tags"]
    assert_trained(controller["id"], project, 1)
