"""The command line: exit codes that mean something, errors that are one text."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys

import pytest

from flows.__main__ import ELSEWHERE, spread


def run(*arguments, cwd, **env):
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MOODFLOW_", "CLEARML_", "PREFECT_"))}
    return subprocess.run(
        [sys.executable, "-m", "flows", *arguments],
        cwd=cwd,
        env=clean | env,
        capture_output=True,
        text=True,
        check=False,
    )


def test_an_option_takes_several_values_in_a_row():
    """`--train A B` is `--train A --train B`, and what follows is left alone."""
    assert spread(["backtest", "x.csv", "--train", "A", "B", "--json", "o"], "--train") == [
        "backtest", "x.csv", "--train", "A", "--train", "B", "--json", "o",
    ]  # fmt: skip


def test_every_command_is_listed(tmp_path):
    """`--help` names every command, those of other parts included."""
    done = run("--help", cwd=tmp_path, COLUMNS="200")
    assert done.returncode == 0, done.stderr
    assert [name for name in [*ELSEWHERE, "demo", "up", "down", "status", "doctor"] if name not in done.stdout] == []


def test_a_wrong_option_exits_with_2(tmp_path):
    """A typing mistake is told with usage, not with a traceback."""
    done = run("status", "--nonsense", cwd=tmp_path)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr


def test_status_of_nothing(tmp_path):
    """Nothing runs: exit 1, and JSON says so."""
    done = run("status", "--json", cwd=tmp_path)
    assert done.returncode == 1
    assert json.loads(done.stdout)["running"] is False


def test_a_demo_never_overwrites_a_real_study(tmp_path):
    """A state directory with answers that are not a demo's is refused, and left as it was."""
    home = tmp_path / "home"
    home.mkdir()
    (home / "private.db").write_bytes(b"answers")
    done = run("demo", cwd=tmp_path, MOODFLOW_HOME=str(home))
    assert done.returncode == 4
    assert "not a demo" in done.stderr
    assert (home / "private.db").read_bytes() == b"answers"


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"CLEARML_API_HOST": "http://127.0.0.1:9"}, "CLEARML_API_ACCESS_KEY"),
        ({"MOODFLOW_SHEETS_CREDENTIALS": "/nowhere/key.json"}, "MOODFLOW_SHEETS_CREDENTIALS"),
        ({"MOODFLOW_TELEGRAM_TOKEN": "not-a-token"}, "MOODFLOW_TELEGRAM_TOKEN"),
        ({"PREFECT_API_URL": "http://127.0.0.1:9/api"}, "PREFECT_API_URL"),
    ],
)
def test_missing_credentials_are_named_before_anything_starts(tmp_path, env, said):
    """Which setting is wrong, exit 2, and no state directory was touched."""
    done = run("demo", cwd=tmp_path, HOME=str(tmp_path), **env)
    assert done.returncode == 2, done.stderr
    assert said in done.stderr
    assert not (tmp_path / ".moodflow" / "logs").exists()


def test_up_names_a_taken_port_and_its_option(tmp_path):
    """A taken port: which, and the option that moves it; nothing stays behind."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = run("up", "--sheets-port", str(port), "--telegram-port", "0", "--clearml-api-port", "0",
                   "--clearml-files-port", "0", "--clearml-web-port", "0", "--prefect-port", "0", cwd=tmp_path)  # fmt: skip
    assert done.returncode in {2, 3}
    assert f"port {port}" in done.stderr
    assert "--sheets-port" in done.stderr


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "empty"),
        ("person,day,beep\n", "no rows"),
        ("day,beep,na\n1,1,2\n", "person"),
    ],
)
def test_an_unusable_study_is_named(tmp_path, text, said):
    """File, row or column, exit 1; nothing was started."""
    path = tmp_path / "study.csv"
    path.write_text(text)
    done = run("demo", "--data", str(path), cwd=tmp_path)
    assert done.returncode == 1
    assert "study.csv" in done.stderr.replace("\n", "")
    assert said in done.stderr
    assert not (tmp_path / ".moodflow" / "logs").exists()
