"""When ClearML is away: nothing is lost, nothing is doubled, nobody waits."""

from __future__ import annotations

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
        end = time.monotonic() + 60
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
    ClearML back (the delay per task is a figure of the benchmark).
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
