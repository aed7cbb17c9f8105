"""The SQLite file: opened once, used by one thread, committed before an answer goes out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path


def connect(path: Path) -> sqlite3.Connection:
    """Open the file (made where missing) in WAL mode; a commit is on disk when it returns."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "busy_timeout=5000", "cache_size=-65536"):
        db.execute(f"pragma {pragma}")
    db.executescript(resources.files(__package__).joinpath("schema.sql").read_text())
    return db


@contextmanager
def transaction(db: sqlite3.Connection) -> Iterator[None]:
    """Everything inside, or nothing."""
    db.execute("begin immediate")
    try:
        yield
    except BaseException:
        db.execute("rollback")
        raise
    db.execute("commit")
