"""An empty Prefect database with its migrations done, made once for an installation: a new stack starts with a copy.

Prefect's migrations of a new SQLite database take half of its server's start. `make install` runs this module.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path


def seed_path() -> Path:
    """Where the database of this installation's Prefect is kept; each version of Prefect has its own."""
    return Path(sys.prefix) / "share" / "moodflow" / f"prefect-{version('prefect')}.db"


def make_seed(path: Path) -> None:
    """Let Prefect make and migrate a database; it is put at `path` whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        own = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
        command = [sys.executable, "-m", "prefect", "server", "database", "upgrade", "-y"]
        subprocess.run(command, env=own | {"PREFECT_HOME": folder}, check=True, stdout=subprocess.DEVNULL)
        (Path(folder) / "prefect.db").replace(path)


def plant_seed(home: Path) -> bool:
    """Begin a new Prefect home with a copy, where there is one; an existing database stays. Whether it was copied."""
    seed, database = seed_path(), home / "prefect.db"
    if database.exists() or not seed.is_file():
        return False
    home.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(seed, database)
    return True


if __name__ == "__main__":
    if not seed_path().is_file():
        make_seed(seed_path())
