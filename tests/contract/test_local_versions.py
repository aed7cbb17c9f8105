"""The local Telegram and Sheets meet a data directory of another version: an older one is used, a newer one left alone."""

from __future__ import annotations

import hashlib
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path

import pytest

from server.sheets.storage import database as sheets
from tests.services import running

SERVERS = {
    "server.telegram": ("telegram.db", "INSERT INTO migrations VALUES ('099_later.sql')", "099_later.sql"),
    "server.sheets": ("sheets.sqlite", "PRAGMA user_version=99", "has schema 99, this server knows"),
}


@pytest.mark.parametrize("module", SERVERS)
def test_a_newer_database_is_refused_by_name_and_not_touched(module: str, tmp_path: Path) -> None:
    """Exit 2 with what was found and the next step; the file is the same byte by byte."""
    name, newer, said = SERVERS[module]
    with running(module, tmp_path, ["--port", "0"]):
        pass
    with closing(sqlite3.connect(tmp_path / name)) as db:
        db.execute(newer)
        db.commit()
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    before = hashlib.sha256((tmp_path / name).read_bytes()).hexdigest()
    done = subprocess.run(
        [sys.executable, "-m", module, "--data", str(tmp_path), "--port", "0"],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert "Update Moodflow" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
    assert hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() == before


def test_a_sheet_from_before_there_were_versions_keeps_its_files(tmp_path: Path) -> None:
    """It is opened as what it is, and has a version afterwards."""
    path = tmp_path / "sheets.sqlite"
    with closing(sheets.connect(path)) as db:
        db.execute("insert into settings values ('kept', 'yes')")
        db.execute("pragma user_version=0")
    with closing(sheets.connect(path)) as db:
        assert db.execute("select value from settings where name = 'kept'").fetchone() == ("yes",)
        assert db.execute("pragma user_version").fetchone() == (sheets.VERSION,)
