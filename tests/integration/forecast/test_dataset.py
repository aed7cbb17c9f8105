"""Public and synthetic studies become ClearML Datasets; answers collected here never do."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest

from clearml_utils import recorder
from clearml_utils.connection import Connection
from flows.analyse.provenance import PrivateData, Provenance, refuse_private
from flows.simulate import ItemRange, simulate
from flows.store import Store

ROOT = Path(__file__).parents[3]
pytestmark = pytest.mark.xdist_group("clearml-registry")


@pytest.fixture
def run(clearml_server: dict[str, str], tmp_path: Path):
    """`moodflow dataset` in a home of its own."""
    env = {**os.environ, **clearml_server, "MOODFLOW_HOME": str(tmp_path / "home"), "PYTHONPATH": str(ROOT)}
    env |= {"MOODFLOW_PROJECT": f"Data {tmp_path.name}", "CLEARML_CACHE_DIR": str(tmp_path / "cache")}

    def call(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-c", CLI, *arguments]
        return subprocess.run(
            command, env=env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=180
        )  # fmt: skip

    return call


CLI = """
import sys, typer
from flows.commands.dataset import dataset
from flows.commands.errors import CommandError
app = typer.Typer(add_completion=False)
app.command()(dataset)
try:
    app(sys.argv[1:], standalone_mode=False)
except CommandError as error:
    print(error, file=sys.stderr)
    sys.exit(error.code)
"""


def drawn(path: Path) -> Path:
    simulate([ItemRange("na", 1, 7, -1), ItemRange("calm", 1, 7, 1)], persons=3, days=3).to_csv(path, index=False)
    return path


def test_a_synthetic_study_becomes_a_data_set(run, clearml_server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The data set is in ClearML, completed, tagged as synthetic, with its origin and data hash, and the file in it."""
    done = run(str(drawn(tmp_path / "study.csv")), "--synthetic", "--source", "moodflow simulate, seed 1")
    assert done.returncode == 0, done.stderr[-2000:]
    number = done.stdout.split("study: ")[1].split()[0]
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    recorder.reset()
    task = Connection().call("tasks.get_by_id", task=number)["task"]
    recorder.reset()
    assert (task["status"], task["type"]) == ("completed", "data_processing")
    assert "synthetic" in task["tags"]
    assert "moodflow simulate, seed 1" in str(task)


@pytest.mark.parametrize("kind", ["in the state directory", "own columns", "own people", "no licence"])
def test_private_data_is_refused(run, tmp_path: Path, kind: str):
    """An export, a file of the state directory, people enrolled here, or a claim without a licence: nothing is sent."""
    home = tmp_path / "home"
    home.mkdir()
    path = drawn((home if kind == "in the state directory" else tmp_path) / "study.csv")
    if kind == "own columns":
        path.write_text("response_id,person,na\nr1,a,3\nr2,a,4\n")
    if kind == "own people":
        with Store.open(home / "private.db") as store:
            at = datetime(2026, 3, 2, tzinfo=UTC)
            store.surveys.open("mood", at)
            me = store.people.enrol(5, study="mood", language="en", timezone="UTC", consent_version="1", at=at).person
        path.write_text(f"person,day,beep,na\n{me},1,1,3\n{me},1,2,4\n")
    licence = [] if kind == "no licence" else ["--licence", "CC0"]
    done = run(str(path), "--source", "https://example.org", *licence)
    assert done.returncode == 2
    assert {"in the state directory": "state directory", "own columns": "response_id", "own people": "enrolled here",
            "no licence": "licence"}[kind] in done.stderr  # fmt: skip


def test_the_rule_itself():
    """Public data of strangers passes; a source is asked for."""
    refuse_private("x.csv", ["person", "na"], ["1", "2"], {"kfjw2"}, in_home=False)
    with pytest.raises(PrivateData, match="source"):
        Provenance("public", " ", "CC0")
