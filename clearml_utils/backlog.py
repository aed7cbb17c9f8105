"""What waits for ClearML on this machine, told without touching it."""

from __future__ import annotations

import sqlite3
import time
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Backlog:
    """Records not yet delivered.

    Attributes
    ----------
    waiting
        How many, of all processes.
    age_s
        Seconds since the oldest of them was recorded; 0 where none waits.
    refused
        Records ClearML will never take, set aside in `refused.jsonl`.
    """

    waiting: int
    age_s: float
    refused: int


def backlog(spool: Path) -> Backlog:
    """Count what waits in the spool directory."""
    count, oldest = 0, time.time()
    for path in spool.glob("*.db") if spool.is_dir() else ():
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as db:
                number, first = db.execute("SELECT count(*), min(at) FROM ops").fetchone()
        except sqlite3.Error:  # its owner has just removed it
            continue
        count += int(number)
        oldest = min(oldest, first or oldest)
    refused = spool / "refused.jsonl"
    lines = len(refused.read_text().splitlines()) if refused.is_file() else 0
    return Backlog(count, time.time() - oldest if count else 0.0, lines)
