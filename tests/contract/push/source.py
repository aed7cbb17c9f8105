"""A small history made by the real SDK: projects, a pipeline's controller and children, models, files, every event."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
from clearml import InputModel, Logger, OutputModel, Task


def child(number: int, parent: Task | None) -> Task:
    task = Task.create(
        project_name="Study/mood" if number % 2 else "Study", task_name=f"step {number}", task_type="training"
    )
    if parent is not None:
        task.set_parent(parent)
    task.set_parameters({"General/alpha": number / 7, "General/parent": parent.id if parent else ""})
    task.add_tags([f"tag{number}", "shared"])
    task.mark_started(force=True)
    logger: Logger = task.get_logger()
    for i in range(40):
        logger.report_scalar("loss", "train", np.sin(i * number), i)
        logger.report_scalar("loss", "test", np.cos(i * number), i)
    logger.report_single_value("mae", number / 3)
    logger.report_table("table", "rows", iteration=1, table_plot=pd.DataFrame({"a": [1, 2], "b": [number, 4]}))
    logger.report_text(f"step {number} of {parent.id if parent else 'none'}: Ни о чём личном")
    logger.flush(wait=True)
    task.upload_artifact("frame", pd.DataFrame({"x": range(number + 3)}), wait_on_upload=True)
    task.upload_artifact("notes", {"number": number, "parent": parent.id if parent else None}, wait_on_upload=True)
    return task


def main(folder: Path, steps: int) -> None:
    controller = Task.create(project_name="Study/.pipelines/cycle", task_name="cycle #1", task_type="controller")
    controller.set_system_tags(["pipeline", "hidden"])
    controller.mark_started(force=True)
    graph = {}
    for number in range(steps):
        task = child(number, controller if number else None)
        weights = folder / f"weights{number}.bin"
        weights.write_bytes(bytes([number]) * (2000 + number))
        model = OutputModel(task=task, name=f"model {number}", framework="ScikitLearn")
        model.set_upload_destination(os.environ["CLEARML_FILES_HOST"])
        model.update_weights(str(weights), auto_delete_file=False, async_enable=False)
        model.set_metadata("task", task.id, "string")
        if number == 1:
            controller.connect(InputModel(model.id))
        graph[f"step {number}"] = {"parents": [], "status": "completed", "job_id": task.id}
        task.flush(wait_for_uploads=True)
        if number == 2:
            task.mark_failed(force=True, status_reason="on purpose", status_message="it failed")
        elif number == 3:
            task.mark_stopped(force=True)
        else:
            task.mark_completed()
    controller.set_configuration_object("Pipeline", json.dumps(graph))
    controller.mark_completed()
    Task.create(project_name="Study", task_name="a draft", task_type="training")
    running = Task.create(project_name="Study", task_name="it runs", task_type="training")
    running.mark_started(force=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
