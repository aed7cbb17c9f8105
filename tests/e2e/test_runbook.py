"""Every command of docs/runbook.md is run, in its order, against real servers in a directory of its own."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.store import Store
from tests.contract.push.test_push import PORTS, address
from tests.services import running

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.xdist_group("prefect")
# what the runbook says of them: doctor, status and health tell by their exit status what they find
MAY_FIND = {"moodflow doctor", "moodflow status", "moodflow health"}


def commands() -> list[str]:
    text = (ROOT / "docs" / "runbook.md").read_text()
    return [line for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) for line in block.splitlines() if line]


def watched(folder: Path) -> dict[str, str]:
    """Environment in which Python notes and refuses what would leave this machine."""
    (folder / "outward").touch()
    return {"PYTHONPATH": str(Path(__file__).parent / "watched"), "OUTWARD_LOG": str(folder / "outward")}


def test_what_leaves_the_machine_is_noticed(tmp_path):
    """The watch of the next test sees an address and a name, refuses both, and lets loopback pass."""
    code = """
import contextlib, socket
for where in (("192.0.2.1", 9), ("example.invalid", 9), ("127.0.0.1", 9), ("localhost", 9)):
    with contextlib.suppress(OSError):
        socket.create_connection(where, timeout=1)
"""
    subprocess.run([sys.executable, "-c", code], env={**os.environ, **watched(tmp_path)}, check=True, timeout=60)
    noted = [line.split()[1] for line in (tmp_path / "outward").read_text().splitlines()]
    assert set(noted) == {"192.0.2.1", "example.invalid"}


def test_every_command_of_the_runbook_works(tmp_path, prefect_server):
    """Each exits 0 (or says by 1 what it found), prints no traceback, leaves this machine with no connection, and the
    second push copies nothing.
    """
    home, backups = tmp_path / "home", tmp_path / "backups"
    home.mkdir(mode=0o700)
    Store.open(home / "private.db").close()
    done: dict[str, list[str]] = {}
    with (
        running("server.embedded", tmp_path / "a", PORTS, **watched(tmp_path)) as source,
        running("server.embedded", tmp_path / "b", PORTS, **watched(tmp_path)) as other,
    ):
        here, there = address(source), address(other)
        target = tmp_path / "target"
        target.touch(mode=0o600)
        names = {
            "API_HOST": "api",
            "FILES_HOST": "files",
            "API_ACCESS_KEY": "access_key",
            "API_SECRET_KEY": "secret_key",
        }
        target.write_text("".join(f"CLEARML_{name}={getattr(there, key)}\n" for name, key in names.items()))
        env = {
            **os.environ,
            **watched(tmp_path),
            **{f"CLEARML_{name}": getattr(here, key) for name, key in names.items()},
            "CLEARML_WEB_HOST": source.ready["urls"]["web"],
            "MOODFLOW_HOME": str(home),
            "PREFECT_API_URL": prefect_server,
            "BACKUPS": str(backups),
            "TARGET": str(target),
        }
        for command in commands():
            if '$BACKUP"' in command:
                env["BACKUP"] = str(next(backups.iterdir()))
            shell = command.replace("moodflow", f"{sys.executable} -m flows", 1).replace(
                "python -m clearml", f"{sys.executable} -m clearml"
            )
            ran = subprocess.run(
                ["sh", "-c", shell], env=env, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False
            )
            assert ran.returncode in ({0, 1} if command in MAY_FIND else {0}), (command, ran.stdout, ran.stderr[-2000:])
            assert "Traceback" not in ran.stderr, (command, ran.stderr[-2000:])
            done.setdefault(command, []).append(ran.stdout)
    assert len(done) >= 9
    assert "moodflow_disk_free_mb" in done["moodflow metrics"][0]
    assert json.loads(done["python -m clearml_utils status"][0])["waiting"] == 0
    assert not [line for line in done['moodflow push --to "$TARGET"'][1].splitlines() if line.startswith("copied")]
    assert (home / "private.db").exists()
    assert (tmp_path / "outward").read_text() == ""
