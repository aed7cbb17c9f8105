"""A copy of an installation while it serves: the database by SQLite's own online backup, the files linked or copied."""

from __future__ import annotations

import os
import shutil
import sqlite3
from pathlib import Path

DATABASE = "clearml.db"
KEYS = ("credentials.json", "webserver.json")


class BackupError(Exception):
    """A backup that cannot be made: what, and what to do."""


def backup(data: Path, target: Path) -> Path:
    """Copy an installation to a folder that does not exist yet.

    The database is copied first: whatever it names was uploaded before, so every file it names is in the copy. Files
    never change once written (an upload renames a new file into place), so a hard link is a copy where the file system
    can make one.

    Raises
    ------
    BackupError
        There is no installation, or the target exists.
    """
    if not (data / DATABASE).is_file():
        raise BackupError(f"{data} holds no installation: there is no {DATABASE}. Name the folder given to --data.")
    if target.exists():
        raise BackupError(f"{target} exists already. Name a new folder.")
    working = target.with_name(target.name + ".partial")
    shutil.rmtree(working, ignore_errors=True)
    working.mkdir(parents=True, mode=0o700)
    _copy_database(data / DATABASE, working / DATABASE)
    shutil.copytree(data / "files", working / "files", copy_function=_link, ignore=shutil.ignore_patterns(".incoming"))
    for name in KEYS:
        if (data / name).is_file():
            shutil.copy2(data / name, working / name)
    working.rename(target)
    return target


def _copy_database(source: Path, target: Path) -> None:
    reading = sqlite3.connect(f"file:{source}?mode=ro", uri=True)
    writing = sqlite3.connect(target)
    try:
        reading.backup(writing)
        problem = writing.execute("PRAGMA integrity_check").fetchone()[0]
        if problem != "ok":
            raise BackupError(f"the copy of {source} is not sound: {problem}")
    finally:
        writing.close()
        reading.close()
    target.chmod(0o600)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:
        shutil.copy2(source, target)
