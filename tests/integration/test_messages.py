"""Messages of real cycles: Prefect runs them, ClearML holds the policies, the private store keeps what was said."""

from __future__ import annotations

import re
from collections.abc import Iterator
from copy import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from flows.analyse.frame import build_frame
from flows.analyse.indices import indices
from flows.analyse.panel import panel
from flows.analyse.report import Analysis
from flows.analyse.reports import build_reports
from flows.clock import SharedClock
from flows.collect.rows import KEYS
from flows.forecast import Forecast
from flows.store import Prompt, Response, Store
from tests.integration.survey.wire import until

pytestmark = pytest.mark.xdist_group("prefect")

START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
NOW = START + timedelta(days=15, hours=4)
LIKERT = ("cheerful", "calm", "sad", "anxious", "irritable", "energetic")


@pytest.fixture
def home(tmp_path: Path, prefect_server: str, clearml_server: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> Path:
    for name, value in clearml_server.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("MOODFLOW_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("MOODFLOW_PROJECT", f"Messages {tmp_path.name}")
    monkeypatch.setenv("CLEARML_UTILS_SPOOL", str(tmp_path / "spool"))
    SharedClock(tmp_path / "home").set(NOW)
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[Store]:
    with Store.open(home / "private.db") as opened:
        opened.surveys.open("mood", START)
        yield opened


def enrol(store: Store, people: int) -> list[str]:
    """People of both languages; chats of their own."""
    return [
        store.people.enrol(
            1000 + k, study="mood", language="ru" if k % 2 else "en", timezone="Europe/Moscow", consent_version="1", at=START
        ).person
        for k in range(people)
    ]  # fmt: skip


def analysed(store: Store, people: list[str], days: int = 15) -> Analysis:
    """What analysis hands on after `days` days of four beeps, kept as a snapshot as analysis keeps it."""
    survey = store.surveys.of_study("mood")
    assert survey is not None
    rows = [[*KEYS, *survey.item_ids]]
    for p, person in enumerate(people):
        for d in range(days):
            for b in range(4):
                at = (START + timedelta(days=d, hours=3 * b)).isoformat().replace("+00:00", "Z")
                shift = 3 if p == 0 and d >= 8 else 0
                values = [str(1 + (3 * d + b + k + p) % 3 + shift) for k in range(len(survey.item_ids))]
                key = f"{person}-{d}-{b}"
                keys = [f"{key}-1", key, person, "mood", survey.version, "1", "complete", str(d + 1), str(b + 1), at, at, at, "Europe/Moscow"]  # fmt: skip
                rows.append([*keys, *values])
    frame = build_frame(rows, survey, now=NOW)
    store.snapshots.save(frame.data_hash, frame.data, NOW)
    table = indices(panel(frame, "na"))
    reports = build_reports(frame, "na", table)
    return Analysis("mood", survey.version, "na", frame.data_hash, frame.data, frame.quality, table, reports)


def ahead(people: list[str]) -> list[Forecast]:
    return [Forecast(p, "na", NOW + timedelta(hours=2), 2.0, 2.0, 1.0, 3.0, "model-7", 7) for p in people]


def why(message_id: str) -> str:
    import typer

    from flows.commands import messages

    app = typer.Typer()
    app.command()(messages.why)
    result = CliRunner().invoke(app, [message_id])
    return result.output if result.exception is None else f"{result.exception}"


def test_a_cycle_is_kept_queued_once_and_reproduced_bit_by_bit(home, store):
    """Every message has its whole lineage, is queued once however often the cycle runs, and `why` writes it again."""
    from flows.notify.flow import notify

    people = enrol(store, 4)
    analysis = analysed(store, people)
    counted = notify(analysis, ahead(people))
    assert counted.sent == len(store.messages.all()) > 0
    assert counted.problems == ()
    for message in store.messages.all():
        assert message.policy_version == "1"
        assert re.fullmatch("[0-9a-f-]{36}", message.flow_run_id)
        assert re.fullmatch("[0-9a-f-]{36}", message.task_run_id)
        assert message.data_hash == analysis.data_hash
        queued = store.outbox.get(message.message_id)
        assert queued is not None
        assert (queued.state, queued.kind, queued.person) == ("waiting", "insight", message.person)
        assert (queued.payload.get("caption") or queued.payload["text"]) == message.text
        assert queued.expires_at is not None
        assert "Reproduced bit by bit" in why(message.message_id)
    assert notify(analysis, ahead(people)).sent == 0
    assert len(store.messages.all()) == counted.sent


def test_an_altered_text_is_not_called_reproduced(home, store):
    """`why` compares what was sent with what comes out, and says so where they differ."""
    from flows.notify.flow import notify

    people = enrol(store, 1)
    notify(analysed(store, people), [])
    (message,) = store.messages.all()
    store.database.write("UPDATE messages SET text = text || '!' WHERE message_id = ?", (message.message_id,))
    assert "NOT REPRODUCED" in why(message.message_id)


def test_of_an_erased_person_only_that_is_said(home, store):
    """After /delete, `why` says that the person is deleted, and nothing of what was kept; others still reproduce."""
    from flows.notify.flow import notify

    people = enrol(store, 2)
    notify(analysed(store, people), [])
    gone, stays = (next(m for m in store.messages.all() if m.person == p) for p in people)
    store.erase(people[0], NOW)
    said = why(gone.message_id)
    assert "deleted" in said
    assert people[0] not in said
    assert gone.data_hash not in said
    assert gone.flow_run_id not in said
    assert "Reproduced bit by bit" in why(stays.message_id)
    assert "no message" in why("m0")


def test_a_dry_run_renders_everything_and_sends_nothing(home, store):
    """The page holds each message with its evidence and the reasons for silence; outbox and messages stay empty."""
    from flows.notify.flow import notify

    people = enrol(store, 3)
    assert notify(analysed(store, people), ahead(people), dry_run=True).sent == 0
    page = (home / "preview" / "messages.html").read_text(encoding="utf-8")
    assert page.count("<article") > 0
    assert page.count("data:image/png;base64,") > 0
    assert "no trend detected" in page
    assert "{{" not in page
    assert not store.messages.all()
    assert store.outbox.counts() == {}


def test_somebody_who_never_answered_is_reminded(home, store):
    """Prompts that went by in a row bring one reminder, also where there is no report; `why` reproduces it."""
    from flows.notify.flow import notify

    (person,) = enrol(store, 1)
    sent = [NOW - timedelta(hours=3 * k + 2) for k in range(5)]
    survey = store.surveys.of_study("mood")
    store.prompts.add(
        Prompt(f"q{k}", person, "mood", survey.version, 1, k, at, at + timedelta(minutes=90), "Europe/Moscow") for k, at in enumerate(sent)
    )  # fmt: skip
    for k, at in enumerate(sent):
        store.prompts.sent(f"q{k}", k, at)
        store.prompts.close(f"q{k}", "expired")
    notify(analysed(store, ["somebody-else"]), [])
    (message,) = store.messages.all()
    assert message.kind == "missed"
    assert "Reproduced bit by bit" in why(message.message_id)


def test_messages_go_on_while_clearml_is_away(home, store, monkeypatch):
    """With the registry unreachable the last known policy decides, under its own version; nobody waits for ClearML."""
    from flows.notify.flow import choose_policies

    settings = (home / "private.db", f"Away {home.parent.name}", NOW)
    known = choose_policies.fn(*settings)
    assert (known.champion.version, known.champion.policy.variant) == ("1", "steady")

    def unreachable(*_: object) -> None:
        from clearml_utils import Unreachable

        raise Unreachable("no route")

    monkeypatch.setattr("flows.notify.flow.registry.champion", unreachable)
    assert choose_policies.fn(*settings) == known


def test_policies_are_compared_as_experiments_and_a_better_one_is_promoted(home, store):
    """Two registered versions, people drawn by hash; after a week the cycle itself compares and promotes the better."""
    from clearml_utils import registry
    from flows import settings as product
    from flows.notify.flow import COMPARISON, choose_policies, compare_policies, notify, register
    from flows.notify.policies import Comparison, arm
    from flows.notify.policy import NAME, Policy

    people = enrol(store, 80)  # so many that no draw leaves an arm too small
    analysis = analysed(store, people)
    project = product.load().project
    choose_policies.fn(home / "private.db", project, NOW)
    register(replace(Policy(), variant="brief", charts=()), project)
    store.facts.set(
        COMPARISON, {"name": "brief", "arms": ["1", "2"], "since": (NOW - timedelta(minutes=1)).isoformat()}
    )
    notify(analysis, [])
    drawn = {p: arm(p, Comparison("brief", ("1", "2"))) for p in people}
    assert {m.person: m.policy_version for m in store.messages.all()} == drawn
    survey = store.surveys.of_study("mood")
    for k, (person, version) in enumerate(drawn.items()):
        for beep in range(3):
            at = NOW + timedelta(hours=1 + 2 * beep)
            key = f"{person}-after-{beep}"
            store.prompts.add(
                [Prompt(key, person, "mood", survey.version, 16, beep, at, at + timedelta(hours=1), "Europe/Moscow")]
            )
            store.prompts.sent(key, None, at)
            if version == "2" or (k + beep) % 3 == 0:
                store.responses.add(
                    Response(f"{key}-1", key, person, "mood", survey.version, 1, "complete", 16, beep, at, at, at, at + timedelta(minutes=9), "Europe/Moscow", {})
                )  # fmt: skip
    later = copy(analysis)
    later.reports = tuple(_next_day(r) for r in analysis.reports)
    assert "more answers" in str(compare_policies(later)["2"])
    assert registry.champion(NAME, project).version == 1
    SharedClock(home).set(NOW + timedelta(days=6))
    notify(later, [])
    assert registry.champion(NAME, project).version == 1
    SharedClock(home).set(NOW + timedelta(days=8))
    notify(later, [])
    champion = registry.champion(NAME, project)
    assert champion is not None
    assert champion.version == 2
    assert store.facts.get(COMPARISON) is None
    assert choose_policies.fn(home / "private.db", project, NOW).champion.policy.variant == "brief"


def test_arms_are_experiments_beside_each_other(home, store):
    """Each arm is a ClearML task with the means of its people; the rollback makes the first champion again."""
    from clearml_utils import registry
    from flows import settings as product
    from flows.notify.comparison import Measured
    from flows.notify.flow import choose_policies, measure_arm, promote_policy, register
    from flows.notify.policy import NAME, Policy

    project = product.load().project
    choose_policies.fn(home / "private.db", project, NOW)
    register(replace(Policy(), variant="brief"), project)
    measure_arm("2", [Measured(f"p{k}", "2", 0.5, 10.0 + k, None) for k in range(3)])
    seen = {"response_rate": 0.5, "latency_minutes": 11.0, "people": 3.0, "policy_version": 2.0}
    until(lambda: any(seen.items() <= arm.items() for arm in _arms()), 120, "the arm among ClearML's tasks")
    promote_policy(project, "2", "tried")
    assert registry.champion(NAME, project).version == 2
    with pytest.raises(registry.RegistryError, match="no policy version"):
        promote_policy(project, "9", "tried")
    assert registry.rollback(NAME, project, "undone").version == 1


def _arms():
    """What ClearML's tasks of arms report, by name."""
    from clearml import Task

    tasks = Task.query_tasks(task_name="policy-arm", additional_return_fields=["last_metrics"])
    numbers = [[m for v in (t["last_metrics"] or {}).values() for m in v.values()] for t in tasks]
    return [{m["variant"]: m["value"] for m in known} for known in numbers]


def test_what_is_wrong_with_one_stops_nobody_and_is_told(home, store, caplog):
    """A language nobody wrote, a timezone that is none, a name of emoji, an answer that is no number: the others hear."""
    from flows.notify.flow import notify

    people = enrol(store, 5)
    store.people.change(people[0], language="de")
    store.people.change(people[1], timezone="")
    store.people.change(people[2], timezone="Mars/🙂")
    analysis = analysed(store, people)
    broken = {people[3]: _unknown}
    analysis.reports = tuple(broken.get(r.person, lambda r: r)(r) for r in analysis.reports)
    counted = notify(analysis, ahead(people))
    assert {m.person for m in store.messages.all()} == {people[4]}
    language, none, strange = sorted(counted.problems, key=lambda p: ("language" not in p, "no timezone" not in p))
    assert "no wording in language 'de'" in language
    assert people[1] in none
    assert "/timezone" in none
    assert people[2] in strange
    assert "IANA" in strange
    for problem in counted.problems:
        assert f"message not written: {problem}" in caplog.text


def _unknown(report):
    """A report of which nothing is a number."""
    nan = float("nan")
    return replace(report, series=tuple((at, nan) for at, _ in report.series), n_answers=0, compliance=nan)


def _next_day(report):
    """The same person a day on, feeling as before."""
    last = report.series[-1][1]
    return replace(report, series=(*report.series, (NOW + timedelta(hours=30), last)))
