"""The rules of the house, held by tests: imports, settings, and what a commit may carry."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from flows.settings import Settings

ROOT = Path(__file__).resolve().parents[2]


def tracked() -> list[Path]:
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, check=True, text=True).stdout
    return [ROOT / name for name in listed.split("\0") if name and (ROOT / name).is_file()]


def test_import_rules_hold():
    """Every contract of the dependency rules is kept."""
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:]


def prefect_importers() -> list[str]:
    found = []
    for path in (ROOT / "flows").rglob("*.py"):
        text = path.read_text()
        if re.search(r"^\s*(import prefect|from prefect)", text, re.MULTILINE):
            found.append(str(path.relative_to(ROOT)))
    return found


def test_only_thin_files_import_prefect():
    """Within flows, Prefect is imported by flow.py files, cycle.py, clients/events.py and the command line alone."""
    allowed = re.compile(r"flows/(.*/flow\.py|cycle\.py|clients/events\.py|commands/.*|.*commands\.py|__main__\.py)$")
    assert [name for name in prefect_importers() if not allowed.match(name)] == []


def test_every_setting_is_documented():
    """A setting without a description cannot be set by anybody but its author; the reference and example name each."""
    assert [name for name, field in Settings.model_fields.items() if not field.description] == []
    example = (ROOT / ".env.example").read_text()
    assert [n for n in Settings.model_fields if f"MOODFLOW_{n.upper()}" not in example] == []


@pytest.mark.parametrize(
    "pattern", [r"BEGIN (RSA |EC )?PRIVATE KEY", r"\b\d{8,10}:[A-Za-z0-9_-]{35}\b", r"AKIA[0-9A-Z]{16}"]
)
def test_no_secret_is_committed(pattern):
    """Nothing that looks like a key or a bot token is in the repository (tests' own examples excepted)."""
    hits = []
    for path in tracked():
        if path.is_relative_to(ROOT / "tests") or path.suffix in {".png", ".jpg"}:
            continue
        if re.search(pattern, path.read_text(errors="replace")):
            hits.append(str(path.relative_to(ROOT)))
    assert hits == []


def test_no_file_is_too_long():
    """A source file over 500 lines hides a second idea."""
    long = {p: n for p in tracked() if p.suffix == ".py" and (n := len(p.read_text().splitlines())) > 500}
    assert {str(p.relative_to(ROOT)): n for p, n in long.items()} == {}
