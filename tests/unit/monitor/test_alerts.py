"""What operators are told: once when trouble begins, once when it ends, within an allowance."""

from __future__ import annotations

import dataclasses
import json
import uuid
from collections import Counter
from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.monitor.alerts import Alerting, Pace, decide, delivered
from flows.monitor.checks import Limits, Problem, problems
from flows.monitor.observation import ClearmlSeen, DeploymentSeen, Observation, PrefectSeen, StoreSeen

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
WELL = Observation(
    START,
    PrefectSeen((DeploymentSeen("cycle", 0.0, "COMPLETED", "r"),), {"one": 3.0}, 5, 0),
    StoreSeen(1.0, 0.0, 0.0),
    ClearmlSeen(),
    50_000,
    0o700,
)


def at(minutes: float) -> Observation:
    return Observation(START + timedelta(minutes=minutes), *list(vars(WELL).values())[1:])


def trouble(*keys: str) -> list[Problem]:
    return [Problem(key, f"{key} is wrong", "mend it") for key in keys]


def test_an_installation_that_is_well_has_no_problem():
    """Nothing is told where nothing is wrong."""
    assert problems(WELL) == ()
    assert decide(Alerting(), (), WELL, ["telegram"]).queue == {"telegram": ()}


def test_each_kind_of_trouble_has_its_own_key():
    """Every rule fires on what it is about, and on nothing else."""
    seen = Observation(
        START,
        PrefectSeen(
            (DeploymentSeen("cycle", 700, "FAILED", "r1"), DeploymentSeen("survey", 0, "CRASHED", "r2")), {"one": 999}
        ),
        StoreSeen(999, 9999, 9999, 5000, drifted=("na",), monitor_silent_s=9999),
        ClearmlSeen(3, 9999, 1, 2, "Unreachable"),
        10,
        0o755,
    )
    assert [p.key for p in problems(seen)] == [
        "late:cycle", "failing:cycle", "failing:survey", "worker", "bot", "monitor", "sheet", "outbox", "inbox", "drift:na",
        "clearml", "spool", "refused", "lost", "disk", "permissions",
    ]  # fmt: skip
    assert [p.key for p in problems(Observation(START, None, None, None, 9e9, 0o700))] == ["prefect", "store"]
    assert problems(seen, Limits(sheet_lag=1e9)) != problems(seen)


def test_a_worker_that_is_gone_is_named_while_others_work():
    """One of two that died is trouble by its name; one gone for a day, or named by chance, is not."""
    drawn = f"ProcessWorker {uuid.uuid4()}"
    workers = {"one": 3.0, "two": 200.0, "old": 100_000.0, drawn: 200.0}
    seen = dataclasses.replace(WELL, prefect=PrefectSeen((), workers))
    assert [(p.key, p.what) for p in problems(seen)] == [("worker:two", "worker two was not heard for 3 min")]
    assert [p.key for p in problems(dataclasses.replace(WELL, prefect=PrefectSeen((), {})))] == ["worker"]


def test_one_alert_and_one_recovery_per_channel():
    """Trouble that lasts is told once; its end is told once; twice the same look changes nothing."""
    state = Alerting()
    for minute in range(3):
        state = decide(state, trouble("disk"), at(minute), ["telegram", "webhook"])
    state = decide(state, [], at(5), ["telegram", "webhook"])
    state = decide(state, [], at(6), ["telegram", "webhook"])
    for channel in ("telegram", "webhook"):
        assert [(n.kind, n.keys) for n in state.queue[channel]] == [("problem", ("disk",)), ("recovery", ("disk",))]


def test_what_a_channel_did_not_take_waits_and_keeps_its_id():
    """A channel that is away misses nothing; the other one is not told twice."""
    state = decide(Alerting(), trouble("disk"), at(0), ["telegram", "webhook"])
    notice = state.queue["telegram"][0]
    state = delivered(state, "telegram", notice)
    state = decide(
        Alerting.of(json.loads(json.dumps(state.as_dict()))), trouble("disk"), at(1), ["telegram", "webhook"]
    )
    assert state.queue["telegram"] == ()
    assert [n.id for n in state.queue["webhook"]] == [notice.id]


def test_a_flood_is_held_to_the_allowance():
    """Fifty troubles at once are at most `per_hour` alerts an hour; the rest is told later if it lasts."""
    many = trouble(*(f"t{n}" for n in range(50)))
    state = decide(Alerting(), many, at(0), ["c"], Pace(per_hour=5))
    assert len(state.queue["c"]) == 5
    state = decide(state, many, at(30), ["c"], Pace(per_hour=5))
    assert len(state.queue["c"]) == 5
    state = decide(state, many, at(61), ["c"], Pace(per_hour=5))
    assert len(state.queue["c"]) == 10
    state = decide(state, [], at(62), ["c"], Pace(per_hour=5))
    assert Counter(n.kind for n in state.queue["c"]) == {"problem": 10, "recovery": 10}


def test_one_digest_a_day():
    """The first look's day has none; then one a day, at or after its hour, naming what is still wrong."""
    state = Alerting()
    for hours in range(72):
        state = decide(state, trouble("disk") if hours > 20 else [], at(hours * 60), ["c"])
    digests = [n for n in state.queue["c"] if n.kind == "digest"]
    assert [n.at.isoformat() for n in digests] == ["2026-03-03T08:00:00+00:00", "2026-03-04T08:00:00+00:00"]
    assert "still wrong: disk is wrong" in digests[0].text


@settings(max_examples=200, deadline=None)
@given(st.lists(st.sets(st.sampled_from("abcdef")), max_size=40), st.integers(1, 6))
def test_alerts_and_recoveries_alternate(looks, per_hour):
    """Whatever happens: per key problem, recovery, problem, ..., never two alike in a row, never beyond the allowance."""
    state = Alerting()
    for minute, keys in enumerate(looks):
        state = decide(state, trouble(*sorted(keys)), at(minute * 7), ["c"], Pace(per_hour=per_hour))
    notices = [n for n in state.queue.get("c", ()) if n.kind != "digest"]
    for key in "abcdef":
        kinds = [n.kind for n in notices if n.keys == (key,)]
        assert kinds == [("problem", "recovery")[n % 2] for n in range(len(kinds))]
        assert (key in state.open) == (len(kinds) % 2 == 1)
    begun = [n.at for n in notices if n.kind == "problem"]
    assert all(sum(timedelta(0) <= b - a < timedelta(hours=1) for b in begun) <= per_hour for a in begun)
    assert Alerting.of(state.as_dict()) == state
