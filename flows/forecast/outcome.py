"""How forecasts turned out: error and coverage since training against the backtest."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats

from flows.forecast.intervals import COVERAGE

MIN_OUTCOMES = 100
ALPHA = 0.01
WORSE = 1.15
"""Ratio of the error to that of the backtest from which it matters."""

OFF = 0.05
"""Distance of the coverage from nominal from which it matters."""


@dataclass(frozen=True)
class Outcome:
    """One forecast and the answer that came: absolute error of the median, and whether the interval held."""

    person: str
    error: float
    inside: bool


@dataclass(frozen=True)
class Health:
    """Forecasts since training.

    `ratio` is the mean error over that of the backtest, with people as the unit of its p-value; `coverage` is the
    share of answers inside.
    """

    outcomes: int
    ratio: float
    ratio_p: float
    coverage: float
    coverage_p: float

    @property
    def error_drifts(self) -> bool:
        """Errors are larger than in the backtest, beyond chance and enough to matter."""
        return self.outcomes >= MIN_OUTCOMES and self.ratio_p < ALPHA and self.ratio >= WORSE

    @property
    def coverage_drifts(self) -> bool:
        """Intervals hold more or less often than they say, beyond chance and enough to matter."""
        return self.outcomes >= MIN_OUTCOMES and self.coverage_p < ALPHA and abs(self.coverage - COVERAGE) >= OFF


def health(outcomes: Sequence[Outcome], backtest_mae: float) -> Health:
    """Judge forecasts by what came of them; answers of one person hang together, so people are counted.

    Without outcomes everything is as expected; without a backtest (`backtest_mae` nan) the errors are.
    """
    if not outcomes:
        return Health(0, 1.0, 1.0, COVERAGE, 1.0)
    errors, inside = _by_person(outcomes)
    coverage, coverage_p = float(np.mean([o.inside for o in outcomes])), _p(inside, COVERAGE, "two-sided")
    if not backtest_mae > 0:  # nan as well: the version was trained on too little for a backtest
        return Health(len(outcomes), 1.0, 1.0, coverage, coverage_p)
    ratio = float(np.mean([o.error for o in outcomes]) / backtest_mae)
    return Health(len(outcomes), ratio, _p(errors, backtest_mae, "greater"), coverage, coverage_p)


def _by_person(outcomes: Sequence[Outcome]) -> tuple[np.ndarray, np.ndarray]:
    groups: Mapping[str, list[Outcome]] = {o.person: [] for o in outcomes}
    for o in outcomes:
        groups[o.person].append(o)
    means = [(np.mean([o.error for o in g]), np.mean([o.inside for o in g])) for g in groups.values()]
    errors, inside = np.array(means, dtype=float).T
    return errors, inside


def _p(values: np.ndarray, expected: float, side: str) -> float:
    if len(values) < 5 or np.ptp(values) == 0:
        return 1.0
    return float(stats.ttest_1samp(values, expected, alternative=side).pvalue)
