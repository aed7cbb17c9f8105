"""State-space candidate: local level plus AR(1), fitted per person by statsmodels' UnobservedComponents."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.statespace.structural import UnobservedComponents

from flows.analyse.panel import Floats, run_starts
from flows.forecast.candidates import Model, Sample

MOST_FITS = 200
"""People fitted one by one; beyond, everybody gets the typical variances of that many."""

RATIOS = 3
"""Parameters: variances of irregular (0 here), level and AR, and the AR coefficient."""


@dataclass(frozen=True)
class StateSpace:
    """A slowly moving level and a mood that falls back to it (Durbin & Koopman 2012, ch. 3).

    Parameters are fitted to the answers a person may be learnt from, then the Kalman filter runs on through the
    person's whole series. A short series is drawn to the typical parameters of all people.
    """

    name: str = "state_space"

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Typical parameters over people."""
        rows = [own for sample in samples for own in _fits(sample, MOST_FITS).values()]
        if not rows:
            return FittedStateSpace(np.array([0.01, 0.5, 0.4]))
        return FittedStateSpace(np.median(np.array(rows), axis=0))


@dataclass(frozen=True, eq=False)
class FittedStateSpace:
    """Typical parameters: level variance and AR variance in units of the study's, and the AR coefficient."""

    typical: Floats

    def predict(self, sample: Sample) -> Floats:
        """One-step-ahead means of the filter; the prior's mean before the first answer."""
        own = _fits(sample, MOST_FITS) if len(sample.panel.persons) <= MOST_FITS else {}
        out = sample.history.centre.copy()
        starts = run_starts(sample.panel.code)
        for first, last in zip(starts, [*starts[1:], len(out)], strict=True):
            code = int(sample.panel.code[first])
            params = (self.typical + own.get(code, self.typical)) / 2
            out[first:last] = _filter(sample.panel.y[first:last], params, sample)
        return out


def _fits(sample: Sample, most: int) -> dict[int, Floats]:
    """Parameters of up to `most` people with twenty answers to learn from."""
    n = np.bincount(sample.panel.code[sample.fit], minlength=len(sample.panel.persons))
    people = np.flatnonzero(n >= 20)
    people = people[:: max(1, -(-len(people) // most))]
    found = {}
    for code in people:
        params = _fit(sample.panel.y[sample.fit & (sample.panel.code == code)] / sample.unit)
        if params is not None:
            found[int(code)] = params
    return found


def _fit(y: Floats) -> Floats | None:
    if np.ptp(y) == 0:
        return None
    model = UnobservedComponents(y - y.mean(), level="rwalk", autoregressive=1)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # an unfinished search is still a usable, shrunken fit
        warnings.simplefilter("ignore", UserWarning)
        result = model.fit(disp=0, maxiter=50, method="lbfgs")
    level, variance, coefficient = result.params
    return np.array([min(level, 1.0), np.clip(variance, 1e-3, 10), np.clip(coefficient, -0.2, 0.95)])


def _filter(y: Floats, params: Floats, sample: Sample) -> Floats:
    """One-step-ahead forecasts; a row without answer passes the state on."""
    level_var, noise, phi = params
    transition = np.array([[1.0, 0.0], [0.0, phi]])
    drift = np.diag([level_var, noise])
    design = np.ones(2)
    state = np.zeros(2)
    cover = np.diag([1.0, noise / max(1 - phi**2, 0.05)])
    z = (y - sample.prior.mean) / sample.unit
    out = np.empty(len(z))
    for t, value in enumerate(z):
        if t and np.isfinite(z[t - 1]):
            state, cover = transition @ state, transition @ cover @ transition.T + drift
        out[t] = state.sum()
        if np.isfinite(value):
            gain = cover @ design / (design @ cover @ design + 1e-6)
            state = state + gain * (value - state.sum())
            cover = cover - np.outer(gain, design @ cover)
    return out * sample.unit + sample.prior.mean
