"""`make bench-demo`: the whole path as `make demo` runs it, 20 people for 14 days; wall time and peak memory."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.benchmarks.figures import write


def main() -> None:
    """Run the demo in a state directory of its own and write what it measured of itself."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "MOODFLOW_HOME": str(Path(folder) / "home")}
        subprocess.run([sys.executable, "-m", "flows", "demo"], env=environment, check=True, cwd=folder)
        figures = json.loads((Path(folder) / "build" / "bench" / "demo.json").read_text())
    write("demo", figures)


if __name__ == "__main__":
    main()
