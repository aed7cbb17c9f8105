"""The connection: WAL, one transaction at a time, plain-SQL migrations, times as microseconds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from importlib import resources
from pathlib import Path
from typing import Any

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)
Values = Sequence[Any] | Mapping[str, Any]


class StoreError(Exception):
    """The private store cannot do what was asked: what, where, and what to do next.

    StoreError
    ├── NewerStoreError     written by a newer Moodflow
    └── UnknownPersonError  no such pseudonym
    """


class NewerStoreError(StoreError):
    """The file was written by a newer Moodflow than this one."""


class UnknownPersonError(StoreError, LookupError):
    """No person has this pseudonym (any more)."""


def micros(at: datetime) -> int:
    """Aware datetime -> microseconds since 1970 UTC."""
    return (at - EPOCH) // MICROSECOND


def micros_or_none(at: datetime | None) -> int | None:
    """`micros`, None for None."""
    return None if at is None else micros(at)


def moment(at: int) -> datetime:
    """Microseconds since 1970 UTC -> aware datetime."""
    return EPOCH + timedelta(microseconds=at)


def moment_or_none(at: int | None) -> datetime | None:
    """`moment`, None for None."""
    return None if at is None else moment(at)


class Database:
    """One SQLite file. Writes happen inside `transaction()`; nested ones join the outer.

    WAL with synchronous=FULL: what was committed survives the loss of power, not only of the process.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self._private(path)
        self.connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
        self.connection.row_factory = sqlite3.Row
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "cache_size=-16000"):
            self.connection.execute(f"PRAGMA {pragma}")
        self._depth = 0
        self._migrate()

    @staticmethod
    def _private(path: Path) -> None:
        """Nobody but the owner reads the file that knows who is who."""
        path.touch(mode=0o600)
        if path.stat().st_mode & 0o077:
            path.chmod(0o600)

    def _migrate(self) -> None:
        folder = resources.files(__package__) / "migrations"
        steps = sorted((f for f in folder.iterdir() if f.name.endswith(".sql")), key=lambda f: f.name)
        if self.version() == len(steps):
            return
        with self.transaction():
            done = self.version()
            if done > len(steps):
                raise NewerStoreError(
                    f"{self.path} has schema {done}, this Moodflow knows {len(steps)}:"
                    " update Moodflow or name another home"
                )
            for number, step in enumerate(steps[done:], start=done + 1):
                for statement in _statements(step.read_text()):
                    self.connection.execute(statement)
                self.connection.execute(f"PRAGMA user_version={number}")

    def version(self) -> int:
        """Number of migrations applied."""
        return int(self.connection.execute("PRAGMA user_version").fetchone()[0])

    def changes(self) -> int:
        """A number that differs after another process has written."""
        return int(self.connection.execute("PRAGMA data_version").fetchone()[0])

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """All of the block is written, or nothing."""
        if self._depth == 0:
            self.connection.execute("BEGIN IMMEDIATE")
        self._depth += 1
        try:
            yield
        except BaseException:
            self._depth -= 1
            if self._depth == 0:
                self.connection.execute("ROLLBACK")
            raise
        self._depth -= 1
        if self._depth == 0:
            self.connection.execute("COMMIT")

    @contextmanager
    def attempt(self) -> Iterator[None]:
        """Inside a transaction: undo only this block when it raises."""
        self.connection.execute("SAVEPOINT attempt")
        try:
            yield
        except BaseException:
            self.connection.execute("ROLLBACK TO attempt")
            self.connection.execute("RELEASE attempt")
            raise
        self.connection.execute("RELEASE attempt")

    def write(self, sql: str, values: Values = ()) -> int:
        """Run one statement; rows changed."""
        with self.transaction():
            return self.connection.execute(sql, values).rowcount

    def write_many(self, sql: str, rows: Iterable[Values]) -> int:
        """Run one statement per row in one transaction; rows changed."""
        with self.transaction():
            return self.connection.executemany(sql, rows).rowcount

    def rows(self, sql: str, values: Values = ()) -> list[sqlite3.Row]:
        """All rows of a query."""
        return self.connection.execute(sql, values).fetchall()

    def row(self, sql: str, values: Values = ()) -> sqlite3.Row | None:
        """First row of a query."""
        found: sqlite3.Row | None = self.connection.execute(sql, values).fetchone()
        return found

    def number(self, sql: str, values: Values = ()) -> int:
        """First value of the first row, as a whole number; 0 where there is none."""
        found = self.row(sql, values)
        return 0 if found is None or found[0] is None else int(found[0])

    def close(self) -> None:
        """Close the file."""
        self.connection.close()


def _statements(script: str) -> Iterator[str]:
    """Statements of a script: `executescript` would commit the migration half way."""
    statement = ""
    for line in script.splitlines():
        statement += line + "\n"
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
