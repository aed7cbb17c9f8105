"""The SQLite file: opened once, used by one thread, committed before an answer goes out."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import resources
from pathlib import Path

VERSION = 1
"""Of `schema.sql`, kept in the file. Files from before there was a number have 0 and the same tables."""


class NewerDatabase(Exception):
    """The file was written by a newer server than this one: it is left as it is."""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file (made where missing) in WAL mode; a commit is on disk when it returns.

    Raises
    ------
    NewerDatabase
        It has a schema this server does not know.
    """
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    version = int(db.execute("pragma user_version").fetchone()[0])
    if version > VERSION:
        db.close()
        raise NewerDatabase(
            f"{path} has schema {version}, this server knows {VERSION}. "
            "Update Moodflow, or name another --data; it was not touched"
        )
    for pragma in ("journal_mode=wal", "synchronous=full", "foreign_keys=on", "busy_timeout=5000", "cache_size=-65536"):
        db.execute(f"pragma {pragma}")
    db.executescript(
        resources.files(__package__).joinpath("schema.sql").read_text() + f"pragma user_version={VERSION};"
    )
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
