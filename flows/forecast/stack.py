"""Combination of forecasts whose weights are learnt online.

Weights begin where they were best for people before (a nonnegative fit on forecasts made out of sample) and move with
each answer of the person: recursive least squares, which is Bayesian regression with the shared weights as prior mean.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import nnls

from flows.analyse.panel import Floats, Ints, Mask, run_starts

STRENGTH = 1000.0
"""Answers that the shared weights count for against a person's own."""

STEADY = 0.1
"""Share of the typical moment by which weights hold against differences of forecasts that are nearly the same."""

EQUAL = 20_000.0
"""Answers of typical size that equal weights count for against the ones learnt: in combinations of good forecasts equal
weights are hard to beat, for learnt ones cost more in error than they gain (Clemen 1989; Smith & Wallis 2009)."""

EQUAL_ACROSS = 10 * EQUAL
"""The same for a study that nothing was learnt from."""

AT_ONCE = 2000
"""People whose covariances are held at a time."""


@dataclass(frozen=True, eq=False)
class Stack:
    """Shared weights, and how strongly they hold.

    Attributes
    ----------
    weights
        Weight of each forecast's distance from the centre, shape (m,), nonnegative.
    moment
        Typical second moment of those distances in units of the study, shape (m, m).
    strength
        Answers the weights count for.
    """

    weights: Floats
    moment: Floats
    strength: float

    def predict(self, code: Ints, y: Floats, forecasts: Floats, centre: Floats, unit: float, learn: Mask) -> Floats:
        """Combined forecast of every row.

        Parameters
        ----------
        code, y, centre
            Person, answer and mean so far of each row, shape (n,), rows in order.
        forecasts
            One column per candidate, shape (n, m).
        unit
            Typical SD of the study.
        learn
            Rows whose answer may move the weights of rows after it.
        """
        x, d = (forecasts - centre[:, None]) / unit, (y - centre) / unit
        if self.strength >= 1e8:
            combined: Floats = centre + unit * (x @ self.weights)
            return combined
        cover: Floats = np.linalg.inv(self.strength * self.moment + 1e-9 * np.eye(len(self.weights))).astype(np.float64)
        found: Floats = centre + unit * regress(code, x, d, learn & np.isfinite(y), self.weights, cover)
        return found


def regress(code: Ints, x: Floats, d: Floats, learn: Mask, weights: Floats, cover: Floats) -> Floats:
    """Bayesian linear regression of every person, learnt answer by answer; each row told from what came before it.

    Parameters
    ----------
    code, d
        Person and what is regressed, in units of its error, shape (n,), rows in order.
    x
        On what, shape (n, m).
    learn
        Rows whose `d` moves the weights of rows after it.
    weights, cover
        What is believed of a new person's weights: mean, shape (m,), and covariance, shape (m, m).

    Returns
    -------
    Floats
        Shape (n,).
    """
    starts = run_starts(code)
    ends = np.append(starts[1:], len(code))
    out = np.full(len(d), np.nan)  # what no block would reach could not pass for a forecast
    for at in range(0, len(starts), AT_ONCE):
        first, last = starts[at], ends[min(at + AT_ONCE, len(starts)) - 1]
        rows = slice(int(first), int(last))
        some = starts[at : at + AT_ONCE] - first
        out[rows] = _in_step(some, x[rows], d[rows], learn[rows], weights, cover)
    return out


def _in_step(starts: Ints, x: Floats, d: Floats, learn: Mask, prior: Floats, spread: Floats) -> Floats:
    """Some people's rows in step, each person with weights of their own."""
    size = np.diff(starts, append=len(d))
    people = len(starts)
    cover, weights = np.tile(spread, (people, 1, 1)), np.tile(prior, (people, 1))
    out = np.empty(len(d))
    longest = np.argsort(-size, kind="stable")
    active = people
    for step in range(int(size.max(initial=0))):
        while active and size[longest[active - 1]] <= step:
            active -= 1
        who = longest[:active]
        rows = starts[who] + step
        out[rows] = np.einsum("pm,pm->p", x[rows], weights[who])
        now = learn[rows]
        who, rows = who[now], rows[now]
        reach = np.einsum("pij,pj->pi", cover[who], x[rows])
        gain = reach / (1.0 + np.einsum("pi,pi->p", x[rows], reach))[:, None]
        weights[who] += gain * (d[rows] - out[rows])[:, None]
        cover[who] -= gain[:, :, None] * reach[:, None, :]
    return out


def _steady(moment: Floats) -> Floats:
    """The moment with something on its diagonal: what nearly equal forecasts differ by is mostly chance."""
    m = len(moment)
    steady: Floats = moment + STEADY * np.trace(moment) / m * np.eye(m)
    return steady


def fit_stack(y: Floats, forecasts: Floats, centre: Floats, unit: float, rows: Mask, equal: float = EQUAL) -> Stack:
    """Shared weights from forecasts made out of sample.

    Parameters
    ----------
    rows
        Rows to learn from, shape (n,); other arguments as in `Stack.predict`.
    equal
        Answers of typical size that equal weights count for.
    """
    use = rows & np.isfinite(y)
    x, d = (forecasts[use] - centre[use, None]) / unit, (y[use] - centre[use]) / unit
    m = x.shape[1]
    if not len(d):
        return Stack(np.full(m, 1 / m), np.eye(m), STRENGTH)
    moment = x.T @ x / len(d)
    pull = np.sqrt(equal * max(float(np.trace(moment)) / m, 1e-6))
    design, goal = np.vstack([x, pull * np.eye(m)]), np.concatenate([d, np.full(m, pull / m)])
    return Stack(nnls(design, goal)[0], _steady(moment), STRENGTH)
