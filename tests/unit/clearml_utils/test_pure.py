"""Graph, registry decisions, names, states, spool: what needs no server."""

from __future__ import annotations

import ast
import doctest
import json
import re
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from urllib3.util.wait import wait_for_read

import clearml_utils
from clearml_utils import names, redact
from clearml_utils.delivery import Delivery
from clearml_utils.errors import TrackingError
from clearml_utils.options import Options
from clearml_utils.pipeline import STATUSES, Graph, Step, dag
from clearml_utils.promotions import fold
from clearml_utils.record import Record
from clearml_utils.recorder import Recorder
from clearml_utils.sender import Sender
from clearml_utils.spool import Op, Segment, Waiting, is_held, waiting
from clearml_utils.states import settled
from clearml_utils.wire import Wire

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
        "import os, sys; from pathlib import Path; from clearml_utils.spool import Segment, Waiting\n"
        "s = Segment.create(Path(sys.argv[1]))\n"
        "for i in range(100): s.add([Waiting('run', 'events', {'i': i}, 0.0)])\n"
        "print(s.path.name, flush=True); os.kill(os.getpid(), 9)\n"
    )
    got = subprocess.run([sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, check=False)
    name = got.stdout.strip()
    assert not is_held(tmp_path, name)
    assert waiting(tmp_path) == {"run": 100}
    (segment,) = Segment.adopt(tmp_path)
    assert [op.body["i"] for op in segment.head()] == list(range(100))
    assert is_held(tmp_path, name)
    assert list(Segment.adopt(tmp_path)) == []
    segment.done(segment.head())
    segment.close()
    assert list(tmp_path.iterdir()) == []


def test_a_segment_that_cannot_be_read_is_set_aside(tmp_path: Path, caplog):
    """What a failing disk made of a segment does not stand in the way of the others: it is kept as `.broken`, and told."""
    (tmp_path / "0-broken.db").write_bytes(b"not a database, " * 1_000)
    whole = Segment.create(tmp_path)
    whole.add([Waiting("run", "events", {"i": 1}, 0.0)])
    whole.close()
    (segment,) = Segment.adopt(tmp_path)
    assert [op.body for op in segment.head()] == [{"i": 1}]
    segment.close(discard=True)
    assert [p.name for p in tmp_path.iterdir()] == ["0-broken.broken"]
    assert "set aside" in caplog.text


def _record(recorder: Recorder, run: str) -> Record:
    record = Record(recorder, run)
    body = {"name": "name", "type": "testing", "project": "P", "flow": "f", "hyperparams": {"properties": {}}}
    recorder.flow_began()
    recorder.open(record, body)
    return record


@pytest.fixture
def away(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Recorder]:
    """A recorder whose writer waits long, and whose sender is not there."""
    monkeypatch.setattr(Sender, "wake", lambda _: None)
    for name, value in (("HOST", "http://127.0.0.1:9"), ("ACCESS_KEY", "a"), ("SECRET_KEY", "b")):
        monkeypatch.setenv(f"CLEARML_API_{name}", value)
    recorder = Recorder(Options(spool=tmp_path / "spool", linger_ms=60_000))
    yield recorder
    recorder.turn_off(TrackingError("the test is over"))
    recorder.rest()


def test_a_task_waits_for_no_disk(away: Recorder, tmp_path: Path):
    """What a task tells stays in memory until the writer's turn; `flush` waits until it is on disk, in order."""
    record = _record(away, "run")
    record.text("one")
    record.artifact("small", {"i": 1})
    assert not waiting(tmp_path / "spool")
    record.flush()
    assert [op.kind for op in away.segment.head()] == ["open", "events", "artifact"]
    assert not away.segment.blobs.exists(), "a small artifact needs no file"


def test_flush_waits_for_files_too(away: Recorder):
    """What is told behind a file that is yet to be written is on disk at the return of `flush`, the file as well."""
    record = _record(away, "run")
    record.artifact("large", "x" * 100_000)
    record.text("behind it")
    record.flush()
    ops = away.segment.head()
    assert [op.kind for op in ops] == ["open", "artifact", "events"]
    assert Path(ops[1].body["file"]).read_text() == "x" * 100_000


def test_what_is_being_committed_still_waits(away: Recorder, monkeypatch: pytest.MonkeyPatch):
    """A flow's end does not take records on their way from memory to the spool for delivered ones."""
    inside, go = threading.Event(), threading.Event()
    add = Segment.add

    def slow(segment: Segment, items: list[Waiting]) -> int:
        inside.set()
        go.wait(60)
        return add(segment, items)

    _record(away, "run")
    monkeypatch.setattr(Segment, "add", slow)
    with ThreadPoolExecutor(2) as pool:
        commit = pool.submit(away.writer.write)
        assert inside.wait(60)
        idle = pool.submit(lambda: away.writer.idle)
        with pytest.raises(TimeoutError):
            idle.result(0.05)
        go.set()
        commit.result(60)
        assert idle.result(60)
    assert away.segment.pending() == 1


def test_a_flow_that_begins_while_another_rests_goes_on(away: Recorder):
    """The end of one flow takes neither the spool nor the threads from another that has begun in the same process."""
    record = _record(away, "run")
    away.rest()
    record.text("still here")
    record.flush()
    assert away.on
    assert [op.kind for op in away.segment.head()] == ["open", "events"]
    record.text("and here")
    record.move()
    assert any(thread.name == "clearml-utils-writer" for thread in threading.enumerate())


def test_batches_are_delivered_one_at_a_time(away: Recorder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Where the reconciler delivers what others left while the sender delivers its own, neither forgets the other's records."""
    inside: list[Path] = []
    meet = threading.Event()

    def batch(_: Delivery, segment: Segment, ops: list[Op]) -> list[object]:
        inside.append(segment.path)
        meet.wait(0.2)  # the other one's time to come in, if it could
        assert inside == [segment.path]
        inside.remove(segment.path)
        segment.done(ops)
        return []

    monkeypatch.setattr(Delivery, "batch", batch)
    segments = [Segment.create(tmp_path) for _ in range(4)]
    for segment in segments:
        segment.add([Waiting("run", "events", {"events": []}, 0.0)])
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(away.sender._once, segments)) == [True] * 4
    for segment in segments:
        segment.close()


def test_a_file_is_kept_as_it_was(away: Recorder, tmp_path: Path):
    """A file given as an artifact may be removed at once, also a large one."""
    record = _record(away, "run")
    file = tmp_path / "weights.bin"
    file.write_bytes(b"w" * 300_000)
    record.artifact("weights", file)
    file.unlink()
    record.flush()
    (stored,) = away.segment.blobs.iterdir()
    assert stored.read_bytes() == b"w" * 300_000


def test_a_connection_the_server_gave_up_is_made_anew():
    """A server that hangs up on idle clients, as all do after a while, fails no call."""
    answers = []

    def serve(listener: socket.socket) -> None:
        for i in range(2):
            client, _ = listener.accept()
            with client:
                client.recv(65536)
                client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\n%d" % i)
                answers.append(i)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        server = threading.Thread(target=serve, args=(listener,), daemon=True)
        server.start()
        wire = Wire(f"http://127.0.0.1:{listener.getsockname()[1]}/api/")
        assert wire.post(f"{wire.path}/a", b"{}", {}) == (200, b"0")
        while not wait_for_read(wire._idle[0].sock, timeout=60):
            pass
        assert wire.post(f"{wire.path}/b", b"{}", {}) == (200, b"1")
        server.join(60)
        wire.close()
    assert answers == [0, 1]


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


BROUGHT = {"prefect", "clearml", "requests", "urllib3", "cloudpickle", "pydantic"}
"""What clearml_utils may import without asking: the two it needs, and what these two bring along."""


def test_prefect_and_clearml_are_enough():
    """No module of the package imports, outside functions, what an environment of Prefect and ClearML alone has not."""
    folder = Path(clearml_utils.__file__).parent
    foreign = {
        (path.name, name)
        for path in folder.glob("*.py")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for name in ([a.name for a in node.names] if isinstance(node, ast.Import) else [node.module or ""])
        if name.split(".")[0] not in {*sys.stdlib_module_names, "clearml_utils", *BROUGHT}
    }
    assert foreign == set()
    needed = {re.split(r"[^\w-]", r)[0].lower() for d in ("prefect", "clearml") for r in metadata.requires(d) or ()}
    assert {name for name in BROUGHT if name.replace("_", "-") not in needed} == {"prefect", "clearml"}


def test_alone(tmp_path: Path):
    """Importing the package imports neither ClearML's SDK (a second) nor anything else of this repository."""
    code = "import clearml_utils, sys; print([m for m in sys.modules if m.split('.')[0] in ('clearml','flows','server','pandas')])"
    got = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert got.stdout.strip() == "[]"
