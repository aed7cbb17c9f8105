"""State-space candidate: local level plus AR(1), fitted per person by statsmodels' UnobservedComponents."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from statsmodels.tools.sm_exceptions import ConvergenceWarning
from statsmodels.tsa.statespace.structural import UnobservedComponents

from flows.analyse.panel import Floats, run_starts
from flows.forecast.candidates import Model, Sample
from flows.forecast.filter import Parameters, run

MOST_PEOPLE = 150
"""People up to whom everybody has a fit of their own; beyond, a sample gives the typical parameters of all."""

SAMPLED = 40


@dataclass(frozen=True)
class StateSpace:
    """A slowly moving level and a mood that falls back to it (Durbin & Koopman 2012, ch. 3).

    Variances and the AR coefficient are fitted to the answers of a person that may be learnt from, drawn halfway to
    the typical ones; then a Kalman filter runs through the person's whole series.
    """

    name: str = "state_space"

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Typical parameters over people, and each person's own where there is one study of moderate size."""
        fits = [_fits(sample) for sample in samples]
        rows = [own for one in fits for own in one.values()]
        typical = np.median(np.array(rows), axis=0) if rows else np.array([0.01, 0.5, 0.4])
        alone = len(samples) == 1 and len(samples[0].panel.persons) <= MOST_PEOPLE
        return FittedStateSpace(typical, fits[0] if alone else {})


@dataclass(frozen=True, eq=False)
class FittedStateSpace:
    """Typical parameters (level variance, AR variance, AR coefficient) in units of the study, and people's own.

    `own` is by the person's code in the study fitted, for the backtest; a registered model holds none.
    """

    typical: Floats
    own: dict[int, Floats]

    def anonymous(self) -> FittedStateSpace:
        """The same without anything of the people it was fitted to."""
        return replace(self, own={})

    def predict(self, sample: Sample) -> Floats:
        """One-step-ahead means of the filter; the prior's mean before the first answer."""
        codes = sample.panel.code[run_starts(sample.panel.code)] if len(sample.panel) else np.zeros(0, dtype=np.int64)
        params = np.array([(self.typical + self.own.get(int(c), self.typical)) / 2 for c in codes]).reshape(-1, 3)
        level, variance, coefficient = params[:, [0]], params[:, [1]], params[:, [2]]
        ones = np.ones_like(level)
        shared = Parameters(level / variance, coefficient, ones, 0 * ones, ones / variance)
        forecast: Floats = sample.prior.mean + sample.unit * run(sample, shared)[:, 0]
        return forecast


def _fits(sample: Sample) -> dict[int, Floats]:
    """Parameters of people with twenty answers to learn from: of all or of a systematic sample."""
    n = np.bincount(sample.panel.code[sample.fit], minlength=len(sample.panel.persons))
    people = np.flatnonzero(n >= 20)
    if len(people) > MOST_PEOPLE:
        people = people[np.linspace(0, len(people) - 1, SAMPLED).astype(int)]
    found = {}
    for code in people:
        first, last = np.searchsorted(sample.panel.code, [code, code + 1])
        mine = slice(int(first), int(last))
        params = _fit(sample.panel.y[mine][sample.fit[mine]] / sample.unit)
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
        result = model.fit(disp=0, maxiter=25, method="lbfgs")
    level, variance, coefficient = result.params
    return np.array([min(level, 1.0), np.clip(variance, 1e-3, 10), np.clip(coefficient, -0.2, 0.95)])
