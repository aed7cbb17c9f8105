"""Backup and restore of the official server: databases and files, volume by volume, while nothing writes."""

from __future__ import annotations

import hashlib
import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path

from server.official.docker import compose
from server.official.errors import OfficialError

VOLUMES = ("mongo", "mongo-config", "elastic", "redis", "files")
_PROJECT = "moodflow-clearml"
_IMAGE = "redis:7.4.1"  # pulled already, has tar


def backup(environment_file: Path, target: Path) -> Path:
    """Stop the servers, archive every volume with its checksum, start again; the folder made."""
    folder = target / datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    folder.mkdir(parents=True)
    compose(environment_file, "stop")
    try:
        for volume in VOLUMES:
            _in_volume(volume, folder, f"tar -C /volume -czf /backup/{volume}.tar.gz .")
    finally:
        compose(environment_file, "start")
    sums = {name.name: _sum(name) for name in sorted(folder.glob("*.tar.gz"))}
    (folder / "manifest.json").write_text(json.dumps(sums, indent=2))
    return folder


def restore(environment_file: Path, folder: Path) -> None:
    """Replace every volume by what `folder` holds, after its checksums were compared."""
    verify(folder)
    compose(environment_file, "stop")
    try:
        for volume in VOLUMES:
            clear = "find /volume -mindepth 1 -delete"
            _in_volume(volume, folder, f"{clear} && tar -C /volume -xzf /backup/{volume}.tar.gz")
    finally:
        compose(environment_file, "start")


def verify(folder: Path) -> None:
    """Compare the archives with their manifest.

    Raises
    ------
    OfficialError
        If one is missing or differs: nothing was touched.
    """
    manifest = folder / "manifest.json"
    if not manifest.is_file():
        raise OfficialError(f"{folder} has no manifest.json: it is not a finished backup; nothing was touched")
    wanted: dict[str, str] = json.loads(manifest.read_text())
    wrong = [name for name, digest in wanted.items() if not (folder / name).is_file() or _sum(folder / name) != digest]
    wrong += [f"{v}.tar.gz" for v in VOLUMES if f"{v}.tar.gz" not in wanted]
    if wrong:
        raise OfficialError(f"{folder}: {', '.join(wrong)} missing or damaged; nothing was touched")


def _sum(path: Path) -> str:
    with path.open("rb") as source:
        return hashlib.file_digest(source, "sha256").hexdigest()


def _in_volume(volume: str, folder: Path, script: str) -> None:
    command = ["docker", "run", "--rm", "-v", f"{_PROJECT}_{volume}:/volume", "-v", f"{folder.resolve()}:/backup"]
    done = subprocess.run([*command, _IMAGE, "sh", "-c", script], capture_output=True, text=True, check=False)
    if done.returncode:
        raise OfficialError(f"volume {volume}: {done.stderr.strip()[-500:]}")
