"""What the endpoints of `pipelines` accept; the notation is in `grammar`."""

from __future__ import annotations

REQUESTS: dict[str, str] = {
    "delete_runs": "ids!:[str]+ project!:str",
    "start_pipeline": "task!:str queue:str args:[(name:str value:str)] verify_watched_queue:bool",
}
