"""What the registry keeps: the ensemble, the risk model where it holds, and what one must know of both."""

from __future__ import annotations

import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from flows.analyse.panel import Floats, Panel, joined
from flows.analyse.spread import Spread, in_turn
from flows.forecast.ensemble import Ensemble, fit
from flows.forecast.result import Forecast
from flows.forecast.risk import Risk, fit_risk
from flows.forecast.split import split

NAME = "next-beep-forecast"
"""Of the model in the registry."""

FORMAT = 4
MIN_ANSWERS = 3
"""Answers before a person's first forecast: the fourth response is the first one forecast."""


@dataclass(frozen=True, eq=False)
class MoodModel:
    """One version of the forecaster, without anything of a person."""

    ensemble: Ensemble
    risk: Risk | None
    target: str
    data_hash: str
    format: int = FORMAT

    @property
    def warns(self) -> bool:
        """Whether the risk model was shown to be good enough to be used."""
        return self.risk is not None and self.risk.evidence.holds

    def save(self, path: Path) -> Path:
        """Write the version to a file."""
        path.write_bytes(pickle.dumps(self))
        return path

    @classmethod
    def load(cls, path: Path) -> MoodModel:
        """Read a version of the registry this installation wrote."""
        try:
            model = pickle.loads(path.read_bytes())  # noqa: S301 - our own registry's file
        except (AttributeError, ImportError):
            model = None  # of a format whose classes are gone
        if not isinstance(model, cls) or model.format != FORMAT:
            raise TypeError(f"{path}: not a forecast model of format {FORMAT}; train a new version")
        return model


def fit_model(panel: Panel, data_hash: str, *, negative: bool, spread: Spread = in_turn) -> MoodModel:
    """Fit on all answers there are; `spread` as in `flows.forecast.ensemble.fit`."""
    done = fit([panel], [split(panel, 1.0)], spread)
    return MoodModel(done.ensemble.anonymous(), fit_risk([panel], negative=negative), panel.target, data_hash)


@dataclass(frozen=True)
class Next:
    """The beep to forecast: its person, time (aware) with the local hours since 1970, and place in the study."""

    person: str
    at: datetime
    hour: float
    day: int
    beep: int


def with_next(panel: Panel, ahead: Sequence[Next], last_day: Mapping[str, int]) -> tuple[Panel, np.ndarray]:
    """The panel with an unanswered row for every beep ahead, and where those rows are.

    `last_day` is the study day of each person's last row: a beep ahead on that day continues it.
    """
    code_of = {str(p): k for k, p in enumerate(panel.persons)}
    known = [a for a in ahead if a.person in code_of]
    code = np.array([code_of[a.person] for a in known], dtype=np.int64)
    end = np.searchsorted(panel.code, code, side="right") - 1
    same = np.array([a.day <= last_day.get(a.person, -1) for a in known], dtype=bool)
    top = int(panel.day.max(initial=0)) + 1
    day = np.where(same & (end >= 0), panel.day[np.maximum(end, 0)], top + np.arange(len(known)))
    extra = replace(
        panel, code=code, day=day, beep=np.array([a.beep for a in known], dtype=np.int64),
        hour=np.array([a.hour for a in known]), late=np.full(len(known), np.nan), y=np.full(len(known), np.nan),
        items=np.full((len(known), panel.items.shape[1]), np.nan),
    )  # fmt: skip
    merged = joined(panel, extra)
    order = np.argsort(merged.code, kind="stable")
    rows = np.flatnonzero(order >= len(panel))
    merged = merged.take(order)
    # days must ascend: number them anew in their present order
    fresh = np.ones(len(merged), dtype=bool)
    fresh[1:] = (merged.day[1:] != merged.day[:-1]) | (merged.code[1:] != merged.code[:-1])
    return replace(merged, day=np.cumsum(fresh) - 1), rows


def forecast_next(
    model: MoodModel, panel: Panel, ahead: Sequence[Next], last_day: Mapping[str, int], *, model_id: str, version: int
) -> list[Forecast]:
    """Forecasts of the beeps ahead, for people with three answers or more.

    Parameters
    ----------
    model
        The champion.
    panel
        Everybody's beeps so far.
    ahead
        One beep per person.
    last_day
        Study day of each person's last row.
    model_id, version
        Of the registry.
    """
    extended, rows = with_next(panel, ahead, last_day)
    sample = model.ensemble.sample(extended)
    found = model.ensemble.predict(sample, learn=np.isfinite(extended.y))
    mean, median = (found.methods[model.ensemble.chosen[k]] for k in ("mean", "median"))
    risk = _risk(model, extended)
    by_person = {a.person: a for a in ahead}
    out = []
    for row in rows[sample.history.seen[rows] >= MIN_ANSWERS]:
        person = str(extended.persons[extended.code[row]])
        p = float(risk[extended.code[row]])
        out.append(
            Forecast(
                person,
                panel.target,
                by_person[person].at,
                float(mean[row]),
                float(median[row]),
                float(found.low[row]),
                float(found.high[row]),
                model_id,
                version,
                p if np.isfinite(p) else None,
            )
        )
    return out


def _risk(model: MoodModel, panel: Panel) -> Floats:
    if model.risk is None or not model.warns:
        return np.full(len(panel.persons), np.nan)
    return model.risk.predict(panel)
