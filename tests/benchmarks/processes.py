"""Processes under measurement: memory of a whole tree, clients that start together."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path


def tree(pid: int) -> list[int]:
    """A process and everything below it."""
    found = [pid]
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            text = status.read_text()
        except OSError:
            continue
        parent = int(text.rpartition(")")[2].split()[1])
        if parent == pid:
            found += tree(int(status.parent.name))
    return found


def resident_mb(pid: int) -> float:
    """Resident memory of a process tree in megabytes; of several processes, pages they share count once."""
    below = tree(pid)
    name = "Rss:" if len(below) == 1 else "Pss:"
    total = 0
    for each in below:
        try:
            text = Path(f"/proc/{each}/smaps_rollup").read_text()
        except OSError:
            continue
        total += sum(int(line.split()[1]) for line in text.splitlines() if line.startswith(name))
    return total / 1024


def together(commands: Sequence[Sequence[str]], env: Mapping[str, str]) -> float:
    """Run clients that start their work at the same moment. Returns events per second over all of them."""
    clients = [
        subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=dict(env))
        for command in commands
    ]
    for client in clients:
        _wait_ready(client)
    for client in clients:
        assert client.stdin is not None
        client.stdin.write("go\n")
        client.stdin.flush()
    answers = []
    for client in clients:
        assert client.stdout is not None
        answers.append(json.loads(client.stdout.readline()))
        client.communicate()
        if client.returncode:
            sys.exit(f"a client failed: {client.args}")
    span = max(answer["end"] for answer in answers) - min(answer["start"] for answer in answers)
    return float(sum(answer["events"] for answer in answers) / span)


def _wait_ready(client: subprocess.Popen[str]) -> None:
    assert client.stdout is not None
    for line in client.stdout:
        if line.strip() == "ready":
            return
    sys.exit(f"a client did not start: {client.args}")
