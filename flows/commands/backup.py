"""`moodflow backup` and `moodflow restore`: the state directory, while everything runs.

Databases are copied by SQLite's online backup, which gives one consistent moment of each; the private store is copied
first and the servers after it, so that a server may know of more than the store, never of less. Files that only ever
appear whole (artifacts, keys) are copied as they are.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from flows import settings as product
from flows.commands import stack
from flows.commands.errors import CommandError, StateError

_MANIFEST = "manifest.json"
_LEFT_OUT = ("stack.json", "clock.json")  # of the moment, not of the data
_FORMAT = 1
_DATABASES = (".db", ".sqlite")


class BackupError(CommandError):
    """A backup cannot be made or used: what, where, the next step; nothing was touched."""

    code = 5


def backup(target: Annotated[Path, typer.Argument(help="Folder in which the backup's own folder is made.")]) -> None:
    """Copy the state directory, while it is in use; prints the folder made."""
    print(make(product.load().home, target))


def restore(folder: Annotated[Path, typer.Argument(help="A folder that `moodflow backup` made.")]) -> None:
    """Put a backup in the place of the state directory, which is moved aside first."""
    aside = put_back(folder, product.load().home)
    if aside is not None:
        print(f"what was there is in {aside}")


def make(home: Path, target: Path) -> Path:
    """Make a backup of `home` below `target`; the folder made, complete once its manifest is there.

    Raises
    ------
    BackupError
        There is nothing to back up, or no room for it.
    """
    if not (home / "private.db").is_file():
        raise BackupError(f"{home} holds no private.db: name another with MOODFLOW_HOME; nothing was written")
    if target.resolve().is_relative_to(home.resolve()):
        raise BackupError(f"{target} lies inside {home}: choose a folder outside of it")
    folder = target / datetime.now(UTC).strftime("moodflow-%Y%m%dT%H%M%S.%fZ")
    folder.mkdir(parents=True, mode=0o700)
    try:
        copied = ((name, _copy(home / name, folder / name)) for name in _names(home))
        sums = {str(name): digest for name, digest in copied if digest}
        versions = {name: _version(folder / name) for name in sums if _is_database(folder / name)}
        text = json.dumps({"format": _FORMAT, "files": sums, "schemas": versions}, indent=2)
        (folder / "manifest.new").write_text(text)
        (folder / "manifest.new").replace(folder / _MANIFEST)
    except (OSError, sqlite3.Error) as error:
        shutil.rmtree(folder, ignore_errors=True)
        raise BackupError(f"the backup to {folder} failed: {error}; make room there and run it again") from error
    return folder


def put_back(folder: Path, home: Path) -> Path | None:
    """Replace `home` by the backup in `folder`; where the former content went, None where there was none.

    Raises
    ------
    BackupError
        The backup is unfinished or damaged: nothing was touched.
    StateError
        The stack runs.
    """
    names = verify(folder)
    if stack.read(home) is not None:
        raise StateError(f"a stack runs in {home}: stop it first with `moodflow down`; nothing was touched")
    home = home.absolute()
    home.parent.mkdir(parents=True, exist_ok=True)
    fresh = home.with_name(f"{home.name}.restoring")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir(mode=0o700)
    for name in names:
        (fresh / name).parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        shutil.copy2(folder / name, fresh / name)
    aside = None
    if home.exists():
        aside = home.with_name(f"{home.name}.{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}")
        home.rename(aside)
    fresh.rename(home)
    return aside


def verify(folder: Path) -> list[str]:
    """Compare a backup with its manifest; the names of its files."""
    manifest = folder / _MANIFEST
    if not manifest.is_file():
        raise BackupError(f"{folder} has no {_MANIFEST}: it is not a finished backup; nothing was touched")
    said = json.loads(manifest.read_text())
    if said.get("format", 0) > _FORMAT:
        raise BackupError(f"{folder} was made by a newer Moodflow: update first; nothing was touched")
    wrong = [name for name, digest in said["files"].items() if not _same(folder / name, digest)]
    if wrong:
        raise BackupError(f"{folder}: {', '.join(wrong[:5])} missing or damaged; nothing was touched")
    return list(said["files"])


def _names(home: Path) -> Iterator[Path]:
    """Files to copy, relative to `home`: the private store, then databases of servers, then everything else."""
    found = [path.relative_to(home) for path in _walk(home)]
    yield from sorted(found, key=lambda name: (name.name != "private.db", name.suffix not in _DATABASES, str(name)))


def _walk(home: Path) -> Iterator[Path]:
    for folder, folders, files in os.walk(home):
        folders[:] = [name for name in folders if Path(folder, name) != home / "logs"]
        for name in files:
            path = Path(folder, name)
            passing = name.endswith(("-wal", "-shm", "-journal", ".lock", ".new", ".part"))
            if path.is_file() and not path.is_symlink() and not passing and name not in _LEFT_OUT:
                yield path


def _copy(source: Path, target: Path) -> str:
    """Copy one file; its SHA-256, empty where it has just gone (a queue that was emptied)."""
    if not source.exists():
        return ""
    target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    target.touch(mode=0o600)
    if _is_database(source):
        with (
            closing(sqlite3.connect(f"file:{source}?mode=ro", uri=True, timeout=60)) as original,
            closing(sqlite3.connect(target)) as copy,
        ):
            original.backup(copy)
            copy.execute("PRAGMA journal_mode=DELETE")
            if copy.execute("PRAGMA quick_check").fetchone() != ("ok",):
                raise sqlite3.DatabaseError(f"{source} is damaged")
    else:
        shutil.copyfile(source, target)
    return _sum(target)


def _is_database(path: Path) -> bool:
    with path.open("rb") as file:
        return path.suffix in _DATABASES and file.read(15) == b"SQLite format 3"


def _version(path: Path) -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        return int(db.execute("PRAGMA user_version").fetchone()[0])


def _same(path: Path, digest: str) -> bool:
    return path.is_file() and _sum(path) == digest


def _sum(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()
