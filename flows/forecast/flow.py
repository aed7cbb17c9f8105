"""Training, promotion and use of the forecaster."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
from prefect.runtime import flow_run

from clearml_utils import current_record, flow, registry, task
from clearml_utils.registry import ModelVersion
from flows import settings as product
from flows.analyse.flow import analyse
from flows.analyse.frame import Frame, schema_of
from flows.analyse.panel import Mask, Panel, panel
from flows.analyse.report import Analysis
from flows.clients.workers import workers
from flows.clock import SharedClock
from flows.forecast.backtest import Backtest, TooFewAnswers, backtest
from flows.forecast.card import card
from flows.forecast.describe import hyperparameters, trials
from flows.forecast.model import NAME, MoodModel, Next, fit_model, forecast_next
from flows.forecast.outcome import Health, health
from flows.forecast.plots import comparison
from flows.forecast.promotion import Verdict, compare
from flows.forecast.rerun import replayed, turned_out
from flows.forecast.result import Forecasts
from flows.settings import Settings
from flows.store import Store
from flows.survey.definition import load

FRAMEWORK = "scikit-learn"
PLANNED_AHEAD = timedelta(days=3)


@flow(name="training", flow_run_name="training", capture="summary")
def training(target: str | None = None) -> ModelVersion:
    """Analyse what the Sheet holds now and train on it."""
    version: Any = train(analyse(target))
    found: ModelVersion = version
    return found


@flow(name="train", flow_run_name="train", capture="summary", validate_parameters=False)
def train(analysis: Analysis, *, every_trial: bool = True) -> ModelVersion:
    """Compare all candidates, fit the forecaster, register it, and promote it if it is better beyond doubt.

    Parameters
    ----------
    analysis
        What to train on.
    every_trial
        Record each point of each search of hyperparameters as an experiment of its own, and not the candidates alone.
    """
    settings = product.load()
    beeps = beeps_of(analysis, settings)
    found: Any = compare_candidates(beeps, settings.dask)
    result: Backtest | None = found
    if result is not None:
        _experiments(result, every_trial=every_trial)
    model: Any = fit_forecaster(beeps, analysis, settings.dask)
    verdict: Any = judge(settings, beeps, result)
    version: Any = register(settings, analysis, model, result, verdict)
    decided: Any = decide(settings, beeps, version, result, verdict)
    promoted: ModelVersion = decided
    return promoted


def _experiments(result: Backtest, *, every_trial: bool) -> None:
    """Every candidate, and what its search tried, as experiments beneath the training."""
    kept: list[Any] = []  # Prefect knows a task's inputs by their address: a freed result's would be another's
    for name, score in result.scores.items():
        fitted = result.ensemble.models.get(name)
        tried = trials(name, fitted) if fitted is not None else ()
        if every_trial:
            for number, one in enumerate(tried, 1):
                made = trial.with_options(task_run_name=f"trial {name} {number}")
                kept.append(made(name, dict(one.hyperparameters), one.loss, chosen=one.chosen))
        chosen = hyperparameters(fitted) if fitted is not None else {}
        scores = score.as_dict() | result.spread(name)
        losses = [t.loss for t in tried]
        _: Any = candidate.with_options(task_run_name=f"candidate {name}")(name, chosen, scores, losses)


@flow(name="forecast", flow_run_name="forecast", capture="summary", validate_parameters=False)
def forecast(analysis: Analysis) -> Forecasts:
    """Forecast everybody's next beep with the champion, training one where there is none."""
    settings = product.load()
    version = registry.champion(NAME, settings.project)
    if version is None or not _same_target(version, analysis.target):
        version = train(analysis, every_trial=False)
    else:
        _: Any = watch(settings, analysis, version)
    made: Any = forecast_all(settings, analysis, version)
    forecasts: Forecasts = made
    return forecasts


def beeps_of(analysis: Analysis, settings: Settings) -> Panel:
    """The rows of an analysis as arrays."""
    schema = schema_of(load(settings.survey))
    return panel(Frame(analysis.frame, analysis.quality, analysis.data_hash, schema), analysis.target)


def negative(analysis: Analysis) -> bool:
    """Whether a high value of the target is the unpleasant one."""
    return not analysis.reports or analysis.reports[0].polarity == "negative"


# an Analysis holds a DataFrame, which pydantic cannot check; so `train` and `forecast` do not validate parameters


@task(name="compare candidates", capture="summary")
def compare_candidates(beeps: Panel, dask: str = "") -> Backtest | None:
    """Backtest; None where nobody has answered enough for one."""
    record = current_record()
    record.values({"people": len(beeps.persons)})
    try:
        with workers(dask) as spread:
            result = backtest(beeps, spread=spread)
    except TooFewAnswers as error:
        record.text(str(error))
        return None
    table = pd.DataFrame([{"method": n, **s.as_dict(), **result.spread(n)} for n, s in result.scores.items()])
    record.table("candidates", table.sort_values("skill", ascending=False))
    record.figure("candidates", comparison(result))
    record.values(metrics_of(result))
    for name, score in result.scores.items():
        record.scalar("skill", name, score.skill)
        record.scalar("MAE", name, score.mae)
    return result


@task(name="trial", task_type="training", capture="full")
def trial(name: str, tried: dict[str, float], loss: float, *, chosen: bool) -> float:
    """One point of a candidate's search of hyperparameters: what was tried, and its loss on rows held back."""
    record = current_record()
    record.tag("trial", name, *(["chosen"] if chosen else []))
    record.values({**tried, "loss": loss})
    return loss


@task(name="candidate", task_type="training", capture="full")
def candidate(name: str, chosen: dict[str, float], scores: dict[str, float], losses: list[float]) -> None:
    """One candidate as an experiment of its own: its search, the hyperparameters it chose, and how it did.

    It returns nothing: Prefect would take two results with keys in common for one made from the other.
    """
    record = current_record()
    record.tag("candidate", name)
    record.values({**chosen, **scores})
    for point, loss in enumerate(losses, 1):
        record.scalar("search", "loss", loss, point)


@task(name="fit forecaster", task_type="training", capture="summary")
def fit_forecaster(beeps: Panel, analysis: Analysis, dask: str = "") -> MoodModel:
    """Fit on all answers."""
    with workers(dask) as spread:
        model = fit_model(beeps, analysis.data_hash, negative=negative(analysis), spread=spread)
    record = current_record()
    record.values({"answers": int(np.isfinite(beeps.y).sum()), "people": len(beeps.persons)})
    if model.risk is not None:
        e = model.risk.evidence
        record.values({"risk_brier_skill": e.skill, "risk_brier_skill_low": e.skill_low, "risk_slope": e.slope})
        record.table("risk calibration", pd.DataFrame(e.curve, columns=["forecast", "observed", "days"]))
    return model


@task(name="register", retries=2, retry_delay_seconds=5, capture="summary")
def register(
    settings: Settings, analysis: Analysis, model: MoodModel, result: Backtest | None, verdict: Verdict
) -> ModelVersion:
    """Keep the version with its numbers, the decision about it and its card."""
    facts = _facts(analysis) | {"decision": verdict.reason}
    text = card(model.ensemble, result, model.risk, facts, verdict.reason)
    current_record().artifact("model card", text)
    with tempfile.TemporaryDirectory() as folder:
        path = model.save(Path(folder) / "model.pkl")
        return registry.register(
            NAME, path, project=settings.project, metrics=metrics_of(result), metadata={**facts, "card": text},
            tags=[analysis.target], framework=FRAMEWORK,
        )  # fmt: skip


def _facts(analysis: Analysis) -> dict[str, str]:
    times = analysis.frame["slot_at"].dropna()
    return {
        "target": analysis.target,
        "study": analysis.study,
        "survey_version": analysis.survey_version,
        "data_hash": analysis.data_hash,
        "people": str(len(analysis.reports)),
        "answers": str(sum(r.n_answers for r in analysis.reports)),
        "window_start": str(times.min()) if len(times) else "",
        "window_end": str(times.max()) if len(times) else "",
        "flow_run": str(flow_run.get_id() or ""),
    }


def metrics_of(result: Backtest | None) -> dict[str, float]:
    """The numbers by which versions are compared."""
    if result is None:
        return {}
    mean, median = (result.scores[result.chosen[k]] for k in ("mean", "median"))
    i = result.intervals
    return {
        "skill": mean.skill, "rmse": mean.rmse, "mae": median.mae, "coverage": i.coverage, "winkler": i.winkler,
        "persons": float(result.persons), "test_n": float(result.test_n),
        **{k: v for k, v in result.spread(result.chosen["mean"]).items() if k.startswith("skill")},
        **{k: v for k, v in result.spread(result.chosen["median"]).items() if k.startswith("mae")},
    }  # fmt: skip


@task(name="compare with the champion", task_type="testing", retries=2, retry_delay_seconds=5, capture="summary")
def judge(settings: Settings, beeps: Panel, result: Backtest | None) -> Verdict:
    """Whether the new model beats the champion on the same test answers beyond its confidence interval."""
    verdict = _verdict(beeps, registry.champion(NAME, settings.project), result)
    record = current_record()
    record.text(verdict.reason)
    record.values({"promoted": float(verdict.promote)})
    if verdict.champion is not None:
        record.values({"gain": verdict.gain, "gain_low": verdict.low, "gain_high": verdict.high})
    return verdict


@task(name="promotion", retries=2, retry_delay_seconds=5, capture="summary")
def decide(
    settings: Settings, beeps: Panel, version: ModelVersion, result: Backtest | None, verdict: Verdict | None = None
) -> ModelVersion:
    """Promote the version if it won; else the champion stays. Where another became champion since, compare again."""
    champion = registry.champion(NAME, settings.project)
    if verdict is None or verdict.champion != (champion.version if champion else None):
        verdict = _verdict(beeps, champion, result)
    record = current_record()
    record.text(f"version {version.version} {verdict.reason}")
    record.values({"version": version.version, "promoted": float(verdict.promote)})
    if not verdict.promote and champion is not None:
        return champion
    return registry.promote(version, verdict.reason, expected=champion)


def _verdict(beeps: Panel, champion: ModelVersion | None, result: Backtest | None) -> Verdict:
    if champion is None:
        return Verdict(promote=True, reason="promoted: the first version")
    if not _same_target(champion, beeps.target):
        return Verdict(promote=True, reason=f"promoted: the first of {beeps.target}", champion=champion.version)
    if result is None:
        return Verdict(
            promote=False, reason="kept: too few answers to compare versions on", champion=champion.version
        )  # fmt: skip
    theirs = replayed(MoodModel.load(registry.download(champion)), beeps)
    verdict = compare(result.code, result.y, result.forecasts[result.chosen["mean"]], theirs)
    return replace(verdict, champion=champion.version)


def _same_target(version: ModelVersion, target: str) -> bool:
    return version.metadata.get("target", target) == target


@task(name="forecasts so far", task_type="testing", capture="summary")
def watch(settings: Settings, analysis: Analysis, version: ModelVersion) -> Health:
    """How the champion's forecasts of the answers since its training turned out, against its backtest.

    The monitor reads the verdict's numbers and has a new version trained where they are bad.
    """
    model = MoodModel.load(registry.download(version))
    outcomes = turned_out(model, beeps_of(analysis, settings), _since(analysis, version.metadata.get("window_end", "")))
    found = health(outcomes, version.metrics.get("mae", float("nan")))
    record = current_record()
    record.values({"outcomes": found.outcomes, "model_version": version.version})
    if outcomes:
        record.values({"mae": float(np.mean([o.error for o in outcomes])), "coverage": found.coverage})
        record.values({"error_ratio": found.ratio, "error_p": found.ratio_p, "coverage_p": found.coverage_p})
    with Store.open(settings.database) as store:
        store.facts.set("forecast_health", asdict(found))
    return found


def _since(analysis: Analysis, window_end: str) -> Mask:
    """Rows after a version's training, in the order of the panel; none where the version does not say."""
    data = analysis.frame
    new = data["slot_at"] > pd.Timestamp(window_end) if window_end else pd.Series(data=False, index=data.index)
    rows: Mask = new.to_numpy()[np.argsort(data["person"].cat.codes.to_numpy(), kind="stable")]
    return rows


@task(name="forecast the next beep", capture="summary")
def forecast_all(settings: Settings, analysis: Analysis, version: ModelVersion) -> Forecasts:
    """Forecast everybody who has answered three times or more."""
    model = MoodModel.load(registry.download(version))
    now = SharedClock(settings.home).now()
    ahead = _ahead(settings, analysis, now)
    last_day = analysis.frame.groupby("person", observed=True)["day"].max()
    made = forecast_next(
        model, beeps_of(analysis, settings), ahead, {str(p): int(d) for p, d in last_day.items()},
        model_id=version.id, version=version.version,
    )  # fmt: skip
    current_record().values({"forecasts": len(made), "model_version": version.version})
    return Forecasts(made)


def _ahead(settings: Settings, analysis: Analysis, now: datetime) -> list[Next]:
    """Everybody's next planned beep; for people without one, this time tomorrow."""
    out = []
    last_day: Mapping[Any, Any] = analysis.frame.groupby("person", observed=True)["day"].max().to_dict()
    with Store.open(settings.database) as store:
        for report in analysis.reports:
            planned = [p for p in store.prompts.of(report.person, now - PLANNED_AHEAD) if p.open and p.slot_at >= now]
            if planned:
                first = min(planned, key=lambda p: p.slot_at)
                at, day, beep = first.slot_at, first.day, first.beep
            else:
                at, day, beep = now + timedelta(days=1), int(last_day.get(report.person, 0)) + 1, 1
            local = at.astimezone(ZoneInfo(report.timezone)).replace(tzinfo=None)
            hours = (local - datetime(1970, 1, 1)).total_seconds() / 3600  # noqa: DTZ001 - local, as features are
            out.append(Next(report.person, at, hours, day, beep))
    return out


def rollback(reason: str = "rollback") -> ModelVersion | None:
    """Make the champion before the present one champion again."""
    return registry.rollback(NAME, product.load().project, reason)


def stored() -> list[ModelVersion]:
    """All versions of the forecaster."""
    return registry.versions(NAME, product.load().project)
