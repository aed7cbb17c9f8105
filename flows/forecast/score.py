"""How good forecasts are."""

from __future__ import annotations

from dataclasses import asdict, dataclass

import numpy as np

from flows.analyse.panel import Floats, Ints
from flows.forecast.intervals import COVERAGE, winkler

DRAWS = 1000
MIN_PEOPLE = 5
"""People below which resampling them says nothing."""


@dataclass(frozen=True)
class Score:
    """Errors of one method on the test rows.

    `mae` and `rmse` on the scale of the answers; `skill` = 1 - SSE / SSE of the person's mean so far; `pinball` is the
    loss of the median (half the MAE) and belongs to medians.
    """

    mae: float
    rmse: float
    skill: float
    wall_s: float = 0.0

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def score(y: Floats, forecast: Floats, reference: Floats, wall_s: float = 0.0) -> Score:
    """Errors of a forecast; `reference` is the mean so far."""
    error = y - forecast
    base = float(np.sum((y - reference) ** 2))
    skill = 1 - float(np.sum(error**2)) / base if base > 0 else 0.0
    return Score(float(np.mean(np.abs(error))), float(np.sqrt(np.mean(error**2))), skill, wall_s)


def over_people(code: Ints, y: Floats, forecast: Floats, reference: Floats, *, seed: int = 0) -> dict[str, float]:
    """95% intervals of MAE and skill, people being what is resampled; none with fewer than `MIN_PEOPLE` of them.

    Returns
    -------
    dict
        mae_low, mae_high, skill_low, skill_high, or nothing.
    """
    people, place = np.unique(code, return_inverse=True)
    if len(people) < MIN_PEOPLE:
        return {}
    error = y - forecast
    columns = (np.ones(len(y)), np.abs(error), error**2, (y - reference) ** 2)
    n, absolute, squared, base = (np.bincount(place, weights=c) for c in columns)
    draws = np.random.default_rng(seed).multinomial(len(people), np.full(len(people), 1 / len(people)), size=DRAWS)
    total = draws @ base
    skill = 1 - (draws @ squared) / np.where(total > 0, total, np.nan)
    found = {"mae": (draws @ absolute) / (draws @ n), "skill": skill}
    ends = {"low": 0.025, "high": 0.975}
    return {f"{name}_{e}": float(np.nanquantile(v, q)) for name, v in found.items() for e, q in ends.items()}


def pinball(y: Floats, forecast: Floats, quantile: float) -> float:
    """Mean quantile loss (Koenker & Bassett 1978)."""
    error = y - forecast
    return float(np.mean(np.maximum(quantile * error, (quantile - 1) * error)))


@dataclass(frozen=True)
class IntervalScore:
    """Quality of intervals: share covered, that of the worst tenth of people, Winkler score, mean width, pinball."""

    coverage: float
    person_p10_coverage: float
    winkler: float
    width: float
    pinball_low: float
    pinball_high: float
    best_constant_winkler: float

    def as_dict(self) -> dict[str, float]:
        """For JSON."""
        return asdict(self)


def score_intervals(code: Ints, y: Floats, low: Floats, high: Floats, constant: float) -> IntervalScore:
    """Score intervals over test rows; the worst tenth is over people with fifty test rows where there are any."""
    inside = (y >= low - 1e-9) & (y <= high + 1e-9)
    n = np.bincount(code)
    share = np.bincount(code, weights=inside)[n > 0] / n[n > 0]
    many = share[n[n > 0] >= 50]
    return IntervalScore(
        coverage=float(inside.mean()),
        person_p10_coverage=float(np.quantile(many if len(many) else share, 0.1)),
        winkler=winkler(y, low, high, COVERAGE),
        width=float(np.mean(high - low)),
        pinball_low=pinball(y, low, (1 - COVERAGE) / 2),
        pinball_high=pinball(y, high, (1 + COVERAGE) / 2),
        best_constant_winkler=constant,
    )
