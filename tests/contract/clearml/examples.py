"""The SDK's public example scripts, unmodified, and what they logged read back.

They are not part of this project, so this is no part of `make test` either, but run by name, with the `examples` folder of a
checkout of the SDK's repository and `fire` and `hydra-core` installed:

    MOODFLOW_CLEARML_EXAMPLES=DIR python -m pytest tests/contract/clearml/examples.py

Listed are those that need neither the internet nor other packages. Scripts of our own, beside this one and in
`tests/contract/bridge`, hold the server to most of what they do in every check.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

EXAMPLES = os.environ["MOODFLOW_CLEARML_EXAMPLES"]
pytestmark = pytest.mark.xdist_group("clearml-examples")
COUNTED = ("plots", "images", "log", "models")
EXPECTED: dict[str, dict[str, dict[str, Any]]] = {
    "reporting/3d_plots_reporting.py": {"3D plot reporting": {"plots": 2, "log": 1}},
    "reporting/artifacts.py": {
        "Artifacts example": {
            "artifacts": ["Numpy Eye", "Pandas", "dictionary", "local file", "local folder", "pillow_image", "train",
                          "wildcard jpegs"]}
    },
    "reporting/config_files.py": {
        "config_files_example": {"configuration": ["json config file", "yaml config file"]}
    },
    "reporting/hyper_parameters.py": {
        "first_trial": {"configuration": ["configuration dictionary"],
                        "sections": ["Args", "General", "from TaskParameters-like object", "properties"]}
    },
    "reporting/image_reporting.py": {"Image reporting": {"images": 5}},
    "reporting/media_reporting.py": {"Audio and video reporting": {"images": 3}},
    "reporting/model_reporting.py": {"Model reporting example": {"models": 1}},
    "reporting/model_reporting_plots.py": {"Model reporting plots example": {"models": 1}},
    "reporting/plotly_reporting.py": {"plotly reporting": {"plots": 1}},
    "reporting/scalar_reporting.py": {
        "Scalar reporting": {
            "series": {f"{graph}/{series}": 100 for graph, series in (("graph A", "series A"), ("graph B", "series B"),
                       ("unified graph", "series A"), ("unified graph", "series B"))}}
    },
    "reporting/scatter_hist_confusion_mat_reporting.py": {"2D plots reporting": {"plots": 8}},
    "reporting/text_reporting.py": {"Text reporting": {"images": 1, "log": 2}},
    "reporting/using_artifacts_example.py": {
        "Create artifact": {"artifacts": ["data file"]}, "Use artifact from other task": {"log": 1}
    },
    "advanced/multiple_tasks_single_process.py": {
        f"Same process, Multiple tasks, Task #{n}": {"log": 1} for n in range(3)
    },
    "automation/toy_base_task.py": {"Toy Base Task": {"sections": ["General"]}},
    "automation/programmatic_orchestration.py": {
        "Simple Controller Task": {"sections": ["General"]}, "Auto generated cloned task": {"status": "queued"}
    },
    "distributed/subprocess_example.py": {"Popen example": {"log": 1}},
    "pipeline/step1_dataset_artifact.py": {"Pipeline step 1 dataset artifact": {"status": "created"}},
    "pipeline/decorated_pipeline_step_decorators.py": {
        "test_decorated": {"configuration": ["Pipeline", "step"]}, "step": {"sections": ["return"]}
    },
    "frameworks/scikit-learn/sklearn_joblib_example.py": {"Scikit-learn joblib example": {"models": 1, "plots": 1}},
    "frameworks/scikit-learn/sklearn_matplotlib_example.py": {"scikit-learn matplotlib example": {"plots": 2}},
    "frameworks/fire/fire_class_cmd.py": {"Fire class command": {"sections": ["Args"]}},
    "frameworks/hydra/hydra_example.py": {
        "Hydra configuration": {"configuration": ["OmegaConf"], "sections": ["Args", "Hydra"]}
    },
}  # fmt: skip
HANGS = {"subprocess_example.py"}
"""With the SDK's hooks a worker of Python's pool now and then outlives the SIGTERM of its parent, which waits for it for good:
without any server too (`CLEARML_OFFLINE_MODE=1`), on a busy machine mostly; no process of it waits for a server then."""


@dataclass
class Reader:
    """Reads tasks back by plain HTTP, as another client would."""

    api: str
    token: str

    def call(self, endpoint: str, **body: Any) -> dict[str, Any]:
        """Call an endpoint that must work."""
        answer = requests.post(
            f"{self.api}/{endpoint}", json=body, headers={"Authorization": f"Bearer {self.token}"}, timeout=60
        )
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["data"]
        return found

    def logged(self, since: str, name: str) -> dict[str, Any]:
        """Everything a task of that name has."""
        tasks = self.call("tasks.get_all", search_hidden=True, created=[f">={since}"], order_by=["-created"])["tasks"]
        task = next(task for task in tasks if task["name"] == name)
        one = task["id"]
        scalars = self.call("events.scalar_metrics_iter_histogram", task=one)
        samples = self.call("events.debug_images", metrics=[{"task": one}], iters=10).get("metrics", [])
        models = task.get("models") or {}
        return {
            "status": task["status"],
            "series": {
                f"{metric}/{variant}": len(curve["x"])
                for metric, variants in scalars.items()
                if not metric.startswith(":")  # what the machine did meanwhile
                for variant, curve in variants.items()
            },
            "plots": len(self.call("events.get_task_plots", task=one)["plots"]),
            "images": sum(len(item["events"]) for metric in samples for item in metric["iterations"]),
            "log": self.call("events.get_task_log", task=one, batch_size=1)["total"],
            "models": len(models.get("input", [])) + len(models.get("output", [])),
            "artifacts": sorted(item["key"] for item in (task.get("execution") or {}).get("artifacts", [])),
            "configuration": sorted(task.get("configuration") or {}),
            "sections": sorted(task.get("hyperparams") or {}),
        }


@pytest.fixture
def reader(environment: dict[str, str]) -> Reader:
    """A reader with the credentials of the server under test."""
    api = environment["CLEARML_API_HOST"]
    keys = (environment["CLEARML_API_ACCESS_KEY"], environment["CLEARML_API_SECRET_KEY"])
    return Reader(api, requests.post(f"{api}/auth.login", auth=keys, timeout=60).json()["data"]["token"])


@pytest.mark.parametrize("script", EXPECTED)
def test_an_example_logs_what_is_read_back(
    script: str, environment: dict[str, str], reader: Reader, tmp_path: Path
) -> None:
    """The script runs as it is published, and its tasks have the series, plots, files and parameters it reports."""
    shutil.copytree(EXAMPLES, tmp_path / "examples")
    if script == "automation/programmatic_orchestration.py":  # it clones what the other left
        run(tmp_path / "examples" / "automation/toy_base_task.py", environment)
    since = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime())
    run(tmp_path / "examples" / script, environment)
    for name, expected in EXPECTED[script].items():
        found = reader.logged(since, name)
        for what, value in ({"status": "completed"} | expected).items():
            assert (found[what] >= value) if what in COUNTED else (found[what] == value), (name, what, found)


def run(path: Path, environment: dict[str, str]) -> None:
    """Run a script where it lies, again if it is one that may hang; what it prints is shown when it fails."""
    patience, tries = (60, 8) if path.name in HANGS else (300, 1)
    for left in reversed(range(tries)):
        process = subprocess.Popen(
            [sys.executable, path.name], cwd=path.parent, env=environment | {"MPLBACKEND": "Agg"}, text=True,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True,
        )  # fmt: skip
        try:
            said, _ = process.communicate(timeout=patience)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # with the processes it started
            process.communicate()
            assert left, f"{path.name} did not end within {patience} s, {tries} times"
            continue
        assert process.returncode == 0, said[-6000:]
        return
