"""Medians with their spread, written where other scripts read them."""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping
from pathlib import Path

from rich.console import Console
from rich.table import Table

SHORT = os.environ.get("MOODFLOW_BENCH") == "short"
"""Small sizes and no peer: that a benchmark runs, not what it would find. Its figures are kept apart."""
BUILD = Path("build/bench/short" if SHORT else "build/bench")


def spread(name: str, values: Iterable[float]) -> dict[str, float]:
    """Median of `values` as `name`, beside `name_min` and `name_max`."""
    got = sorted(values)
    return {name: statistics.median(got), f"{name}_min": got[0], f"{name}_max": got[-1]}


def write(bench: str, figures: Mapping[str, float | int | str]) -> Path:
    """Write `build/bench/BENCH.json` and show it as a table."""
    BUILD.mkdir(parents=True, exist_ok=True)
    path = BUILD / f"{bench}.json"
    path.write_text(json.dumps(dict(figures), indent=2, sort_keys=True) + "\n")
    table = Table(title=f"bench {bench}", show_header=False)
    for key, value in figures.items():
        table.add_row(key, f"{value:.4g}" if isinstance(value, float) else str(value))
    Console().print(table)
    return path
