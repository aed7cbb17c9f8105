"""The documents: links and pictures are there, commands exist, examples run, generated pages are fresh."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

import pytest
import typer.main
from PIL import Image

from deployments.configuration_reference import TARGET, reference
from flows.__main__ import app
from flows.commands.prefect_seed import plant_seed
from flows.commands.report import disagreements

ROOT = Path(__file__).resolve().parents[2]
LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.MULTILINE | re.DOTALL)
LIMIT = 150_000


@cache
def documents() -> tuple[Path, ...]:
    listed = subprocess.run(
        ["git", "ls-files", "-co", "--exclude-standard", "*.md"], cwd=ROOT, capture_output=True, check=True, text=True
    ).stdout.splitlines()
    return tuple(ROOT / name for name in listed if (ROOT / name).is_file())


def fences(kind: str) -> list[tuple[str, str]]:
    return [
        (str(path.relative_to(ROOT)), body)
        for path in documents()
        for k, body in FENCE.findall(path.read_text())
        if k == kind
    ]


def anchors(path: Path) -> set[str]:
    heads = re.findall(r"^#+ (.+)$", path.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", head.lower()).strip().replace(" ", "-") for head in heads}


def test_links_and_pictures_lead_somewhere():
    """Every relative link of every document names a file that is there, and a heading that it has."""
    broken = []
    for path in documents():
        text = FENCE.sub("", path.read_text())
        for target in LINK.findall(text):
            if re.match(r"[a-z]+:", target):
                continue
            name, _, anchor = unquote(target).partition("#")
            there = (path.parent / name).resolve() if name else path
            if not there.exists() or (anchor and there.suffix == ".md" and anchor not in anchors(there)):
                broken.append(f"{path.relative_to(ROOT)}: {target}")
    assert broken == []


def test_pictures_are_small_and_say_what_is_behind_them():
    """A picture is a real one, small enough for Git, named in the list of pictures, and shown in the report."""
    folder = ROOT / "docs" / "images"
    said = json.loads((folder / "images.json").read_text())
    report = (ROOT / "REPORT.md").read_text()
    taken = {path.stem for path in folder.glob("*.png")}
    assert taken == {name for name, about in said.items() if "missing" not in about}
    for path in folder.glob("*.png"):
        with Image.open(path) as image:
            assert (path.name, image.width >= 600, path.stat().st_size <= LIMIT) == (path.name, True, True)
        caption = report.split(f"](docs/images/{path.name})")[0].rsplit("![", 1)[1]
        assert said[path.stem]["source"] in caption, path.name


def test_what_could_not_be_pictured_is_named_in_the_report():
    """A picture that is missing is named with its reason, not left out in silence."""
    said = json.loads((ROOT / "docs" / "images" / "images.json").read_text())
    report = (ROOT / "REPORT.md").read_text()
    missing = {name for name, about in said.items() if "missing" in about}
    assert {name for name in missing if f"`{name}`" not in report} == set()


def test_the_reports_numbers_are_the_runs():
    """Every number that REPORT.md names is the one of the run it was written from."""
    run = json.loads((ROOT / "docs" / "report_run.json").read_text())
    assert run["run"]["people"] > 0
    images = json.loads((ROOT / "docs" / "images" / "images.json").read_text())
    assert disagreements((ROOT / "REPORT.md").read_text(), run, images) == []


def test_the_configuration_page_is_fresh():
    """docs/configuration.md is what the settings say now (python -m deployments.configuration_reference writes it)."""
    assert reference() == TARGET.read_text()


def commands() -> list[tuple[str, list[str]]]:
    """Commands of console blocks, without comments; continued lines joined."""
    found = []
    for name, body in fences("console"):
        for line in body.replace("\\\n", " ").splitlines():
            words = line.partition(" #")[0].removeprefix("$ ").split()
            while words and "=" in words[0] and "/" not in words[0].split("=")[0]:
                words = words[1:]
            if words:
                found.append((name, words))
    return found


def test_make_targets_of_the_documents_exist():
    """Every `make X` in a document is a target of the Makefile."""
    rules = set(re.findall(r"^([a-z%-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    wanted = {(name, words[1]) for name, words in commands() if words[0] == "make" and len(words) > 1}
    inline = {(str(p.relative_to(ROOT)), t) for p in documents() for t in re.findall(r"`make ([a-z-]+)", p.read_text())}
    assert {
        (n, t) for n, t in wanted | inline if t not in rules and not (t.startswith("bench-") and "bench-%" in rules)
    } == set()


def test_moodflow_commands_of_the_documents_exist():
    """Every `moodflow X` in a document is a command that imports and has help."""
    group = typer.main.get_command(app)
    context = typer.Context(group)
    known = set(group.list_commands(context))
    wanted = set()
    for path in documents():
        text = path.read_text()
        for word in re.findall(r"(?:`|^|/bin/)moodflow ([a-z-]+)|-m flows ([a-z-]+)", text, re.MULTILINE):
            wanted.add((str(path.relative_to(ROOT)), word[0] or word[1]))
    assert {(name, word) for name, word in wanted if word not in known} == set()
    for word in sorted({word for _, word in wanted}):
        assert group.get_command(context, word) is not None


def test_modules_of_the_documents_exist():
    """Every `python -m X` in a document is a module of this project or an installed one."""
    from importlib.util import find_spec

    wanted = set(re.findall(r"python -m ([\w.]+)", "\n".join(path.read_text() for path in documents())))
    assert {name for name in wanted if find_spec(name) is None} == set()


ENDS = {"squares": "5", "training": "0.1", "hello": "hello, you"}  # a flow of the examples, and what it returns


def examples() -> list[pytest.param]:
    found = []
    for name in ("docs/track_your_own_flow.md", "REPORT.md"):
        for body in (body for kind, body in FENCE.findall((ROOT / name).read_text()) if kind == "python"):
            flow = re.findall(r"@flow.*\ndef (\w+)", body)[-1]
            call = "" if f"print({flow}())" in body else f"\nprint({flow}())\n"
            found.append(pytest.param(body + call, ENDS[flow], id=f"{Path(name).stem}-{flow}"))
    return found


def test_a_flow_is_tracked_in_five_lines():
    """The first example of the page that promises five lines has five."""
    first = FENCE.search((ROOT / "docs" / "track_your_own_flow.md").read_text())
    assert first is not None
    assert len([line for line in first[2].splitlines() if line]) <= 5


@pytest.mark.parametrize(("body", "end"), examples())
def test_examples_of_tracking_run(body, end, tmp_path):
    """The lines run as they stand in the document, with Prefect alone when no ClearML is configured."""
    script = tmp_path / "example.py"
    script.write_text(body)
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("CLEARML", "PREFECT", "TRAINS"))}
    env = clean | {"PREFECT_HOME": str(tmp_path / "prefect"), "HOME": str(tmp_path), "PYTHONPATH": str(ROOT),
                   "PREFECT_SERVER_ANALYTICS_ENABLED": "false", "DO_NOT_TRACK": "1",
                   "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": "200"}  # fmt: skip
    plant_seed(tmp_path / "prefect")
    done = subprocess.run(
        [sys.executable, script], cwd=tmp_path, env=env, capture_output=True, text=True, check=False, timeout=240
    )
    said = done.stdout.strip().splitlines()[-1:]
    assert (done.returncode, said) == (0, [end]), done.stderr[-3000:]
