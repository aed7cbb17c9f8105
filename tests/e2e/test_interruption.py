"""Ctrl-C or a kill at any moment leaves no process behind and a state directory the next run can use."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import psutil
import pytest

from flows.commands.stack import lock

pytestmark = [pytest.mark.xdist_group("demo"), pytest.mark.timeout(300)]


# a shell says 130 of both: of a command that says so itself, and of one that ends by the signal
INTERRUPTED = {130, -signal.SIGINT}


def begin(tmp_path):
    """A demo of its own, with its output in a file."""
    clean = {k: v for k, v in os.environ.items() if not k.startswith(("MOODFLOW_", "CLEARML_", "PREFECT_"))}
    log = tmp_path / "demo.log"
    with log.open("w") as sink:
        process = subprocess.Popen(
            [sys.executable, "-u", "-m", "flows", "demo", "--persons", "3", "--days", "4"],
            stdout=sink, stderr=sink, cwd=tmp_path, env=clean | {"MOODFLOW_HOME": str(tmp_path / "home")},
        )  # fmt: skip
    return process, log


def await_words(process, log, words):
    deadline = time.monotonic() + 120
    while words not in log.read_text():
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, f"no {words!r} in {log.read_text()}"
        time.sleep(0.02)


def family(process):
    return psutil.Process(process.pid).children(recursive=True)


@pytest.mark.parametrize("moment", ["simulated respondents", "starting ClearML", "starting Sheets", "starting Prefect"])
def test_ctrl_c_stops_everything(tmp_path, moment):
    """Interrupted while things start: exit 130, nothing left running, the directory is free."""
    process, log = begin(tmp_path)
    await_words(process, log, moment)
    children = family(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) in INTERRUPTED, log.read_text()
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []
    with lock(tmp_path / "home"):
        assert not (tmp_path / "home" / "stack.json").exists()


def test_ctrl_c_during_the_replay(tmp_path):
    """Interrupted while people answer: the same, with the bot and the deployment under way."""
    process, log = begin(tmp_path)
    bot = tmp_path / "home" / "logs" / "bot.log"
    await_words(process, log, "starting Prefect")
    while not bot.exists():
        assert process.poll() is None, log.read_text()
        time.sleep(0.05)
    children = family(process)
    process.send_signal(signal.SIGINT)
    assert process.wait(120) in INTERRUPTED, log.read_text()
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []


def test_a_killed_demo_takes_its_services_along(tmp_path):
    """SIGKILL of the demo itself: the kernel tells its services, and the directory can be used at once."""
    process, log = begin(tmp_path)
    await_words(process, log, "starting Prefect")
    children = family(process)
    process.kill()
    process.wait()
    _, left = psutil.wait_procs(children, timeout=60)
    assert left == []
    with lock(tmp_path / "home"):
        pass
