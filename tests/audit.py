"""The dependency audit: what is installed is what is pinned, and what is pinned has no known vulnerability.

`make audit` fails on anything found and on an advisory service that does not answer. Within `make check`
(`--within-check`) only what this checkout decides can fail: a package that is installed otherwise than pinned. What the
service says of pinned packages changes with the day and not with a commit: it is printed, and that it could not be asked
is printed too.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
PINS = ROOT / "constraints.txt"
ADVISORIES = "https://api.osv.dev/v1/query"
OURS = {"moodflow", "pip", "setuptools", "wheel"}
"""Not pinned: the project itself, and what a fresh virtual environment brings."""


class NotAsked(Exception):
    """The advisory service did not answer: nothing is known."""


def canonical(name: str) -> str:
    """A distribution's name as package indexes compare it."""
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(path: Path = PINS) -> dict[str, str]:
    """Name -> version of every pinned package."""
    lines = (line.split("#")[0].split(";")[0].strip() for line in path.read_text().splitlines())
    found = (line.split("==") for line in lines if "==" in line)
    return {canonical(name): version for name, version in found}


def strays(pinned: dict[str, str], installed: dict[str, str]) -> list[str]:
    """Installed packages that the audit would miss, since they are not the pinned ones."""
    return [
        f"{name} {version} is installed, {pinned.get(name, 'no version')} is pinned"
        for name, version in sorted(installed.items())
        if name not in OURS and pinned.get(name) != version
    ]


def installed() -> dict[str, str]:
    """Name -> version of what this interpreter would import."""
    return {canonical(str(one.metadata["Name"])): one.version for one in distributions()}


def vulnerable(path: Path, url: str = ADVISORIES) -> list[str]:
    """Pinned packages with a known vulnerability, one line each.

    Raises
    ------
    NotAsked
        With the last words of the auditor.
    """
    command = [sys.executable, "-m", "pip_audit", "-s", "osv", "--osv-url", url, "-r", str(path), "--no-deps"]
    command += ["--disable-pip", "-f", "json", "--progress-spinner", "off", "--timeout", "5"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=600)
    except subprocess.TimeoutExpired as error:
        raise NotAsked("no answer within ten minutes") from error
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError as error:
        raise NotAsked((done.stderr.strip().splitlines() or ["it said nothing"])[-1][:300]) from error
    return [
        f"{one['name']} {one['version']}: {found['id']}, fixed in {', '.join(found['fix_versions']) or 'no version'}"
        for one in said["dependencies"]
        for found in one.get("vulns", [])
    ]


def main() -> int:
    """Run it; 0 well, 1 something was found, 2 the service was not asked."""
    lenient = "--within-check" in sys.argv
    url = os.environ.get("MOODFLOW_ADVISORIES", ADVISORIES)
    wrong = strays(pins(), installed())
    for line in wrong:
        print(f"audit: {line}: install again with `-c constraints.txt`, or pin it")
    try:
        found = vulnerable(PINS, url)
    except NotAsked as error:
        print(f"audit: NOT DONE, {len(pins())} pinned packages were not looked up: {url} did not answer ({error})")
        return 1 if wrong else 0 if lenient else 2
    for line in found:
        print(f"audit: {line}")
    print(f"audit: {len(pins())} pinned packages looked up, {len(found)} known vulnerabilities")
    return 1 if wrong or (found and not lenient) else 0


if __name__ == "__main__":
    sys.exit(main())
