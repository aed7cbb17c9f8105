"""What `docker` does for `server.official`, without an engine: notes its arguments; volumes are directories.

`docker run` runs the script it is given, with /volume and /backup replaced by the directories mounted there, so that
archives are really made and unpacked.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

HERE = Path(os.environ["STUB_DOCKER"])


def main() -> int:
    arguments = sys.argv[1:]
    with (HERE / "calls").open("a") as file:
        file.write(" ".join(arguments) + "\n")
    if arguments[0] != "run":
        print("apiserver  | it said this" if "logs" in arguments else "27.0")
        return 0
    mounts = [arguments[n + 1].split(":") for n, word in enumerate(arguments) if word == "-v"]
    script = arguments[-1]
    for source, target in mounts:
        path = Path(source) if source.startswith("/") else HERE / source
        path.mkdir(parents=True, exist_ok=True)
        script = script.replace(target, str(path))
    return subprocess.run(["sh", "-c", script], check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
