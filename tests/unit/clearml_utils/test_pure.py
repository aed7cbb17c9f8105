"""Graph, registry decisions, names, states, spool: what needs no server."""

from __future__ import annotations

import doctest
import json
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import clearml_utils
from clearml_utils import names, redact
from clearml_utils.pipeline import STATUSES, Graph, Step, dag
from clearml_utils.promotions import fold
from clearml_utils.spool import Segment, is_held, waiting
from clearml_utils.states import settled

STEPS = st.lists(
    st.builds(
        Step,
        run=st.integers(0, 12).map(str),
        name=st.sampled_from(["a", "b", "c"]),
        status=st.sampled_from(STATUSES),
        parents=st.lists(st.integers(0, 15).map(str), max_size=4).map(tuple),
    ),
    max_size=12,
)


@given(STEPS)
def test_a_graph_the_web_app_can_draw(steps: list[Step]):
    """Whatever the steps: names unique, parents are steps, no cycle (either empties the page's graph), all fields there."""
    graph = Graph()
    for step in steps:
        graph.update(step)
    drawn = dag(graph, {})
    assert len(drawn) == len(graph.steps)
    before: set[str] = set()
    for name, node in drawn.items():
        assert set(node["parents"]) <= before
        assert {"status", "job_id", "job_type", "job_started", "job_ended", "job_code_section"} <= set(node)
        before.add(name)
    json.dumps(drawn, allow_nan=False)


@given(st.permutations(range(6)), st.lists(st.integers(-1, 5), min_size=6, max_size=6))
def test_promotions_have_one_outcome(order: list[int], bases: list[int]):
    """In whatever order a reader receives the promotions, it decides the same; each that counts is based on the last before."""
    entries = [
        {
            "id": f"p{i}", "created": f"2026-01-0{i + 1}",
            "comment": json.dumps({"base": f"p{b}" if b >= 0 else "", "version": i, "model": f"m{i}", "reason": "", "by": ""}),
        }
        for i, b in enumerate(bases)
    ]  # fmt: skip
    straight = fold(entries)
    assert fold([entries[i] for i in order]) == straight
    last = ""
    for promotion in straight:
        assert promotion.counts == (promotion.base == last)
        last = promotion.id if promotion.counts else last


def test_somebody_elses_tasks_are_no_promotions():
    """A task in the folder that is not a promotion is ignored."""
    assert fold([{"id": "x", "created": "1", "comment": "hello"}, {"id": "y", "created": "2", "comment": None}]) == []


@given(st.text(max_size=1200))
def test_names_clearml_takes(name: str):
    """Any name becomes one of three to 250 characters; as part of a path it has no slash."""
    assert 3 <= len(names.safe_name(name)) <= 250
    assert "/" not in names.safe_segment(name)
    assert len(names.safe_file(name)) <= 90
    assert "/" not in names.safe_file(name)


def test_states_that_are_ends():
    """Every Prefect state is either an end in ClearML or not one; the ends are these."""
    from prefect import states

    ends = {
        "Completed": ("completed", ""), "Failed": ("failed", ""), "Crashed": ("failed", "crashed"),
        "Cancelled": ("stopped", "cancelled"), "Running": None, "Pending": None, "Scheduled": None, "Retrying": None,
        "AwaitingRetry": None, "Paused": None,
    }  # fmt: skip
    for name, wanted in ends.items():
        end = settled(getattr(states, name)())
        assert (end and (end.status, end.reason)) == wanted, name
    assert settled(states.Pending(name="NotReady")).reason == "skipped"
    assert settled(states.Completed(name="Cached")).reason == "cached"
    assert settled(states.Failed(name="TimedOut")).reason == "timed out"


def test_a_spool_survives_its_process(tmp_path: Path):
    """SIGKILL after `add` returned: the next process finds every record, in order, and the lock is free."""
    code = (
        "import os, sys; from pathlib import Path; from clearml_utils.spool import Segment\n"
        "s = Segment.create(Path(sys.argv[1]))\n"
        "for i in range(100): s.add('run', [('events', {'i': i})])\n"
        "print(s.path.name, flush=True); os.kill(os.getpid(), 9)\n"
    )
    got = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    name = got.stdout.strip()
    assert not is_held(tmp_path, name)
    assert waiting(tmp_path) == 100
    (segment,) = Segment.adopt(tmp_path)
    assert [op.body["i"] for op in segment.head()] == list(range(100))
    assert is_held(tmp_path, name)
    assert list(Segment.adopt(tmp_path)) == []
    segment.done(segment.head())
    segment.close()
    assert list(tmp_path.iterdir()) == []


def test_all_is_what_is_public():
    """`__all__` is sorted, true, and complete: every public name of the package that is not a module is in it."""
    import types

    public = {
        n for n, v in vars(clearml_utils).items() if not n.startswith("_") and not isinstance(v, types.ModuleType)
    }
    assert list(clearml_utils.__all__) == sorted(clearml_utils.__all__)
    assert set(clearml_utils.__all__) == public | {"registry"}


@pytest.mark.parametrize("module", [names, redact])
def test_examples_in_docstrings(module):
    """The examples in the documentation are true."""
    assert doctest.testmod(module).failed == 0


def test_alone(tmp_path: Path):
    """Importing the package imports neither ClearML's SDK (a second) nor anything else of this repository."""
    code = "import clearml_utils, sys; print([m for m in sys.modules if m.split('.')[0] in ('clearml','flows','server','pandas')])"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "[]"
