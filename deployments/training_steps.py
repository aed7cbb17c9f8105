"""The steps of the training, as plain functions for ClearML's own pipelines.

ClearML passes values between steps as parameters and artifacts, which anybody with access to ClearML reads. Answers of
people must not be there; so steps hand on a hash, and leave what holds answers in a private folder all steps reach.
"""

from __future__ import annotations

import os
import pickle
from pathlib import Path
from typing import Any

from clearml_utils import registry
from flows import settings as product
from flows.analyse.panel import panel
from flows.analyse.study import read_frame as read_study
from flows.forecast.backtest import TooFewAnswers, backtest
from flows.forecast.card import card
from flows.forecast.flow import FRAMEWORK, decide, metrics_of
from flows.forecast.model import NAME, fit_model


def read(study: str, target: str, folder: str) -> str:
    """Read a study's CSV file; the hash of its data, by which later steps find it."""
    path = Path(study)
    with path.open("rb") as source:
        frame = read_study(source, path.name, target=target)
    _keep(folder, frame.data_hash, "panel", panel(frame))
    return frame.data_hash


def compare(data_hash: str, folder: str) -> dict[str, float]:
    """Backtest all candidates; the numbers of the chosen one, none where there are too few answers."""
    try:
        result = backtest(_kept(folder, data_hash, "panel"))
    except TooFewAnswers:
        result = None
    _keep(folder, data_hash, "backtest", result)
    return metrics_of(result)


def fit(data_hash: str, folder: str, *, negative: bool) -> str:
    """Fit the forecaster on all answers; the hash of the data it was fitted on."""
    _keep(folder, data_hash, "model", fit_model(_kept(folder, data_hash, "panel"), data_hash, negative=negative))
    return data_hash


def register(data_hash: str, folder: str, metrics: dict[str, float], task_id: str | None) -> int:
    """Register the model and promote it if it is better beyond doubt; the number of the champion's version."""
    settings = product.load()
    model, result, beeps = (_kept(folder, data_hash, what) for what in ("model", "backtest", "panel"))
    facts = {"target": model.target, "data_hash": data_hash, "people": str(len(beeps.persons)), "pipeline": "clearml"}
    path = model.save(Path(folder) / f"{data_hash}.registered.pkl")
    version = registry.register(
        NAME, path, project=settings.project, metrics=metrics, tags=[model.target], framework=FRAMEWORK,
        metadata={**facts, "card": card(model.ensemble, result, model.risk, facts, "open: see its promotions")},
        task_id=task_id,
    )  # fmt: skip
    return int(decide.fn(settings, beeps, version, result).version)


def _keep(folder: str, data_hash: str, what: str, value: Any) -> None:
    place = Path(folder)
    place.mkdir(parents=True, exist_ok=True, mode=0o700)
    new = place / f"{data_hash}.{what}.{os.getpid()}"
    new.touch(mode=0o600)
    new.write_bytes(pickle.dumps(value))
    new.rename(place / f"{data_hash}.{what}")


def _kept(folder: str, data_hash: str, what: str) -> Any:
    return pickle.loads((Path(folder) / f"{data_hash}.{what}").read_bytes())  # noqa: S301 - written by the step before
