"""Records that wait for delivery, on disk: a directory of segments, each owned by one process at a time.

A segment is a SQLite file in WAL mode beside a lock file. The operating system drops the lock when its process dies,
however
that comes about; whoever finds a segment unlocked may adopt it. Within a segment the order of records is kept.
SIGKILL loses nothing that `add` has returned from; loss of power may lose the last moments, for nothing here waits for
the disk itself.
"""

from __future__ import annotations

import fcntl
import json
import logging
import os
import sqlite3
import threading
import time
import uuid
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

log = logging.getLogger("clearml_utils")
REFUSED = "refused.jsonl"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS ops(
    seq INTEGER PRIMARY KEY AUTOINCREMENT, run TEXT NOT NULL, kind TEXT NOT NULL, body TEXT NOT NULL,
    at REAL NOT NULL, tried INTEGER NOT NULL DEFAULT 0);
CREATE TABLE IF NOT EXISTS ids(run TEXT PRIMARY KEY, clearml TEXT NOT NULL);
"""


@dataclass(frozen=True)
class Op:
    """One thing to tell ClearML about one run.

    Attributes
    ----------
    seq
        Its place in the segment.
    run
        Prefect's flow-run or task-run id.
    kind
        `open`, `events`, `artifact`, `model`, `edit`, `graph` or `close`.
    body
        What to tell.
    at
        When it was added (epoch seconds).
    tried
        How often delivery was begun before; over 0 the server may have it already.
    """

    seq: int
    run: str
    kind: str
    body: dict[str, Any]
    at: float
    tried: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """One thing to tell, not yet in a segment; fields as in `Op`."""

    run: str
    kind: str
    body: dict[str, Any]
    at: float


class Segment:
    """One process's queue."""

    def __init__(self, path: Path, lock: IO[str]) -> None:
        self.path = path
        self._lockfile = lock
        self._guard = threading.Lock()
        self._db = sqlite3.connect(path, check_same_thread=False, isolation_level=None, timeout=30)
        # a new file is not worth a wait for the disk, nor is one that is thrown away; checkpoints between are
        self._db.execute("PRAGMA synchronous=OFF")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.executescript(_SCHEMA)
        self._db.execute("PRAGMA synchronous=NORMAL")
        self.blobs = path.with_suffix(".files")

    @classmethod
    def create(cls, directory: Path) -> Segment:
        """A new segment of this process."""
        directory.mkdir(parents=True, exist_ok=True, mode=0o700)
        path = directory / f"{time.time_ns():x}-{os.getpid()}-{uuid.uuid4().hex[:6]}.db"
        lock = _try_lock(path)
        if lock is None:  # a fresh random name: only a broken file system gets here
            raise OSError(f"cannot lock {path}")
        return cls(path, lock)

    @classmethod
    def adopt(cls, directory: Path, but: Iterable[Path] = ()) -> Iterator[Segment]:
        """Every segment there whose process is gone, now owned by this one."""
        own = set(but)
        for path in sorted(directory.glob("*.db")):
            if path in own:
                continue
            lock = _try_lock(path)
            if lock is None:
                continue
            if not path.exists():  # its owner finished between the listing and the lock
                _drop_lock(path, lock)
                continue
            try:
                segment = cls(path, lock)
            except sqlite3.DatabaseError as error:
                _set_aside(path, lock, error)
                continue
            yield segment

    def add(self, items: Sequence[Waiting]) -> int:
        """Append records, durably against SIGKILL, in one transaction; how many bytes they took."""
        rows = [(item.run, item.kind, json.dumps(item.body, default=str), item.at) for item in items]
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany("INSERT INTO ops(run, kind, body, at) VALUES (?, ?, ?, ?)", rows)
            self._db.execute("COMMIT")
        return sum(len(row[2]) for row in rows)

    def replace(self, run: str, kind: str, body: dict[str, Any]) -> None:
        """Append a record that makes earlier ones of its kind and run obsolete."""
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.execute("DELETE FROM ops WHERE run = ? AND kind = ?", (run, kind))
            self._db.execute(
                "INSERT INTO ops(run, kind, body, at) VALUES (?, ?, ?, ?)",
                (run, kind, json.dumps(body, default=str), time.time()),
            )
            self._db.execute("COMMIT")

    def head(self, limit: int = 400, but: Collection[str] = ()) -> list[Op]:
        """The oldest records, those of the runs `but` left out."""
        where = f" WHERE run NOT IN ({','.join('?' * len(but))})" if but else ""
        with self._guard:
            rows = self._db.execute(
                f"SELECT seq, run, kind, body, at, tried FROM ops{where} ORDER BY seq LIMIT ?",  # noqa: S608 - marks
                (*but, limit),
            ).fetchall()
        return [Op(seq, run, kind, json.loads(body), at, tried) for seq, run, kind, body, at, tried in rows]

    def trying(self, ops: Sequence[Op]) -> None:
        """Note that delivery of these begins."""
        self._many("UPDATE ops SET tried = tried + 1 WHERE seq = ?", [(op.seq,) for op in ops])

    def done(self, ops: Sequence[Op]) -> None:
        """Forget what was delivered."""
        self._many("DELETE FROM ops WHERE seq = ?", [(op.seq,) for op in ops])

    def bury(self, op: Op, reason: str) -> None:
        """Set aside what the server will never take, in `refused.jsonl` beside the segments."""
        row = {"run": op.run, "kind": op.kind, "reason": reason, "body": op.body, "at": op.at}
        with (self.path.parent / REFUSED).open("a") as file:
            file.write(json.dumps(row, default=str)[:20_000] + "\n")
        self.done([op])

    def remember(self, ids: dict[str, str]) -> None:
        """Keep which ClearML task is whose."""
        self._many("INSERT OR REPLACE INTO ids VALUES (?, ?)", list(ids.items()))

    def known(self, run: str) -> str | None:
        """ClearML id of a run, if this segment has seen it."""
        with self._guard:
            row = self._db.execute("SELECT clearml FROM ids WHERE run = ?", (run,)).fetchone()
        return str(row[0]) if row else None

    def pending(self) -> int:
        """Records not yet delivered."""
        with self._guard:
            return int(self._db.execute("SELECT count(*) FROM ops").fetchone()[0])

    def size(self) -> int:
        """Bytes on disk, artifacts included."""
        total = sum(p.stat().st_size for p in (self.path, self.path.with_suffix(".db-wal")) if p.exists())
        if self.blobs.is_dir():
            total += sum(p.stat().st_size for p in self.blobs.iterdir())
        return total

    def blob(self, suffix: str) -> Path:
        """A new file of this segment, for an artifact on its way."""
        self.blobs.mkdir(exist_ok=True, mode=0o700)
        return self.blobs / f"{uuid.uuid4().hex}{suffix}"

    def close(self, *, discard: bool = False) -> None:
        """Let go; an empty segment is removed, or any with `discard`; another process may adopt the rest."""
        with self._guard:
            empty = discard or not self._db.execute("SELECT 1 FROM ops LIMIT 1").fetchone()
            if empty:
                self._db.execute("PRAGMA synchronous=OFF")
            self._db.close()
            if empty:
                for path in (self.path, self.path.with_suffix(".db-wal"), self.path.with_suffix(".db-shm")):
                    path.unlink(missing_ok=True)
                if self.blobs.is_dir():
                    for left in self.blobs.iterdir():
                        left.unlink()
                    self.blobs.rmdir()
        _drop_lock(self.path, self._lockfile, remove=empty)

    def _many(self, statement: str, rows: Sequence[tuple[Any, ...]]) -> None:
        if not rows:
            return
        with self._guard:
            self._db.execute("BEGIN IMMEDIATE")
            self._db.executemany(statement, rows)
            self._db.execute("COMMIT")


def _try_lock(path: Path) -> IO[str] | None:
    handle = path.with_suffix(".lock").open("a")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        handle.close()
        return None
    return handle


def _set_aside(path: Path, lock: IO[str], error: Exception) -> None:
    """Keep a segment that cannot be read out of the way of the others."""
    broken = path.with_suffix(".broken")
    path.rename(broken)
    log.error("a part of the spool cannot be read and is set aside as %s: %s", broken, error)
    _drop_lock(path, lock)


def _drop_lock(path: Path, handle: IO[str], *, remove: bool = True) -> None:
    if remove:
        path.with_suffix(".lock").unlink(missing_ok=True)
    handle.close()


def is_held(directory: Path, name: str) -> bool:
    """Whether the process that owns the segment `name` is alive."""
    path = directory / name
    if not path.with_suffix(".lock").exists():
        return False
    lock = _try_lock(path)
    if lock is None:
        return True
    _drop_lock(path, lock, remove=not path.exists())
    return False


def waiting(directory: Path, but: Iterable[Path] = ()) -> Counter[str]:
    """Records in the segments of other processes, by run."""
    found: Counter[str] = Counter()
    for path in set(directory.glob("*.db")) - set(but):
        try:
            with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=1)) as db:
                found.update(dict(db.execute("SELECT run, count(*) FROM ops GROUP BY run")))
        except sqlite3.Error:  # its owner has just removed it
            continue
    return found
