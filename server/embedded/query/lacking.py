"""Which objects lack a metric.

They come first in ascending order, and when nearly all have it, looking for the few that lack it would read every
object for every page. A connection remembers, in tables of its own, those it found the first time and looks at newer
objects only. Objects that got the metric since are dropped by whoever asks; those that lost it show in the table
`forgotten`, which triggers count up and which makes all that is remembered void.
"""

from __future__ import annotations

import sqlite3

MANY = 20_000  # of so many that lack a metric a page is found fast by looking at the objects in turn
KEPT = 100  # metrics remembered
_LOOKED = """CREATE TEMP TABLE IF NOT EXISTS looked (
  kind TEXT, name INTEGER, forgotten INTEGER, through INTEGER, found INTEGER, PRIMARY KEY (kind, name)) WITHOUT ROWID"""
_LACKING = """CREATE TEMP TABLE IF NOT EXISTS lacking (
  kind TEXT, name INTEGER, seq INTEGER, PRIMARY KEY (kind, name, seq)) WITHOUT ROWID"""


def without(db: sqlite3.Connection, table: str, name: int) -> bool:
    """Note in `temp.lacking` the objects of a table that may lack a metric; False when there are many.

    Parameters
    ----------
    name
        Number of the metric and variant in `metric_name`.
    """
    db.execute(_LOOKED)
    db.execute(_LACKING)
    forgotten, newest = db.execute(
        f"SELECT (SELECT n FROM forgotten), (SELECT coalesce(max(seq), 0) FROM {table})"  # noqa: S608 - of two names
    ).fetchone()
    row = db.execute(
        "SELECT through, found FROM looked WHERE kind = ? AND name = ? AND forgotten = ?", (table, name, forgotten)
    ).fetchone()
    through, found = row or (0, 0)
    if row is None:
        _forget(db, table, name)
    if found > MANY or through == newest:
        return bool(found <= MANY)
    added = db.execute(
        f"INSERT INTO lacking SELECT ?, ?, seq FROM {table} WHERE seq > ? AND seq <= ? AND NOT EXISTS (SELECT 1"  # noqa: S608
        f" FROM series INDEXED BY series_object WHERE object = {table}.id AND name = ? AND value IS NOT NULL)"
        " ORDER BY seq LIMIT ?",
        (table, name, through, newest, name, MANY + 1),
    )
    found += added.rowcount
    db.execute("INSERT OR REPLACE INTO looked VALUES (?, ?, ?, ?, ?)", (table, name, forgotten, newest, found))
    return found <= MANY


def again(db: sqlite3.Connection, table: str, name: int) -> None:
    """Look anew next time: there were many, and now too few of them were found to fill a page."""
    db.execute("DELETE FROM looked WHERE kind = ? AND name = ?", (table, name))


def _forget(db: sqlite3.Connection, table: str, name: int) -> None:
    if db.execute("SELECT count(*) FROM looked").fetchone()[0] >= KEPT:
        db.execute("DELETE FROM looked")
        db.execute("DELETE FROM lacking")
    db.execute("DELETE FROM lacking WHERE kind = ? AND name = ?", (table, name))
