"""Kalman filter of everybody at once: a slowly moving level, a mood that falls back to it, and noise.

The few parameters are shared by all people and chosen on a grid, all of whose points are filtered side by side; so
nothing is fitted to one person's few answers, and a new person has a forecast before the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from scipy import stats

from flows.analyse.panel import Floats, run_starts
from flows.forecast.candidates import Model, Sample, Search

DRIFTS = (0.0, 0.001, 0.003, 0.01, 0.03)
PERSISTENCE = (0.2, 0.4, 0.6, 0.8)
NIGHTS = (0.3, 1.0)
NOISES = (0.0, 1.0)
MOST_ROWS = 20_000
"""Rows the parameters are chosen on; a systematic sample of people beyond."""


@dataclass(frozen=True, eq=False)
class Parameters:
    """Of the state space, each of shape (g,): variances in units of the mood's innovations.

    `drift` of the level per answer, `persistence` of the mood from answer to answer, `night` its factor over a night,
    `noise` of the answer itself, `between` of people's levels around the prior's mean.
    """

    drift: Floats
    persistence: Floats
    night: Floats
    noise: Floats
    between: Floats


@dataclass(frozen=True)
class SharedFilter:
    """Local level plus AR(1) plus noise with parameters shared by all people (Harvey 1989, ch. 2-3)."""

    name: str = "filter"

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Choose the parameters by squared one-step error on the rows that may be learnt from."""
        grid = np.array(list(product(DRIFTS, PERSISTENCE, NIGHTS, NOISES)))
        loss = np.zeros(len(grid))
        between = _between(samples)
        params = _parameters(grid, between)
        for sample in samples:
            part = sample.thinned(MOST_ROWS)
            error = (part.panel.y - part.prior.mean)[:, None] / part.unit - run(part, params)
            loss += np.sum(error[part.fit & np.isfinite(part.panel.y)] ** 2, axis=0)
        best = int(np.argmin(loss))
        return FittedFilter(_parameters(grid[[best]], between), _searched(grid, loss))


@dataclass(frozen=True, eq=False)
class FittedFilter:
    """Chosen parameters."""

    params: Parameters
    search: Search = ()

    def predict(self, sample: Sample) -> Floats:
        """One-step-ahead means."""
        forecast: Floats = sample.prior.mean + sample.unit * run(sample, self.params)[:, 0]
        return forecast


def _searched(grid: Floats, loss: Floats) -> Search:
    """The best point for each drift and persistence, over what the night and the noise may be."""
    best: dict[tuple[float, float], int] = {}
    for k in np.argsort(loss, kind="stable"):
        best.setdefault((float(grid[k, 0]), float(grid[k, 1])), int(k))
    names = ("drift", "persistence", "night", "noise")
    return tuple((dict(zip(names, map(float, grid[k]), strict=True)), float(loss[k])) for k in sorted(best.values()))


def _parameters(grid: Floats, between: float) -> Parameters:
    drift, persistence, night, noise = grid.T
    return Parameters(drift, persistence, night, noise, np.full(len(grid), between))


@dataclass(frozen=True, eq=False)
class FittedTail:
    """A quantile of a bell around the filter's forecast, as wide as the person's spread so far."""

    centre: Model
    z: float

    def predict(self, sample: Sample) -> Floats:
        """Quantile of every row."""
        return sample.forecast(self.centre) + self.z * sample.history.spread


@dataclass(frozen=True)
class NormalTail:
    """Quantile forecast for studies with too few rows to learn one."""

    name: str
    quantile: float

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Fit the filter."""
        return FittedTail(Sample.fitted(SharedFilter(), samples), float(stats.norm.ppf(self.quantile)))


def _between(samples: Sequence[Sample]) -> float:
    """Variance of people's means in units of the study, kept within reason where there are few people."""
    means = []
    for sample in samples:
        code, y = sample.panel.code[sample.fit], sample.panel.y[sample.fit]
        n = np.bincount(code, minlength=len(sample.panel.persons))
        mean = np.bincount(code, weights=y, minlength=len(n))[n > 0] / n[n > 0]
        means.append((mean - sample.prior.mean) / sample.unit)
    return float(np.clip(np.var(np.concatenate(means)), 0.5, 4.0)) if means else 1.0


def run(sample: Sample, params: Parameters) -> Floats:
    """One-step-ahead means in units of the study around the prior's mean, shape (n, g).

    Parameters may also differ between people: arrays of shape (p, g), p being the people who have rows.
    """
    panel = sample.panel
    z = (panel.y - sample.prior.mean) / sample.unit
    starts = run_starts(panel.code)
    size = np.diff(starts, append=len(panel))
    shape = (len(starts), np.atleast_2d(params.drift).shape[1])
    drift, phi, nights, noise, between = (
        np.broadcast_to(np.atleast_2d(v), shape)
        for v in (params.drift, params.persistence, params.night, params.noise, params.between)
    )
    out = np.zeros((len(panel), shape[1]))
    level, mood = np.zeros(shape), np.zeros(shape)
    # covariance of (level, mood)
    ll, lm, mm = between.copy(), np.zeros(shape), 1 / (1 - phi**2)
    day = np.full(len(starts), -1)
    longest = np.argsort(-size, kind="stable")
    active = len(longest)
    for step in range(int(size.max(initial=0))):
        while active and size[longest[active - 1]] <= step:
            active -= 1
        who = longest[:active]
        rows = starts[who] + step
        night = ((panel.day[rows] != day[who]) & (day[who] >= 0))[:, None]
        factor = np.where(night, nights[who], 1.0)
        forecast = level[who] + factor * mood[who]
        out[rows] = forecast
        now = np.isfinite(z[rows])
        who, rows, factor, forecast = who[now], rows[now], factor[now], forecast[now]
        p = phi[who]
        # over a night the mood keeps a part of itself and regains its variance
        m1 = factor * mood[who]
        mm1 = factor**2 * mm[who] + (1 - factor**2) / (1 - p**2)
        lm1 = factor * lm[who]
        total = ll[who] + 2 * lm1 + mm1 + noise[who]
        gain_l, gain_m = (ll[who] + lm1) / total, (lm1 + mm1) / total
        wrong = z[rows, None] - forecast
        cover_l = ll[who] - gain_l * (ll[who] + lm1)
        cover_lm = lm1 - gain_l * (lm1 + mm1)
        cover_m = mm1 - gain_m * (lm1 + mm1)
        level[who], mood[who] = level[who] + gain_l * wrong, p * (m1 + gain_m * wrong)
        ll[who], lm[who], mm[who] = cover_l + drift[who], p * cover_lm, p**2 * cover_m + 1.0
        day[who] = panel.day[rows]
    return out
