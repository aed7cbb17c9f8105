"""The training as ClearML's own pipeline: `python -m deployments.training_pipeline --study FILE --local`.

Without `--local` the controller and its steps are put into a queue, for `clearml-agent`s that share the disk. An
agent runs this very file, without arguments: what was asked for is in the task it was given, where the web application,
a clone or a scheduler may have changed it.
"""

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from clearml_utils.own_process import report_in_process
from flows import settings as product

if TYPE_CHECKING:
    from clearml import PipelineController

PIPELINE = "training"
VERSION = "1.0.0"


# ClearML copies the source of each step into a script of its own; so a step brings its imports along


def read_step(study: str, target: str, folder: str) -> str:
    """Read and frame the study."""
    from deployments.training_steps import read  # noqa: PLC0415 - see above

    return read(study, target, folder)


def compare_step(data_hash: str, folder: str) -> dict:  # type: ignore[type-arg]  # ClearML reads a bare type
    """Compare candidates."""
    from deployments.training_steps import compare  # noqa: PLC0415 - see above

    return compare(data_hash, folder)


def fit_step(data_hash: str, folder: str, polarity: str) -> str:
    """Fit the forecaster."""
    from deployments.training_steps import fit  # noqa: PLC0415 - see above

    return fit(data_hash, folder, negative=polarity == "negative")


def register_step(data_hash: str, folder: str, metrics: dict) -> int:  # type: ignore[type-arg]  # as above
    """Register the model, and promote it if it is better."""
    from clearml import Task  # noqa: PLC0415 - see above

    from deployments.training_steps import register  # noqa: PLC0415 - see above

    task: Task | None = Task.current_task()
    return register(data_hash, folder, metrics, task.id if task else None)


def build(study: str, target: str, folder: str, polarity: str = "negative") -> "PipelineController":
    """Build the pipeline; its parameters may be changed when it is started from the web application."""
    from clearml import PipelineController, Task  # noqa: PLC0415 - after its configuration is in place

    # the code is installed where agents are; without this they would look for this very commit in a repository
    Task.force_store_standalone_script()
    pipe = PipelineController(
        name=PIPELINE, project=product.load().project, version=VERSION, add_pipeline_tags=True, pool_frequency=0.02
    )
    given = {"study": study, "target": target, "folder": folder, "polarity": polarity}
    for name, value in given.items():
        pipe.add_parameter(name, value)
    folder_of = {"folder": "${pipeline.folder}"}
    pipe.add_function_step(
        "read", read_step, function_return=["data_hash"],
        function_kwargs={"study": "${pipeline.study}", "target": "${pipeline.target}", **folder_of},
    )  # fmt: skip
    pipe.add_function_step(
        "compare", compare_step, function_return=["metrics"], parents=["read"],
        function_kwargs={"data_hash": "${read.data_hash}", **folder_of},
    )  # fmt: skip
    pipe.add_function_step(
        "fit", fit_step, function_return=["fitted"], parents=["compare"], task_type="training",
        function_kwargs={"data_hash": "${read.data_hash}", "polarity": "${pipeline.polarity}", **folder_of},
    )  # fmt: skip
    pipe.add_function_step(
        "register", register_step, function_return=["champion"], parents=["fit", "compare"],
        function_kwargs={"data_hash": "${fit.fitted}", "metrics": "${compare.metrics}", **folder_of},
    )  # fmt: skip
    return pipe


def main() -> None:
    """Run or enqueue the pipeline; for an agent, be its controller."""
    if os.environ.get("CLEARML_TASK_ID"):
        build("", "", "").start()
        return
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--study", type=Path, required=True, help="A study as CSV.")
    parser.add_argument("--target", default="na", help="Column to analyse.")
    parser.add_argument("--polarity", choices=["negative", "positive"], default="negative")
    parser.add_argument("--folder", type=Path, help="Private folder of what the steps hand on.")
    parser.add_argument("--local", action="store_true", help="Run it here, steps as processes of this machine.")
    parser.add_argument("--queue", default="default", help="Queue of the steps and the controller.")
    given = parser.parse_args()
    home = product.load().home
    folder = given.folder or home / "training"
    home.mkdir(parents=True, exist_ok=True)
    report_in_process(home)
    pipe = build(str(given.study.resolve()), given.target, str(folder.resolve()), given.polarity)
    if given.local:
        pipe.start_locally(run_pipeline_steps_locally=True)
        return
    pipe.set_default_execution_queue(given.queue)
    pipe.start(queue=given.queue)


if __name__ == "__main__":
    main()
