"""SQLite with one writer and many readers.

Writes queue up for a single thread. It takes whatever has queued, runs every job in its own savepoint, and commits
once: with `synchronous=FULL` the cost of the disk is shared by all requests that waited, and none is answered before
its data is on the disk. Readers have connections of their own and never wait (WAL).
"""

from __future__ import annotations

import queue
import re
import sqlite3
import threading
import time
import warnings
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeVar

from server.embedded.errors import fail

T = TypeVar("T")
MIGRATIONS = Path(__file__).parent / "migrations"
BATCH = 64  # requests that may share one commit
READERS = 3
BUSY_MS = 30_000
PATTERN_S = 1.0  # what the patterns of one request may take together: a few characters can ask for years of matching


class _Spent(threading.local):
    """How long the patterns of the request that runs in this thread have taken."""

    seconds = 0.0
    over = False


_spent = _Spent()


@lru_cache(maxsize=256)
def pattern(text: str, flags: int = 0) -> re.Pattern[str]:
    """Compile a client's pattern once, or tell the client what is wrong with it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", FutureWarning)  # about sets a later Python may read differently
            return re.compile(text, flags)
    except re.error as error:
        raise fail("invalid_regex", err=str(error), extra_info=None) from error


@lru_cache(maxsize=256)
def _tame(text: str) -> bool:
    """Tell whether a pattern repeats at most one thing, and no group: that never takes long."""
    return sum(map(text.count, "*+{")) <= 1 and not re.search(r"\)[*+{]", text)


@lru_cache(maxsize=256)
def _repeating(text: str, flags: int) -> Any:
    """Compile a pattern that may take long for the engine that can be told to stop."""
    import regex  # type: ignore[import-untyped]  # noqa: PLC0415 - 3 MB that a server whose clients send plain names never needs

    try:
        return regex.compile(text, flags | regex.VERSION0)
    except regex.error as error:
        raise fail("invalid_regex", err=str(error), extra_info=None) from error


def matches(text: str, flags: int, value: object) -> bool:
    """Tell whether a client's pattern is found in a value, within the time one request has for it.

    Raises
    ------
    TimeoutError
        The time is over.
    """
    if value is None:
        return False
    if _tame(text):
        return pattern(text, flags).search(str(value)) is not None
    left = PATTERN_S - _spent.seconds
    began = time.thread_time()  # of this thread alone: a busy machine must not make a good pattern a bad one
    try:
        return _repeating(text, flags).search(str(value), timeout=max(left, 1e-6), concurrent=True) is not None
    except TimeoutError:
        _spent.over = True
        raise
    finally:
        _spent.seconds += time.thread_time() - began


def _limited(job: Callable[[sqlite3.Connection], T], db: sqlite3.Connection) -> T:
    """Run a request's work with the time for its patterns counted from nothing."""
    _spent.seconds, _spent.over = 0.0, False
    try:
        return job(db)
    except (sqlite3.OperationalError, TimeoutError) as error:
        if _spent.over:
            raise fail("invalid_regex", f"matching took longer than {PATTERN_S:g} s") from error
        raise


def connect(path: Path, *, readonly: bool = False) -> sqlite3.Connection:
    """Open a connection as this server uses them: own transactions, WAL, a commit is on the disk."""
    mode = "ro" if readonly else "rwc"
    db = sqlite3.connect(
        f"file:{path}?mode={mode}", uri=True, isolation_level=None, check_same_thread=False, cached_statements=512
    )
    db.row_factory = sqlite3.Row
    db.create_function("matches", 3, matches, deterministic=True)
    db.execute(f"PRAGMA busy_timeout={BUSY_MS}")
    db.execute("PRAGMA foreign_keys=ON")
    db.execute("PRAGMA temp_store=MEMORY")
    db.execute("PRAGMA cache_size=-16384")
    if not readonly:
        db.execute("PRAGMA journal_mode=WAL")
        db.execute("PRAGMA synchronous=FULL")
        db.execute("PRAGMA wal_autocheckpoint=2000")
    return db


class NewerDatabase(Exception):
    """The file was written by a newer server than this one: it is left as it is."""


def migrate(db: sqlite3.Connection, folder: Path = MIGRATIONS) -> int:
    """Apply the numbered scripts this database has not seen; each in a transaction. Returns the version reached.

    Raises
    ------
    NewerDatabase
        It has seen scripts that are not there.
    """
    version = int(db.execute("PRAGMA user_version").fetchone()[0])
    scripts = {int(script.name.split("_")[0]): script for script in sorted(folder.glob("[0-9]*.sql"))}
    if version > max(scripts):
        raise NewerDatabase(f"it has schema {version}, this server knows {max(scripts)}")
    for number, script in scripts.items():
        if number > version:
            db.executescript(f"BEGIN;\n{script.read_text()}\nPRAGMA user_version={number};\nCOMMIT;")
            version = number
    return version


class Database:
    """The database of one server process."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._writer = connect(path)
        migrate(self._writer)
        self._jobs: queue.SimpleQueue[tuple[Callable[[sqlite3.Connection], Any], Future[Any]] | None] = (
            queue.SimpleQueue()
        )
        self._local = threading.local()
        self._readers: list[sqlite3.Connection] = []
        self._pool = ThreadPoolExecutor(READERS, "read")
        self._thread = threading.Thread(target=self._run, name="write", daemon=True)
        self._thread.start()

    def write(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a job in the write thread; the future is done when its effects are on the disk."""
        future: Future[T] = Future()
        self._jobs.put((job, future))
        return future

    def read(self, job: Callable[[sqlite3.Connection], T]) -> Future[T]:
        """Run a job with a read connection; all it reads is of one moment."""
        return self._pool.submit(self._read, job)

    def _read(self, job: Callable[[sqlite3.Connection], T]) -> T:
        db = self.reader()
        db.execute("BEGIN")
        try:
            return _limited(job, db)
        finally:
            db.execute("COMMIT")

    def reader(self) -> sqlite3.Connection:
        """Return this thread's read connection."""
        db: sqlite3.Connection | None = getattr(self._local, "db", None)
        if db is None:
            db = connect(self.path, readonly=True)
            self._local.db = db
            self._readers.append(db)
        return db

    def close(self) -> None:
        """Finish what has queued, then close."""
        self._jobs.put(None)
        self._thread.join()
        self._pool.shutdown()
        for db in self._readers:
            db.close()
        self._writer.execute("PRAGMA optimize")
        self._writer.close()

    def _run(self) -> None:
        while (job := self._jobs.get()) is not None:
            batch = [job]
            stop = False
            while len(batch) < BATCH and not stop:
                try:
                    more = self._jobs.get_nowait()
                except queue.Empty:
                    break
                if more is None:
                    stop = True
                else:
                    batch.append(more)
            self._commit(batch)
            if stop:
                return

    def _commit(self, batch: list[tuple[Callable[[sqlite3.Connection], Any], Future[Any]]]) -> None:
        db = self._writer
        done: list[tuple[Future[Any], Any]] = []
        try:
            db.execute("BEGIN IMMEDIATE")
            for job, future in batch:
                db.execute("SAVEPOINT request")
                try:
                    result = _limited(job, db)
                except Exception as error:  # noqa: BLE001 - the caller gets whatever the job raised
                    db.execute("ROLLBACK TO request")
                    future.set_exception(error)
                else:
                    done.append((future, result))
                db.execute("RELEASE request")
            db.execute("COMMIT")
        except sqlite3.Error as error:
            if db.in_transaction:
                db.execute("ROLLBACK")
            for _, future in batch:
                if not future.done():
                    future.set_exception(error)
            return
        for future, result in done:
            future.set_result(result)
