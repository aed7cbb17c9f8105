"""Schedules make runs with exactly the versions that are installed."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]


def test_the_scheduler_makes_runs_of_a_schedule(tmp_path):
    """Prefect 3.8's scheduler fails on SQLAlchemy 2.1, silently for everybody but its log: no schedule would ever fire."""
    env = {**os.environ, "PREFECT_HOME": str(tmp_path), "PREFECT_SERVER_ANALYTICS_ENABLED": "false"}
    env |= {"PREFECT_API_DATABASE_CONNECTION_URL": f"sqlite+aiosqlite:///{tmp_path}/prefect.db"}
    command = [sys.executable, "-m", "tests.integration.operations.scheduling"]
    done = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    assert int(done.stdout.split()[-1]) >= 3
