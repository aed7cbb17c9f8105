"""The smoke test: the real SDK makes a task, reports, uploads, registers a model and reads it all back.

Run as a process of its own (`python -m server.official.smoke`) so that the SDK takes its configuration from the
environment it is given and from nothing else.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import uuid
from pathlib import Path


def main() -> int:
    """Run it; prints one JSON line, exits 0 when everything read back equal."""
    from clearml import Logger, Model, OutputModel, Task  # noqa: PLC0415 - the SDK reads its configuration when imported

    mark = uuid.uuid4().hex
    task: Task = Task.create(project_name="Moodflow/smoke", task_name="smoke", task_type="testing")
    task.mark_started()
    logger: Logger = task.get_logger()
    logger.report_single_value("answer", 42)
    for step in range(3):
        logger.report_scalar("curve", "x", step * 0.5, step)
    task.upload_artifact("mark", {"mark": mark}, wait_on_upload=True)
    with tempfile.TemporaryDirectory() as folder:
        weights = Path(folder) / "weights.json"
        weights.write_text(json.dumps({"mark": mark}))
        model = OutputModel(task=task, name="smoke", framework="custom")
        # without an address the SDK would register the local path and upload nothing
        files = os.environ["CLEARML_FILES_HOST"]
        model.update_weights(str(weights), upload_uri=files, async_enable=False, auto_delete_file=False)
    task.flush(wait_for_uploads=True)
    task.mark_completed()
    back: Task = Task.get_task(task_id=task.id)
    checks = {
        "status": str(back.get_status()) == "completed",
        "single value": back.get_reported_single_value("answer") == 42,
        "scalars": back.get_reported_scalars()["curve"]["x"]["y"] == [0.0, 0.5, 1.0],
        "artifact": back.artifacts["mark"].get() == {"mark": mark},
        "model": json.loads(Path(Model(model.id).get_local_copy()).read_text()) == {"mark": mark},
    }
    print(json.dumps({"task": task.id, "checks": checks}), flush=True)
    return 0 if all(checks.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
