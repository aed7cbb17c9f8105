"""A backup is made while everything writes, and what is restored is whole."""

from __future__ import annotations

import json
import shutil
import sqlite3
import stat
import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from flows.commands.backup import BackupError, make, put_back
from flows.commands.errors import StateError
from flows.store import Store
from tests.services import running

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PORTS = ["--api-port", "0", "--files-port", "0", "--web-port", "0"]


def filled(home: Path) -> Store:
    home.mkdir(mode=0o700)
    store = Store.open(home / "private.db")
    store.outbox.enqueue("first", None, "insight", {"method": "sendMessage", "text": "x"}, NOW, chat_id=1)
    (home / "logs").mkdir()
    (home / "logs" / "bot.log").write_text("not part of a backup")
    return store


def contents(home: Path) -> dict[Path, bytes]:
    """Everything but SQLite's own index of its log, which a mere reader makes anew."""
    return {p: p.read_bytes() for p in home.rglob("*") if p.is_file() and not p.name.endswith(("-shm", "-wal"))}


def test_a_backup_under_load_is_one_consistent_moment(tmp_path):
    """While a writer adds pairs in transactions, every backup holds whole pairs; restored, it is what was backed up."""
    home = tmp_path / "home"
    store = filled(home)
    stop, made = threading.Event(), []

    def write() -> None:
        number = 0
        while not stop.is_set():
            with store.transaction():
                for side in "ab":
                    store.ledger.add(f"{number}{side}", "pair", NOW + timedelta(seconds=number))
            number += 1

    writer = threading.Thread(target=write)
    writer.start()
    try:
        made = [make(home, tmp_path / "backups") for _ in range(5)]
    finally:
        stop.set()
        writer.join()
    counts = []
    for folder in made:
        with sqlite3.connect(folder / "private.db") as db:
            counts.append(db.execute("SELECT COUNT(*) FROM ledger").fetchone()[0])
        db.close()
        assert stat.S_IMODE((folder / "private.db").stat().st_mode) == 0o600
        assert not (folder / "logs").exists()
    assert all(count % 2 == 0 for count in counts)
    assert counts == sorted(counts)
    store.close()
    aside = put_back(made[0], home)
    assert aside is not None
    assert (aside / "private.db").exists()
    with Store.open(home / "private.db") as back:
        assert sum(back.ledger.counts().values()) == counts[0]
        assert back.outbox.get("first") is not None


def test_the_servers_of_the_stack_come_back_as_they_were(tmp_path):
    """ClearML, Telegram and Sheets are backed up while they run, and serve the same from the restored folder."""
    home = tmp_path / "home"
    filled(home).close()
    with (
        running("server.embedded", home / "clearml", PORTS) as clearml,
        running("server.telegram", home / "telegram", ["--port", "0"]) as telegram,
        running("server.sheets", home / "sheets", ["--port", "0"]),
    ):
        keys = json.loads(Path(clearml.ready["credentials"]).read_text())
        auth = (keys["access_key"], keys["secret_key"])
        api = clearml.ready["urls"]["api"]
        httpx.post(f"{api}/projects.create", json={"name": "Kept", "description": ""}, auth=auth).raise_for_status()
        bot = f"{telegram.ready['urls']['api']}/bot123456789:{'b' * 35}"
        httpx.get(f"{bot}/getMe").raise_for_status()
        client = f"{telegram.ready['urls']['api']}/client"
        begun = {"user_id": 5, "first_name": "A", "bot": "123456789"}
        httpx.post(f"{client}/start", json=begun).raise_for_status()
        folder = make(home, tmp_path / "backups")
        httpx.post(f"{api}/projects.create", json={"name": "Later", "description": ""}, auth=auth).raise_for_status()
    put_back(folder, home)
    with (
        running("server.embedded", home / "clearml", PORTS) as clearml,
        running("server.telegram", home / "telegram", ["--port", "0"]) as telegram,
        running("server.sheets", home / "sheets", ["--port", "0"]),
    ):
        names = httpx.post(f"{clearml.ready['urls']['api']}/projects.get_all", json={}, auth=auth).json()
        assert "Kept" in str(names)
        assert "Later" not in str(names)
        assert len(httpx.get(f"{telegram.ready['urls']['api']}/client/chats").raise_for_status().json()["chats"]) == 1


def test_an_unfinished_damaged_or_newer_backup_touches_nothing(tmp_path):
    """No manifest, a changed file, a newer format: a named error; the state directory stays as it is."""
    home = tmp_path / "home"
    filled(home).close()
    before = contents(home)
    folder = make(home, tmp_path / "backups")
    half = tmp_path / "half"
    shutil.copytree(folder, half)
    (half / "manifest.json").unlink()
    with pytest.raises(BackupError, match="not a finished backup"):
        put_back(half, home)
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    with (damaged / "private.db").open("r+b") as file:
        file.seek(100)
        file.write(b"?")
    with pytest.raises(BackupError, match=r"private\.db missing or damaged"):
        put_back(damaged, home)
    newer = json.loads((folder / "manifest.json").read_text()) | {"format": 99}
    (half / "manifest.json").write_text(json.dumps(newer))
    with pytest.raises(BackupError, match="newer Moodflow"):
        put_back(half, home)
    assert contents(home) == before


def test_nothing_is_restored_over_a_running_stack(tmp_path):
    """A stack that runs in the directory is named; nothing is touched."""
    import os

    home = tmp_path / "home"
    filled(home).close()
    folder = make(home, tmp_path / "backups")
    (home / "stack.json").write_text(json.dumps({"pid": os.getpid(), "processes": {}}))
    with pytest.raises(StateError, match="moodflow down"):
        put_back(folder, home)


def test_a_home_without_a_study_and_a_target_inside_it_are_refused(tmp_path):
    """Nothing to back up, or a backup into itself, is an error with the next step."""
    with pytest.raises(BackupError, match="MOODFLOW_HOME"):
        make(tmp_path / "nowhere", tmp_path / "b")
    filled(tmp_path / "home").close()
    with pytest.raises(BackupError, match="outside"):
        make(tmp_path / "home", tmp_path / "home" / "b")
