"""Code revision and installed packages, told once per flow run. No diffs: they may hold anything."""

from __future__ import annotations

import inspect
import platform
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit


def script(flow: Any) -> dict[str, Any]:
    """ClearML's `script` section of a flow."""
    try:
        path = Path(inspect.getsourcefile(inspect.unwrap(flow.fn)) or "")
    except TypeError:
        path = Path()
    root, url, branch, commit = _git(path.parent if path.name else Path.cwd())
    entry = str(path.relative_to(root)) if root and path.is_relative_to(root) else path.name
    return {
        "binary": f"python:{platform.python_version()}",
        "repository": url,
        "branch": branch,
        "version_num": commit,
        "entry_point": f"{entry}:{getattr(flow.fn, '__qualname__', flow.name)}",
        "working_dir": ".",
        "diff": "",
        "requirements": {"pip": packages()},
    }


@cache
def packages() -> str:
    """Installed distributions as a requirements file."""
    found = {d.metadata["Name"]: d.version for d in metadata.distributions() if d.metadata["Name"]}
    return "\n".join(f"{name}=={found[name]}" for name in sorted(found, key=str.lower))


@cache
def _git(folder: Path) -> tuple[Path | None, str, str, str]:
    """Root, remote address, branch and commit, read from the files git keeps: no process is started."""
    root = next((p for p in (folder, *folder.resolve().parents) if (p / ".git").is_dir()), None)
    if root is None:
        return None, "", "", ""
    try:
        head = (root / ".git/HEAD").read_text().strip()
        if not head.startswith("ref: "):
            return root, _remote(root), "", head
        ref = head.removeprefix("ref: ")
        return root, _remote(root), ref.removeprefix("refs/heads/"), _commit(root, ref)
    except OSError:
        return root, "", "", ""


def _commit(root: Path, ref: str) -> str:
    loose = root / ".git" / ref
    if loose.is_file():
        return loose.read_text().strip()
    packed = root / ".git/packed-refs"
    lines = packed.read_text().splitlines() if packed.is_file() else []
    return next((line.split(" ", 1)[0] for line in lines if line.endswith(f" {ref}")), "")


def _remote(root: Path) -> str:
    config = root / ".git/config"
    lines = [line.strip() for line in config.read_text().splitlines()] if config.is_file() else []
    url = next((line.split("=", 1)[1].strip() for line in lines if line.startswith("url")), "")
    parts = urlsplit(url)
    if "@" in parts.netloc:  # credentials do not travel
        url = urlunsplit(parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]))
    return url
