"""The docker compose commands, each with what to do when it fails."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

from server.official.errors import DockerMissing, OfficialError

HERE = Path(__file__).parent


def require() -> None:
    """Raise DockerMissing unless an engine answers."""
    if shutil.which("docker") is None:
        raise DockerMissing("docker is not installed: https://docs.docker.com/engine/install, then run this again")
    asked = subprocess.run(["docker", "info", "-f", "{{.ServerVersion}}"], capture_output=True, text=True, check=False)
    if asked.returncode:
        raise DockerMissing(
            f"no Docker engine answers ({asked.stderr.strip()[:200]}): start it, or use `python -m server.embedded`, "
            "which needs none"
        )


def compose(environment_file: Path, *arguments: str, profiles: tuple[str, ...] = ()) -> str:
    """Run `docker compose ARGUMENTS` on our file; its output.

    Raises
    ------
    OfficialError
        With the end of what it said.
    """
    command = ["docker", "compose", "-f", str(HERE / "compose.yaml"), "--env-file", str(environment_file)]
    for profile in profiles:
        command += ["--profile", profile]
    done = subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OfficialError(f"docker compose {' '.join(arguments)} failed:\n{done.stderr.strip()[-2000:]}")
    return done.stdout
