"""Mixed model: people share a slope on the last answer and differ around it; fitted once and then frozen."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from flows.analyse.panel import Floats, Ints
from flows.forecast.candidates import Model, Sample
from flows.forecast.history import NAMES

MOST_ROWS = 10_000
"""Rows it is fitted on: of the first people, beyond it; the slopes of so many are known well enough."""

COLUMNS = ("last", "ewma_0.15", "last_linked")


@dataclass(frozen=True)
class Mixed:
    """statsmodels MixedLM with a random slope on the last deviation, without random intercept (values are centred)."""

    name: str = "mixed"

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Fixed slopes, and each person's own as predicted by the model."""
        x, y, group = [], [], []
        for number, sample in enumerate(samples):
            rows = np.flatnonzero(sample.fit & (sample.history.seen > 3))
            x.append(_columns(sample)[rows] / sample.unit)
            y.append((sample.panel.y - sample.history.centre)[rows] / sample.unit)
            group.append(number * 10_000_000 + sample.panel.code[rows])
        xs, ys, groups = np.concatenate(x), np.concatenate(y), np.concatenate(group)
        keep = groups <= (groups[MOST_ROWS] if len(groups) > MOST_ROWS else groups.max(initial=0))
        xs, ys, groups = xs[keep], ys[keep], groups[keep]
        weights, own = _slopes(xs, ys, groups)
        return FittedMixed(weights, own, len(samples) == 1)


def _slopes(xs: Floats, ys: Floats, groups: Ints) -> tuple[Floats, dict[int, float]]:
    """Shared slopes, and by person the deviation of the first.

    Where columns are the same or nothing (no pairs, one long day, everybody constant) no mixed model can be told from
    others, and all people share the slopes of least squares; so do fewer than three.
    """
    shared = np.asarray(np.linalg.lstsq(xs, ys, rcond=None)[0], dtype=np.float64)
    use = np.flatnonzero(np.ptp(xs, axis=0) > 0) if len(xs) else np.zeros(0, dtype=np.int64)
    apart = len(use) > 0 and use[0] == 0 and np.linalg.matrix_rank(xs[:, use]) == len(use)
    if len(np.unique(groups)) < 3 or not apart or np.ptp(ys) == 0:
        return shared, {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # variance at the border: then people share the slope
        warnings.simplefilter("ignore", UserWarning)
        try:
            result = MixedLM(ys, xs[:, use], groups, exog_re=xs[:, :1]).fit(reml=True)
        except np.linalg.LinAlgError:
            return shared, {}
    weights = np.zeros(xs.shape[1])
    weights[use] = np.asarray(result.fe_params)
    if float(np.asarray(result.cov_re)[0, 0]) <= 1e-8:  # people do not differ, and nothing can be predicted
        return weights, {}
    return weights, {int(g): float(np.asarray(v)[0]) for g, v in result.random_effects.items()}


@dataclass(frozen=True, eq=False)
class FittedMixed:
    """Fixed slopes, and by person the deviation of the first; people of another study have none."""

    weights: Floats
    own: dict[int, float]
    same_study: bool

    def anonymous(self) -> FittedMixed:
        """The same without anything of the people it was fitted to."""
        return replace(self, own={})

    def predict(self, sample: Sample) -> Floats:
        """Mean so far plus the slopes times the columns."""
        columns = _columns(sample)
        extra = np.zeros(len(sample.panel.persons))
        if self.same_study:
            for code, value in self.own.items():
                if code < len(extra):
                    extra[code] = value
        forecast: Floats = sample.history.centre + columns @ self.weights + extra[sample.panel.code] * columns[:, 0]
        return forecast


def _columns(sample: Sample) -> Floats:
    return sample.history.values[:, [NAMES.index(c) for c in COLUMNS]]
