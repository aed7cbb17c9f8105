"""Databases of other versions: an older one is brought up to date with its data, a newer one is left alone."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from server.embedded.database import MIGRATIONS, Database, connect, migrate

PORTS = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]
SCRIPTS = sorted(MIGRATIONS.glob("[0-9]*.sql"))


@pytest.mark.parametrize("known", range(1, len(SCRIPTS)))
def test_a_database_of_any_older_version_keeps_its_data(tmp_path: Path, known: int) -> None:
    """What an older server wrote is there after the scripts it had not seen."""
    older = tmp_path / "scripts"
    older.mkdir()
    for script in SCRIPTS[:known]:
        shutil.copy(script, older)
    db = connect(tmp_path / "clearml.db")
    reached = migrate(db, older)
    db.execute("INSERT INTO project (id, company, name, basename, created) VALUES ('kept', 'c', 'n', 'n', 1)")
    db.close()
    again = Database(tmp_path / "clearml.db")
    try:
        assert again.read(lambda c: [row["id"] for row in c.execute("SELECT id FROM project")]).result() == ["kept"]
        version = again.read(lambda c: c.execute("PRAGMA user_version").fetchone()[0]).result()
        assert version == int(SCRIPTS[-1].name[:4]) > reached
    finally:
        again.close()


def test_a_database_of_a_newer_version_is_refused_and_not_touched(tmp_path: Path) -> None:
    """Exit 2 with both versions and the next step; the file is the same byte by byte."""
    db = connect(tmp_path / "clearml.db")
    migrate(db)
    db.execute("PRAGMA user_version=99")
    db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    db.close()
    before = hashlib.sha256((tmp_path / "clearml.db").read_bytes()).hexdigest()
    done = subprocess.run(
        [sys.executable, "-m", "server.embedded", "--data", str(tmp_path), *PORTS],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "it has schema 99, this server knows" in done.stderr
    assert "Update Moodflow" in done.stderr
    assert hashlib.sha256((tmp_path / "clearml.db").read_bytes()).hexdigest() == before
