"""What may be set, read from the environment once per process."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Options:
    """Settings of the bridge; each is `CLEARML_UTILS_<NAME>` in the environment.

    Attributes
    ----------
    off
        Record nothing, ask nobody.
    project
        ClearML project of flows that name none.
    spool
        Directory of the records that wait for delivery.
    spool_max_mb
        Most megabytes kept there; beyond it artifacts, then events, are dropped and counted.
    artifact_max_mb
        A larger result is described, not stored.
    linger_ms
        How long records are collected in memory before they are spooled and sent together.
    flush_seconds
        Longest wait, at the end of the outermost flow, for a server that answers.
    graph_seconds
        Least time between two updates of a running flow's graph.
    table_rows
        Rows of a table's preview.
    ping_seconds
        How often the server is told that running tasks live.
    """

    off: bool = False
    project: str = "Prefect"
    spool: Path = Path()
    spool_max_mb: float = 512.0
    artifact_max_mb: float = 50.0
    linger_ms: float = 40.0
    flush_seconds: float = 30.0
    graph_seconds: float = 1.0
    table_rows: int = 20
    ping_seconds: float = 60.0

    @classmethod
    def load(cls, environ: Mapping[str, str] | None = None) -> Options:
        """Read `CLEARML_UTILS_*`; the spool's place falls back to `MOODFLOW_HOME`, then the home directory."""
        env = os.environ if environ is None else environ
        home = Path(env["MOODFLOW_HOME"]) if env.get("MOODFLOW_HOME") else Path.home() / ".clearml_utils"
        got: dict[str, Any] = {"spool": home / "spool"}
        for field in fields(cls):
            text = env.get(f"CLEARML_UTILS_{field.name.upper()}")
            if text:
                got[field.name] = _CONVERT[str(field.type)](text)
        return cls(**got)


def _truth(text: str) -> bool:
    return text.strip().lower() in {"1", "true", "yes", "on"}


_CONVERT: dict[str, Any] = {"bool": _truth, "str": str, "Path": Path, "float": float, "int": int}
