"""A candidate that learns from everybody: Ridge on person-centred lags.

Columns are in units of the target and homogeneous, so a model fitted on one scale serves another.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from flows.analyse.panel import Floats, Ints, Mask
from flows.forecast.candidates import Candidate, Model, Sample, Search
from flows.forecast.history import CONTEXT, NAMES

PENALTIES = tuple(10.0**e for e in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5))
BLOCK = 100_000
"""Rows whose columns are made at a time."""

MOVING = tuple(NAMES.index(n) for n in ("last", "ewma_0.15", "ewma_0.3", "today"))
"""Columns whose weight may differ with the context."""

SHIFTING = tuple(CONTEXT.index(c) for c in ("beep_share", "gap_missed", "first_of_day", "n_log", "floor_share",
                                            "change_size"))  # fmt: skip


def linear_columns(sample: Sample, *, items: bool) -> Floats:
    """Columns of the linear models, each in units of the target, shape (n, f)."""
    h = sample.history
    spread = h.spread[:, None]
    away = (h.centre - sample.prior.mean)[:, None]
    parts = [h.values, h.context * spread, away, away / (1 + h.seen)[:, None], spread]
    parts.extend(h.values[:, [j]] * h.context[:, list(SHIFTING)] for j in MOVING)
    if items:
        parts.append(h.items)
    return np.hstack(parts)


@dataclass(frozen=True, eq=False)
class Linear:
    """A fitted linear model: forecast = base + columns @ weights."""

    weights: Floats
    items: bool
    penalty: float
    base: Model | None = None
    search: Search = ()

    def predict(self, sample: Sample) -> Floats:
        """Forecast of every row."""
        forecast = base_of(self.base, sample).copy()
        for at in range(0, len(forecast), BLOCK):
            rows = np.arange(at, min(at + BLOCK, len(forecast)))
            forecast[rows] += _columns(sample.take(rows), forecast[rows], items=self.items) @ self.weights
        return forecast


def base_of(model: Model | None, sample: Sample) -> Floats:
    """What the columns correct: another model's forecast, or the mean so far."""
    return sample.history.centre if model is None else sample.forecast(model)


def _columns(sample: Sample, base: Floats, *, items: bool) -> Floats:
    return np.hstack([linear_columns(sample, items=items), (base - sample.history.centre)[:, None]])


@dataclass(frozen=True)
class RidgeLags:
    """Ridge on lags, moving averages and their place in the day; `items` adds every item's last value.

    It corrects the mean so far, or the forecast of `base`, so that with few answers to learn from it is the base.
    The penalty is chosen by forward chaining: fitted on the first half of the rows learnt from, judged on the second.
    """

    name: str = "ridge"
    items: bool = False
    base: Candidate | None = None

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Choose the penalty, then fit on all rows that may be learnt from."""
        base = Sample.fitted(self.base, samples) if self.base else None
        early, late = Moments.sum(self._halves(samples, base))
        both = early + late
        size = np.sqrt(np.diag(both.xx) / max(both.n, 1)) + 1e-9
        search = _penalties(early.scaled(size), late.scaled(size)) if early.n and late.n else ()
        # twice the rows, twice the penalty
        penalty = 2 * min(search, key=lambda tried: tried[1])[0]["penalty"] if search else 1000.0
        return Linear(both.scaled(size).solve(penalty) / size, self.items, penalty, base, search)

    def _halves(self, samples: Sequence[Sample], model: Model | None) -> Iterator[tuple[Moments, Moments]]:
        """Moments of the earlier and of the later half of everybody's rows, some rows at a time."""
        for sample in samples:
            start, (rows, late) = base_of(model, sample), learnable(sample)
            for at in range(0, len(rows), BLOCK):
                mine, second = rows[at : at + BLOCK], late[at : at + BLOCK]
                x = _columns(sample.take(mine), start[mine], items=self.items) / sample.unit
                y = (sample.panel.y[mine] - start[mine]) / sample.unit
                yield Moments.of(x[~second], y[~second]), Moments.of(x[second], y[second])


@dataclass(frozen=True, eq=False)
class Moments:
    """All that a linear model needs of n rows: x'x, x'y and y'y."""

    n: int
    xx: Floats
    xy: Floats
    yy: float

    @classmethod
    def of(cls, x: Floats, y: Floats) -> Moments:
        """Of rows."""
        return cls(len(y), x.T @ x, x.T @ y, float(y @ y))

    @staticmethod
    def sum(parts: Iterable[tuple[Moments, Moments]]) -> tuple[Moments, Moments]:
        """Of all parts, one of each pair and the other."""
        return functools.reduce(lambda a, b: (a[0] + b[0], a[1] + b[1]), parts)

    def __add__(self, other: Moments) -> Moments:
        return Moments(self.n + other.n, self.xx + other.xx, self.xy + other.xy, self.yy + other.yy)

    def scaled(self, size: Floats) -> Moments:
        """With the columns of x divided by their sizes."""
        return Moments(self.n, self.xx / np.outer(size, size), self.xy / size, self.yy)

    def solve(self, penalty: float) -> Floats:
        """Ridge weights from the normal equations."""
        return np.asarray(np.linalg.solve(self.xx + penalty * np.eye(len(self.xx)), self.xy), dtype=np.float64)

    def loss(self, weights: Floats) -> float:
        """Mean squared error of weights on these rows."""
        return float(self.yy - 2 * weights @ self.xy + weights @ self.xx @ weights) / self.n


def learnable(sample: Sample) -> tuple[Ints, Mask]:
    """Rows with an answer and a past that may be learnt from, and which belong to the later half of their person's."""
    rows = np.flatnonzero(sample.fit & (sample.history.seen > 0))
    code = sample.panel.code[rows]
    n = np.bincount(code, minlength=len(sample.panel.persons))
    first = np.searchsorted(code, np.arange(len(n)))
    late: Mask = np.arange(len(code)) - first[code] >= n[code] / 2
    return rows, late


def _penalties(early: Moments, late: Moments) -> Search:
    """Squared error of the later half by weights of the earlier half, for every penalty."""
    return tuple(({"penalty": p}, late.loss(early.solve(p))) for p in PENALTIES)
