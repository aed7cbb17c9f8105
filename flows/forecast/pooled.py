"""Candidates that learn from everybody: Ridge and gradient boosting on person-centred lags.

Columns are in units of the target and homogeneous, so a model fitted on one scale serves another.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from flows.analyse.panel import Floats, Ints, Mask
from flows.forecast.candidates import Candidate, Model, Sample, Search
from flows.forecast.history import CONTEXT, NAMES

PENALTIES = tuple(10.0**e for e in (0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5))
MOST_ROWS = 200_000
"""Rows of a study that trees are grown on."""

FEW_ROUNDS = 20
"""Trees where there are too few rows to choose."""

SMALL = 50_000
"""Rows below which one thread is quickest."""

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


def tree_columns(sample: Sample, base: Floats) -> Floats:
    """Columns of the trees, free of units, shape (n, f)."""
    h = sample.history
    spread = h.spread[:, None]
    lo, hi = sample.panel.scale
    place, start = (h.centre - lo)[:, None], (base - h.centre)[:, None]
    return np.hstack(
        [h.values / spread, h.context, place / spread, place / (hi - lo), spread / (hi - lo), start / spread]
    )


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
        base = _base(self.base, sample)
        columns = _columns(sample, base, items=self.items)
        forecast: Floats = base + columns @ self.weights
        return forecast


def _base(model: Model | None, sample: Sample) -> Floats:
    """What the columns correct: another model's forecast, or the mean so far."""
    return sample.history.centre if model is None else sample.forecast(model)


def _columns(sample: Sample, base: Floats, *, items: bool) -> Floats:
    return np.hstack([linear_columns(sample, items=items), (base - sample.history.centre)[:, None]])


@dataclass(frozen=True)
class RidgeLags:
    """Ridge on lags, moving averages and their place in the day; `items` adds every item's last value and average.

    It corrects the mean so far, or the forecast of `base`, so that with few answers to learn from it is the base.
    The penalty is chosen by forward chaining: fitted on the first half of the rows learnt from, judged on the second.
    """

    name: str = "ridge"
    items: bool = False
    base: Candidate | None = None

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Choose the penalty, then fit on all rows that may be learnt from."""
        base = Sample.fitted(self.base, samples) if self.base else None
        parts = [self._part(s, base) for s in samples]
        x, y, late = (np.concatenate(v) for v in zip(*parts, strict=True))
        size = np.sqrt(np.mean(x * x, axis=0)) + 1e-9
        x = x / size
        search = _penalties(x, y, late) if late.any() and not late.all() else ()
        # twice the rows, twice the penalty
        penalty = 2 * min(search, key=lambda tried: tried[1])[0]["penalty"] if search else 1000.0
        return Linear(solve(x.T @ x, x.T @ y, penalty) / size, self.items, penalty, base, search)

    def _part(self, sample: Sample, model: Model | None) -> tuple[Floats, Floats, Mask]:
        base = _base(model, sample)
        part, rows = learnable(sample)
        x = _columns(part, base[rows], items=self.items) / sample.unit
        return x, (part.panel.y - base[rows]) / sample.unit, later_half(part)


def learnable(sample: Sample, most: int | None = None) -> tuple[Sample, Ints]:
    """Rows with an answer and a past that may be learnt from, and where they stand; evenly thinned to `most`."""
    rows = np.flatnonzero(sample.fit & (sample.history.seen > 0))
    if most is not None and len(rows) > most:
        rows = rows[np.linspace(0, len(rows) - 1, most).astype(np.int64)]
    return Sample(sample.panel.take(rows), sample.history.take(rows), sample.prior, sample.fit[rows]), rows


def later_half(sample: Sample) -> Mask:
    """Which rows belong to the later half of their person's."""
    code = sample.panel.code
    n = np.bincount(code, minlength=len(sample.panel.persons))
    first = np.searchsorted(code, np.arange(len(n)))
    late: Mask = np.arange(len(code)) - first[code] >= n[code] / 2
    return late


def solve(gram: Floats, moment: Floats, penalty: float) -> Floats:
    """Ridge weights from the normal equations."""
    return np.asarray(np.linalg.solve(gram + penalty * np.eye(len(gram)), moment), dtype=np.float64)


def _penalties(x: Floats, y: Floats, late: Mask) -> Search:
    """Squared error of the later half by weights of the earlier half, for every penalty."""
    gram, moment = x[~late].T @ x[~late], x[~late].T @ y[~late]
    return tuple(({"penalty": p}, float(np.mean((y[late] - x[late] @ solve(gram, moment, p)) ** 2))) for p in PENALTIES)


def threads(rows: int) -> AbstractContextManager[object]:
    """One thread for small work: more of them wait for each other longer than they compute."""
    return threadpool_limits(1, "openmp") if rows < SMALL else nullcontext()


@dataclass(frozen=True, eq=False)
class Trees:
    """Fitted boosting: forecast = base + spread x trees."""

    trees: HistGradientBoostingRegressor
    base: Model | None = None
    search: Search = ()

    def predict(self, sample: Sample) -> Floats:
        """Forecast of every row."""
        base = _base(self.base, sample)
        with threads(len(base)):
            corrections = self.trees.predict(tree_columns(sample, base))
        forecast: Floats = base + sample.history.spread * corrections
        return forecast


@dataclass(frozen=True)
class Boosting:
    """Gradient boosting of the distance from a base in units of the person's spread.

    `loss` "squared_error" forecasts a mean, "absolute_error" a median, "quantile" the given `quantile`. There are
    `rounds` trees, or as many as forward chaining finds best. For a mean, rows weigh by the square of the spread, which
    makes the loss one of the raw scale.
    """

    name: str = "boosting"
    loss: str = "squared_error"
    quantile: float | None = None
    base: Candidate | None = None
    rounds: int | None = None
    most_rounds: int = 100
    seed: int = 0

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Choose the number of trees by forward chaining, then grow them."""
        base = Sample.fitted(self.base, samples) if self.base else None
        parts = [self._part(s, base) for s in samples]
        x, y, weight, late = (np.concatenate(v) for v in zip(*parts, strict=True))
        with threads(len(x)):
            search = () if self.rounds else self._staged(x, y, weight, late)
            rounds = self.rounds or int(min(search, key=lambda t: t[1])[0]["trees"] if search else FEW_ROUNDS)
            trees = self._grown(rounds, x, y, weight)
        return Trees(trees, base, search)

    def _part(self, sample: Sample, model: Model | None) -> tuple[Floats, Floats, Floats, Mask]:
        part, rows = learnable(sample, MOST_ROWS)
        start, spread = _base(model, sample)[rows], part.history.spread
        power = 2 if self.loss == "squared_error" else 1
        columns = tree_columns(part, start)
        return columns, (part.panel.y - start) / spread, (spread / sample.unit) ** power, later_half(part)

    def _grown(self, rounds: int, x: Floats, y: Floats, weight: Floats) -> HistGradientBoostingRegressor:
        trees = HistGradientBoostingRegressor(
            loss=self.loss, quantile=self.quantile, max_iter=rounds, learning_rate=0.05, max_leaf_nodes=8,
            min_samples_leaf=min(40, max(5, len(x) // 20)), l2_regularization=5.0, early_stopping=False,
            random_state=self.seed,
        )  # fmt: skip
        # a quantile of the standardised answer needs no weights, and without them its leaves are found far sooner
        return trees.fit(x, y, sample_weight=weight if self.loss == "squared_error" else None)

    def _staged(self, x: Floats, y: Floats, weight: Floats, late: Mask) -> Search:
        """Loss of the later half by each number of trees grown on the earlier half; nothing with too few rows."""
        if late.sum() < 100 or (~late).sum() < 100:
            return ()
        trees = self._grown(self.most_rounds, x[~late], y[~late], weight[~late])
        losses = [self._loss(y[late] - f, weight[late]) / late.sum() for f in trees.staged_predict(x[late])]
        return tuple(({"trees": float(k)}, loss) for k, loss in enumerate(losses, 1))

    def _loss(self, error: Floats, weight: Floats) -> float:
        if self.loss == "squared_error":
            return float(np.sum(weight * error**2))
        q = 0.5 if self.quantile is None else self.quantile
        return float(np.sum(weight * np.maximum(q * error, (q - 1) * error)))
