"""One connection, one writer, group commits.

All SQL runs on the event loop's thread, where SQLite answers in microseconds. A change opens a transaction that stays
open until the loop has run everything that is ready; then one commit settles all of them, and only then are their
requests answered. WAL with ``synchronous=NORMAL``: what was acknowledged survives the death of the process.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

MIGRATIONS = Path(__file__).parent / "migrations"


class DataInUse(Exception):
    """Another server works in this directory. Stop it, or give this one its own --data."""


class NewerDatabase(Exception):
    """The file was written by a newer server than this one: it is left as it is."""


class Database:
    """The SQLite file of one server.

    Parameters
    ----------
    folder
        Where ``telegram.db`` lives. Locked while open: two servers never share it.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._lock = _locked(folder)
        self._sql = sqlite3.connect(folder / "telegram.db", isolation_level=None, cached_statements=512)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "cache_size=-32000", "wal_autocheckpoint=4000"):
            self._sql.execute(f"PRAGMA {pragma}")
        self._settled: asyncio.Future[None] | None = None
        self._hooks: list[Callable[[], None]] = []
        self.on_rollback: list[Callable[[], None]] = []
        self._migrate()

    def _migrate(self) -> None:
        self._sql.execute("CREATE TABLE IF NOT EXISTS migrations (name TEXT PRIMARY KEY)")
        done = {name for (name,) in self._sql.execute("SELECT name FROM migrations")}
        scripts = sorted(MIGRATIONS.glob("*.sql"))
        unknown = sorted(done - {path.name for path in scripts})
        if unknown:
            self.close()
            raise NewerDatabase(
                f"telegram.db has seen {', '.join(unknown)}, which this server does not know. "
                "Update Moodflow, or name another --data; it was not touched"
            )
        for path in scripts:
            if path.name not in done:
                self._sql.executescript(f"BEGIN; {path.read_text()}")
                self._sql.execute("INSERT INTO migrations VALUES (?)", (path.name,))
                self._sql.execute("COMMIT")

    def one(self, sql: str, *values: Any) -> tuple[Any, ...] | None:
        """First row, or None."""
        row: tuple[Any, ...] | None = self._sql.execute(sql, values).fetchone()
        return row

    def all(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Every row."""
        return self._sql.execute(sql, values).fetchall()

    def run(self, sql: str, *values: Any) -> int:
        """Change rows, inside `change`; how many."""
        return self._sql.execute(sql, values).rowcount

    def next(self, counter: str, start: int = 0) -> int:
        """The next number of a counter, kept on disk."""
        row = self.one(
            "INSERT INTO counters VALUES (?, ?) ON CONFLICT DO UPDATE SET value = value + 1 RETURNING value",
            counter,
            start + 1,
        )
        assert row is not None  # noqa: S101 - RETURNING returns
        return int(row[0])

    @contextlib.contextmanager
    def change(self) -> Iterator[None]:
        """All of the block or nothing of it; on disk once `settled`."""
        self._begin()
        self._sql.execute("SAVEPOINT change")
        try:
            yield
        except BaseException:
            self._sql.execute("ROLLBACK TO change")
            for forget in self.on_rollback:
                forget()
            raise
        finally:
            self._sql.execute("RELEASE change")

    def _begin(self) -> None:
        if self._sql.in_transaction:
            return
        self._sql.execute("BEGIN IMMEDIATE")
        loop = asyncio.get_running_loop()
        self._settled = loop.create_future()
        loop.call_soon(self._commit)

    def after_commit(self, hook: Callable[[], None]) -> None:
        """Call `hook` when what was changed just now is on disk (at once where nothing is pending)."""
        if self._sql.in_transaction:
            self._hooks.append(hook)
        else:
            hook()

    def _commit(self) -> None:
        settled, self._settled = self._settled, None
        hooks, self._hooks = self._hooks, []
        try:
            self._sql.execute("COMMIT")
        except sqlite3.Error as error:
            self._sql.execute("ROLLBACK")
            for forget in self.on_rollback:
                forget()
            if settled is not None:
                settled.set_exception(error)
                settled.exception()  # read here: a change nobody waits for must not warn twice
            return
        for hook in hooks:
            hook()
        if settled is not None and not settled.done():
            settled.set_result(None)

    async def settled(self) -> None:
        """Wait until everything changed so far is on disk; raises `sqlite3.Error` where it could not be."""
        if self._settled is not None:
            await asyncio.shield(self._settled)

    def close(self) -> None:
        """Commit what is open and let go of the directory."""
        if self._sql.in_transaction:
            self._commit()
        self._sql.close()
        self._lock.close()


def _locked(folder: Path) -> Any:
    lock = (folder / "lock").open("w")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        lock.close()
        raise DataInUse(f"{folder} is used by another server; stop it or give --data another directory") from error
    return lock
