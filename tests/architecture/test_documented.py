"""No command stands in a document unless a test executes it."""

from __future__ import annotations

import ast
import subprocess

import pytest

from tests.architecture.documented import EXAMPLES, EXECUTED, FENCE, ROOT, commands, documents

MAKE = {
    "demo": "-m flows demo", "demo KEEP=1": "-m flows demo --keep", "demo DATA=s.csv PERSONS=3": '-m flows demo --data "s.csv" --persons 3',
    "test": "-m pytest", "check": "-m mypy", "lint": "-m ruff check .", "report": "-m flows report", "report CHECK=1": "-m flows report --check",
    "screenshots": "-m flows screenshots", "screenshots WEBAPP=DIR": '-m flows screenshots --webapp "DIR"',
    "audit": "-m tests.audit", "bench-server": "-m tests.benchmarks.server", "bench-operate": "-m tests.benchmarks.operate",
    "campaign": "MOODFLOW_CAMPAIGN=full .venv/bin/python -m pytest -m campaign",
}  # fmt: skip


def test_every_command_is_executed():
    """A command that is in a document and not on the list fails here; so does one on the list that no document has."""
    listed = EXECUTED.keys()
    found = commands()
    assert {command: sorted(where) for command, where in found.items() if command not in listed} == {}
    assert sorted(listed - found.keys() - {"moodflow"}) == []


def test_every_example_is_executed():
    """Each block of code or of a definition in a document is run by the test that the list names; no other is there."""
    found = {
        (str(path.relative_to(ROOT)), kind)
        for path in documents()
        for kind, _ in FENCE.findall(path.read_text())
        if kind not in {"", "console", "sh", "bash", "mermaid", "text"}
    }
    assert found == EXAMPLES.keys()


def test_the_tests_that_execute_them_exist():
    """Each test that is named as executing a command is there."""
    lost = []
    for where in {*EXECUTED.values(), *EXAMPLES.values()}:
        path, _, name = where.partition("::")
        names = {
            node.name for node in ast.walk(ast.parse((ROOT / path).read_text())) if isinstance(node, ast.FunctionDef)
        }
        if name and name not in names:
            lost.append(where)
    assert lost == []


@pytest.mark.parametrize("target", MAKE)
def test_make_does_what_the_documents_say(target):
    """`make -n` shows that the target runs the command that other tests run."""
    done = subprocess.run(["make", "-n", *target.split()], cwd=ROOT, capture_output=True, text=True, check=True)
    assert MAKE[target] in " ".join(done.stdout.split())
