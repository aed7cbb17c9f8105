"""When ClearML is away: nothing is lost, nothing is doubled, nobody waits."""

from __future__ import annotations

import socket
import time
import uuid
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from clearml_utils import current_record, flow, task
from clearml_utils.options import Options
from clearml_utils.record import Record
from clearml_utils.recorder import Recorder
from tests.benchmarks.bridge import Timing
from tests.contract.bridge.proxy import Proxy
from tests.contract.bridge.reading import Reader

FATES = st.lists(st.sampled_from(["pass", "pass", "pass", "refuse", "lost"]), max_size=40)


def _record_one(recorder: Recorder, parent: str | None, name: str) -> str:
    """One run's records: five scalars, three lines, an artifact, an end."""
    run = str(uuid.uuid4())
    record = Record(recorder, run)
    body = {
        "name": name, "type": "data_processing" if parent else "controller", "project": "Outages", "flow": "outage",
        "parent": parent, "hyperparams": {"properties": {"prefect_task_run": run}},
    }  # fmt: skip
    recorder.open(record, body)
    if parent:
        for i in range(5):
            record.scalar("loss", "train", i / 10, i)
        for i in range(3):
            record.text(f"line {i}")
        record.artifact("a", {"i": name})
    recorder.close(record, {"status": "completed"}) if parent else None
    return run


@pytest.mark.xdist_group("clearml")
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(fates=FATES, cut=st.integers(0, 3))
def test_no_record_is_lost_or_doubled(clearml_server, tmp_path_factory, fates: list[str], cut: int):
    """Whatever requests are refused, and whatever answers are lost after the server acted, and with a process ending in
    between: in the end every run is there once, with every line and point once, in order.
    """
    with pytest.MonkeyPatch.context() as patch:
        for name, value in clearml_server.items():
            patch.setenv(name, value)
        proxy = Proxy(clearml_server["CLEARML_API_HOST"], lambda n: fates[n - 1] if n <= len(fates) else "pass")
        patch.setenv("CLEARML_API_HOST", proxy.url)
        spool = tmp_path_factory.mktemp("spool")
        options = Options(spool=spool, linger_ms=1, flush_seconds=20)
        patch.setattr("clearml_utils.sender._BACKOFF", (0.005,))
        patch.setattr("clearml_utils.sender._RETRY_AFTER_SECONDS", 0.0)
        recorder = Recorder(options)
        controller = _record_one(recorder, None, "controller")
        runs = []
        for i in range(4):
            runs.append(_record_one(recorder, controller, f"child {i}"))
            if i == cut:  # the process ends with what it could not send; another goes on
                recorder.flush(0.05)
                recorder.rest()
                recorder = Recorder(options)
        end = time.monotonic() + 300
        while list(spool.glob("*.db")) and time.monotonic() < end:
            recorder.flush(5)
            recorder.sender.adopt_quietly()
            recorder.rest()
        proxy.close()
        patch.setenv("CLEARML_API_HOST", clearml_server["CLEARML_API_HOST"])
        reader = Reader()
        assert list(spool.glob("*.db")) == []
        parent = reader.of(controller)["id"]
        for run in runs:
            child = reader.of(run)
            assert child["parent"] == parent
            assert child["status"] == "completed"
            assert reader.log(child) == ["line 0", "line 1", "line 2"]
            assert reader.scalars(child)["loss"]["train"]["x"] == [0, 1, 2, 3, 4]
            assert list(reader.artifacts(child)) == ["a"]


@pytest.mark.xdist_group("prefect")
def test_a_flow_does_not_wait_for_an_unreachable_server(tracked: Reader, monkeypatch, tmp_path: Path):
    """With nobody at the address the flow runs and ends, and its records are delivered by the next flow that finds
    ClearML back (how long a task is held up is the next test's).
    """
    from clearml_utils import recorder

    home = tracked.connection.session.host
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:9")
    recorder.reset()
    took = []

    @task
    def quick(i: int) -> int:
        current_record().scalar("a", "b", float(i))
        return i

    @flow(project="Bridge")
    def stubborn(n: int):
        for i in range(n):
            quick(i)
        took.append(n)
        return n

    state = stubborn(8, return_state=True)
    run = state.state_details.flow_run_id
    assert took == [8]
    assert tracked.tasks(system_tags=["__$all", f"prefect:{run}"]) == []
    assert len(list((tmp_path / "spool").glob("*.db"))) == 1
    monkeypatch.setenv("CLEARML_API_HOST", home)
    recorder.reset()
    stubborn(1)
    assert Counter(t["status"] for t in tracked.children(run)) == {"completed": 8}
    assert list((tmp_path / "spool").glob("*.db")) == []


@pytest.mark.xdist_group("prefect")
def test_a_silent_server_holds_up_a_task_by_milliseconds(tracked: Reader, monkeypatch: pytest.MonkeyPatch):
    """ClearML that takes connections and answers none: tracking adds less than 50 ms to a task's own path."""
    from clearml_utils import recorder

    @task
    def busy(i: int) -> int:
        current_record().scalar("a", "b", float(i))
        current_record().text("words")
        current_record().artifact("small", {"i": i})
        return i

    @flow(project="Bridge")
    def ten():
        for i in range(10):
            busy(i)

    timing = Timing()
    with socket.create_server(("127.0.0.1", 0)) as silent, timing.installed():
        monkeypatch.setenv("CLEARML_API_HOST", f"http://127.0.0.1:{silent.getsockname()[1]}")
        monkeypatch.setenv("CLEARML_UTILS_FLUSH_SECONDS", "0.2")
        recorder.reset()
        assert ten(return_state=True).is_completed()
        assert recorder.recorder().on
    assert 0 < timing.seconds / 10 < 0.050


class Poison(Proxy):
    """A server with a defect: whatever request holds `word`, it answers with 500."""

    def __init__(self, target: str, word: bytes) -> None:
        self._word = word
        super().__init__(target, lambda _: "pass")

    def _answer(self, request: bytes) -> bytes | None:
        if self._word not in request:
            return None
        self.seen.append("500")
        body = b'{"meta": {"result_code": 500, "result_subcode": 0, "result_msg": "General data error"}, "data": {}}'
        return b"HTTP/1.1 500 Error\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s" % (len(body), body)


@pytest.mark.xdist_group("clearml")
@pytest.mark.parametrize("where", ["line 1", "the child"])
def test_a_record_the_server_always_trips_over_is_set_aside(
    clearml_server, tmp_path: Path, monkeypatch, caplog, where: str
):
    """A line, or a whole task, that is answered with 500 every time: after bounded tries it is in `refused.jsonl`, told
    loudly, and everything else is delivered.
    """
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    word = uuid.uuid4().hex
    proxy = Poison(clearml_server["CLEARML_API_HOST"], word.encode())
    monkeypatch.setenv("CLEARML_API_HOST", proxy.url)
    monkeypatch.setattr("clearml_utils.sender._BACKOFF", (0.005,))
    monkeypatch.setattr("clearml_utils.sender._RETRY_AFTER_SECONDS", 0.0)
    recorder = Recorder(Options(spool=tmp_path / "spool", linger_ms=1, flush_seconds=20))
    controller = _record_one(recorder, None, "controller")
    bad = _record_one(recorder, controller, word if where == "the child" else "bad child")
    if where == "line 1":
        recorder.add(bad, [("events", {"events": [{"type": "log", "timestamp": 1, "level": "info", "msg": word}]})])
    good = [_record_one(recorder, controller, f"child {i}") for i in range(3)]
    monkeypatch.setattr("clearml_utils.delivery._PATIENCE_SECONDS", 0.0)
    end = time.monotonic() + 120
    while recorder.segment.pending() and time.monotonic() < end:
        recorder.flush(5)
        recorder.add(good[0], [("events", {"events": [{"type": "log", "timestamp": 2, "level": "info", "msg": "on"}]})])
        recorder.flush(5)
    aside = (tmp_path / "spool" / "refused.jsonl").read_text()
    assert recorder.flush(5)
    recorder.rest()
    proxy.close()
    monkeypatch.setenv("CLEARML_API_HOST", clearml_server["CLEARML_API_HOST"])
    assert word in aside
    assert "refused.jsonl" in caplog.text
    reader = Reader()
    for run in good:
        child = reader.of(run)
        assert child["status"] == "completed"
        assert [line for line in reader.log(child) if line != "on"] == ["line 0", "line 1", "line 2"]
    there = reader.tasks(system_tags=["__$all", f"prefect:{bad}"])
    assert [t["status"] for t in there] == ([] if where == "the child" else ["completed"])


@pytest.mark.xdist_group("clearml")
def test_the_spool_is_bounded(clearml_server, tmp_path: Path, monkeypatch, caplog):
    """While ClearML is away the spool grows to its limit and no further; what is dropped is counted in the task's own
    message, and its beginning and end are delivered all the same.
    """
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    home = clearml_server["CLEARML_API_HOST"]
    monkeypatch.setenv("CLEARML_API_HOST", "http://127.0.0.1:9")
    options = Options(spool=tmp_path / "spool", spool_max_mb=0.2, linger_ms=1, flush_seconds=20)
    recorder = Recorder(options)
    run = str(uuid.uuid4())
    record = Record(recorder, run)
    recorder.open(record, {"name": "much", "type": "testing", "project": "Outages", "flow": "f", "parent": None,
                           "hyperparams": {"properties": {}}})  # fmt: skip
    for i in range(200):
        record.text(f"{i} " + "word " * 2_000)
        record.flush()
    assert sum(p.stat().st_size for p in (tmp_path / "spool").rglob("*")) < 2_000_000
    recorder.close(record, {"status": "completed"})
    assert "its limit" in caplog.text
    recorder.rest()
    monkeypatch.setenv("CLEARML_API_HOST", home)
    recorder = Recorder(options)
    recorder.sender.adopt()
    recorder.rest()
    task_ = Reader().of(run)
    assert task_["status"] == "completed"
    assert "did not fit into the local spool" in task_["status_message"]
    assert 0 < len(Reader().log(task_)) < 100


@pytest.mark.xdist_group("prefect")
def test_no_network_call_is_on_a_tasks_path(tracked: Reader, monkeypatch):
    """Whatever a task does with its record, and its beginning and end, no socket is touched by its own thread."""
    import threading

    from clearml_utils.connection import Connection

    callers: list[str] = []
    send = Connection._send

    def noted(self, *args, **kwargs):
        callers.append(threading.current_thread().name)
        return send(self, *args, **kwargs)

    monkeypatch.setattr(Connection, "_send", noted)

    @task
    def busy(i: int) -> dict[str, float]:
        current_record().scalar("a", "b", float(i))
        current_record().text("words")
        current_record().artifact("small", {"i": i})
        return {"i": float(i)}

    @flow(project="Bridge")
    def calm():
        for i in range(5):
            busy(i)

    calm()
    assert callers
    assert {name for name in callers if not name.startswith("clearml-utils-")} == set()
