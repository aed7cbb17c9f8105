"""Training, promotion, rollback, forecasts and what calls for a new training: real Prefect and the embedded ClearML."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pytest
import yaml
from typer.testing import CliRunner

from clearml_utils import recorder, registry
from clearml_utils.connection import Connection
from flows.analyse.frame import build_frame
from flows.analyse.indices import indices
from flows.analyse.panel import panel
from flows.analyse.report import Analysis
from flows.analyse.reports import build_reports
from flows.clock import SharedClock
from flows.collect.rows import KEYS
from flows.commands.prefect_api import ROOT
from flows.forecast.describe import trials
from flows.forecast.model import NAME, MoodModel
from flows.forecast.stack import Stack
from flows.store import Store
from flows.survey.definition import load

pytestmark = pytest.mark.xdist_group("prefect")
START = datetime(2026, 3, 2, 6, 0, tzinfo=UTC)
PEOPLE, DAYS, BEEPS = 12, 12, 4
SURVEY = load("mood")


def answers(days: int = DAYS, *, wild_from: int = 10**9) -> Analysis:
    """Twelve people whose mood carries over from beep to beep; from day `wild_from` on they answer at random."""
    rng = np.random.default_rng(7)
    rows = [[*KEYS, *SURVEY.item_ids]]
    for k in range(PEOPLE):
        level, state = rng.uniform(2, 4.5), 0.0
        for d in range(days):
            for b in range(BEEPS):
                state = 0.6 * state + rng.normal(0, 0.8)
                felt = rng.uniform(1, 7) if d >= wild_from else level + state
                items = np.clip(np.round(felt + rng.normal(0, 0.4, len(SURVEY.item_ids))), 1, 7).astype(int)
                at = (START + timedelta(days=d, hours=3 * b)).isoformat().replace("+00:00", "Z")
                key = f"p{k:02}-{d}-{b}"
                rows.append([
                    f"{key}-1", key, f"p{k:02}", "mood", SURVEY.version, "1", "complete", str(d + 1), str(b + 1),
                    at, at, at, "UTC", *map(str, items),
                ])  # fmt: skip
    frame = build_frame(rows, SURVEY, now=START + timedelta(days=days))
    table = indices(panel(frame, "na"))
    reports = build_reports(frame, "na", table)
    return Analysis("mood", SURVEY.version, "na", frame.data_hash, frame.data, frame.quality, table, reports)


@dataclass(frozen=True)
class Place:
    """An installation of the test's own."""

    home: Path
    project: str
    prefect: str

    def tasks(self, name: str) -> list[dict]:
        """ClearML tasks whose names match."""
        recorder.reset()  # hands over what is still on its way
        call = Connection().call
        projects = call("projects.get_all", name=f"^{self.project}/", search_hidden=True, only_fields=["id"])[
            "projects"
        ]
        fields = ["id", "name", "type", "status", "tags", "parent", "last_metrics", "hyperparams.properties"]
        return call(
            "tasks.get_all", name=name, project=[p["id"] for p in projects], search_hidden=True, only_fields=fields,
            page_size=500, page=0,
        )["tasks"]  # fmt: skip

    def plots(self, task: dict) -> set[str]:
        """Titles of a task's plots."""
        found = Connection().call("events.get_task_plots", task=task["id"])["plots"]
        return {p["metric"] for p in found}


@pytest.fixture(scope="module")
def place(
    prefect_server: str, clearml_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder = tmp_path_factory.mktemp("training")
    with pytest.MonkeyPatch.context() as patch:
        values = clearml_server | {
            "MOODFLOW_HOME": str(folder / "home"), "MOODFLOW_PROJECT": f"Training {folder.name}",
            "CLEARML_UTILS_PROJECT": f"Training {folder.name}",
            "CLEARML_UTILS_SPOOL": str(folder / "spool"), "PREFECT_API_URL": prefect_server,
        }  # fmt: skip
        for name, value in values.items():
            patch.setenv(name, value)
        recorder.reset()
        with Store.open(folder / "home" / "private.db") as store:
            store.surveys.open("mood", START)
        SharedClock(folder / "home").set(START + timedelta(days=DAYS))
        yield Place(folder / "home", values["MOODFLOW_PROJECT"], prefect_server)
        recorder.reset()


@pytest.fixture(scope="module")
def first(place: Place) -> registry.ModelVersion:
    """The first training."""
    from flows.forecast.flow import train

    return train(answers())


def not_its_own(found: list[dict]) -> dict[str, set[str]]:
    """Of each candidate and trial: what it is said to come from although it belongs to another candidate."""
    told = {t["name"]: {n: i["value"] for n, i in t["hyperparams"]["properties"].items()} for t in found}
    runs = {said["prefect_task_run"]: name for name, said in told.items()}
    inputs = {
        name: {runs[run] for run in said.get("upstream", "").split(",") if run in runs} for name, said in told.items()
    }
    wrong = {name: {one for one in ones if one.split()[1] != name.split()[1]} for name, ones in inputs.items()}
    return {name: ones for name, ones in wrong.items() if ones}


def test_candidates_and_every_trial_are_experiments(place: Place, first: registry.ModelVersion):
    """One training: a completed experiment per candidate and per point of each search, with what it tried and how it
    did; a table and a picture of the comparison; the first version champion, with metadata, intervals and a card.
    """
    from flows.forecast.backtest import backtest
    from flows.forecast.flow import beeps_of
    from flows.settings import load as settings

    assert (first.version, registry.champion(NAME, place.project).version) == (1, 1)
    result = backtest(beeps_of(answers(), settings()))
    expected = {f"candidate {name}" for name in result.scores} | {
        f"trial {name} {number}"
        for name, model in result.ensemble.models.items()
        for number, _ in enumerate(trials(name, model), 1)
    }
    found = place.tasks("^(candidate|trial) ")
    assert {t["name"] for t in found} == expected
    assert {(t["type"], t["status"]) for t in found} == {("training", "completed")}
    assert len({t["parent"] for t in found}) == 1
    searched = Counter(t["name"].split()[1] for t in found if "trial" in t["tags"])
    assert {"ewma": 4, "ridge": 10}.items() <= searched.items()
    assert Counter(t["name"].split()[1] for t in found if "chosen" in t["tags"]) == dict.fromkeys(searched, 1)
    assert not_its_own(found) == {}, "in the graph no candidate is made from another's result"
    (compared,) = place.tasks("^compare candidates")
    assert "candidates" in place.plots(compared)
    assert {"target", "data_hash", "survey_version", "people", "window_end", "decision", "card"} <= {*first.metadata}
    assert first.metadata["decision"] == "promoted: the first version"
    assert "Decision: promoted: the first version" in first.metadata["card"]
    assert first.metrics["skill_low"] < first.metrics["skill"] < first.metrics["skill_high"]


def test_an_equal_version_is_kept_and_a_better_one_promoted_and_rolled_back(place: Place, first):
    """Trained again on the same answers the version stays a candidate, with the reason; against a champion that
    knows people's means only it is promoted beyond its interval; rolled back, that champion is back.
    """
    from flows.forecast.commands import models
    from flows.forecast.flow import train

    champion = train(answers(), every_trial=False)
    assert champion.version == first.version
    second = registry.versions(NAME, place.project)[-1]
    assert (second.version, second.stage) == (2, "candidate")
    assert second.metadata["decision"].startswith("kept: saves")

    good = MoodModel.load(registry.download(first))
    ensemble = replace(good.ensemble, stack=Stack(0 * good.ensemble.stack.weights, good.ensemble.stack.moment, 1e9))
    poor = replace(good, ensemble=ensemble).save(place.home / "poor.pkl")
    made = registry.register(NAME, poor, project=place.project, metrics=dict(first.metrics), metadata={"target": "na"})
    registry.promote(made, "for the test")
    better = train(answers(), every_trial=False)
    assert better.version == 4
    assert better.metadata["decision"].startswith("promoted: saves")
    stages = {v.version: v.stage for v in registry.versions(NAME, place.project)}
    assert stages == {1: "retired", 2: "candidate", 3: "retired", 4: "champion"}

    run = CliRunner().invoke(models, ["rollback", "--reason", "it annoys"])
    assert "version 3" in run.output
    assert registry.champion(NAME, place.project).version == 3
    assert [p.version for p in registry.history(NAME, place.project) if p.counts][-1] == 3
    registry.promote(better, "back")
    listed = CliRunner().invoke(models, ["list"])
    assert listed.exit_code == 0
    assert "champion" in listed.output
    card = CliRunner().invoke(models, ["card", "4"])
    assert "# Forecast of the next beep" in card.output


def test_forecasts_that_turn_out_badly_start_a_training(place: Place, first, tmp_path: Path):
    """While answers come as before, forecasts since training do as well as in the backtest and nothing happens. When
    people answer at random, the forecast flow finds it, the monitor emits the event, and Prefect's automation of
    prefect.yaml makes a run of the training deployment.
    """
    from flows.forecast.flow import forecast
    from flows.monitor.flow import monitor

    made = forecast(answers(DAYS + 4))
    assert len(made) == PEOPLE
    with Store.open(place.home / "private.db") as store:
        calm = store.facts.get("forecast_health")
    assert calm["outcomes"] == PEOPLE * BEEPS * 4
    (watched,) = place.tasks("^forecasts so far")
    names = {v["variant"] for m in watched["last_metrics"].values() for v in m.values()}
    assert {"outcomes", "error_ratio", "coverage"} <= names
    with trainable(place.prefect) as runs:
        assert not [p for p in monitor()["problems"] if p.startswith("drift")]
        forecast(answers(DAYS + 4, wild_from=DAYS))
        assert {"drift:forecast error", "drift:interval coverage"} <= {*monitor()["problems"]}
        deadline = time.monotonic() + 120
        while not runs() and time.monotonic() < deadline:
            time.sleep(0.5)
        (started,) = runs()
        assert started["created_by"]["type"] == "AUTOMATION"
        assert "drift -> train" in str(started["created_by"])


class trainable:  # noqa: N801 - used as a context manager
    """The training deployment of prefect.yaml with its triggers, without its schedule; gives its runs."""

    def __init__(self, address: str) -> None:
        self.http = httpx.Client(base_url=address.rstrip("/") + "/", timeout=120)

    def __enter__(self):
        from flows.forecast.flow import training

        asked = next(
            d for d in yaml.safe_load((ROOT / "prefect.yaml").read_text())["deployments"] if d["name"] == "train"
        )
        self.id = self._deploy(training, asked)
        return lambda: self.post("flow_runs/filter", flow_runs={"deployment_id": {"any_": [self.id]}})

    def _deploy(self, training, asked: dict) -> str:
        from prefect.events import DeploymentEventTrigger

        triggers = [
            DeploymentEventTrigger(
                name=t["name"], expect=set(t["expect"]), match=t["match"], within=t["within"], threshold=t["threshold"]
            )
            for t in asked["triggers"]
        ]
        module, _, function = asked["entrypoint"].partition(":")
        assert (ROOT / module).is_file()
        assert function == training.fn.__name__
        return str(training.to_deployment(name="train-on-drift", triggers=triggers).apply())

    def post(self, path: str, **body):
        for _ in range(60):
            answer = self.http.post(path, json=body)
            if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE:  # its SQLite is locked
                break
            time.sleep(0.5)
        return answer.raise_for_status().json()

    def __exit__(self, *_):
        self.http.delete(f"deployments/{self.id}")
        self.http.close()
