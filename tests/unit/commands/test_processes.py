"""Children end with their parent, ports are free or named."""

from __future__ import annotations

import socket
import subprocess
import sys
import textwrap

import psutil
import pytest

from flows.commands.errors import PortError, ServiceError
from flows.commands.processes import await_line, choose_port, launch

PYTHON = sys.executable


def test_a_taken_port_is_named_with_its_option():
    """A strict choice of a taken port says which port, and which option moves it."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(PortError, match=rf"port {port} .*--sheets-port"):
            choose_port(port, "--sheets-port", strict=True)
        assert choose_port(port, "--sheets-port", strict=False) != port


def test_a_child_that_dies_shows_its_last_words(tmp_path):
    """A service that ends before it is ready is an error with the end of its log."""
    child = launch("x", [PYTHON, "-c", "import sys; sys.exit('no database')"], tmp_path, {}, pipe=True)
    with pytest.raises(ServiceError, match="no database"):
        await_line(child, 20)


def test_stopping_reaches_grandchildren(tmp_path):
    """What a service started is gone when the service is stopped, even if it ignores polite requests."""
    script = (
        "import subprocess, sys, time, json;"
        "p = subprocess.Popen([sys.executable, '-c',"
        " 'import signal, time; signal.signal(signal.SIGINT, signal.SIG_IGN); time.sleep(600)']);"
        "print(json.dumps({'grandchild': p.pid}), flush=True); time.sleep(600)"
    )
    child = launch("x", [PYTHON, "-c", script], tmp_path, {}, pipe=True)
    grandchild = psutil.Process(await_line(child, 20)["grandchild"])
    child.stop(patience=2)
    assert not child.alive()
    grandchild.wait(10)


def test_children_end_when_the_parent_is_killed(tmp_path):
    """SIGKILL of the command leaves no service behind."""
    parent = textwrap.dedent(
        f"""
        import pathlib, sys, time
        from flows.commands.processes import launch
        child = launch("x", [sys.executable, "-c", "import time; time.sleep(600)"], pathlib.Path({str(tmp_path)!r}), {{}}, pipe=False)
        print(child.process.pid, flush=True)
        time.sleep(600)
        """
    )
    process = subprocess.Popen([PYTHON, "-c", parent], stdout=subprocess.PIPE, text=True)
    child = psutil.Process(int(process.stdout.readline()))
    process.kill()
    process.wait()
    child.wait(10)


def test_an_interrupt_that_python_swallows_is_repeated(tmp_path):
    """Ctrl-C that falls into a hook of fork, where Python prints and drops exceptions, still ends the command."""
    script = textwrap.dedent(
        """
        import os, signal, time
        from flows.commands.processes import Interruption
        os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))
        interruption = Interruption()
        try:
            if os.fork() == 0:
                os._exit(0)
            print("went on", flush=True)
            time.sleep(600)
        except KeyboardInterrupt:
            interruption.heard()
            signal.raise_signal(signal.SIGINT)
            print("heard", flush=True)
        """
    )
    done = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert "Exception ignored" in done.stderr
    assert done.stdout.split("\n")[:2] == ["went on", "heard"]


def test_an_interrupt_waits_until_a_child_is_started(tmp_path):
    """Ctrl-C during fork is raised after it: raised within, it would be dropped and a lock left held for ever."""
    script = textwrap.dedent(
        f"""
        import os, pathlib, signal, sys
        from flows.commands.processes import launch
        os.register_at_fork(after_in_parent=lambda: signal.raise_signal(signal.SIGINT))
        try:
            launch("x", [sys.executable, "-c", ""], pathlib.Path({str(tmp_path)!r}), {{}}, pipe=False)
        except KeyboardInterrupt:
            print("interrupted", signal.getsignal(signal.SIGINT) is signal.default_int_handler)
        """
    )
    done = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, timeout=120, check=True)
    assert done.stdout == "interrupted True\n"
    assert "Exception ignored" not in done.stderr
