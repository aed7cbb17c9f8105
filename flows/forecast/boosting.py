"""A candidate that learns from everybody: gradient boosting on person-centred lags.

Columns are free of units, so trees grown on one scale serve another.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import HistGradientBoostingRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # ships no types

from flows.analyse.panel import Floats, Mask
from flows.forecast.candidates import Candidate, Model, Sample, Search
from flows.forecast.pooled import base_of, learnable

MOST_ROWS = 100_000
"""Rows of a study that trees are grown on: those of a systematic sample of people, beyond it."""

FEW_ROUNDS = 20
"""Trees where there are too few rows to choose."""

SMALL = 50_000
"""Rows below which one thread is quickest."""

LEVELS = 255
"""Levels of a column between which trees may part rows."""

Levels = npt.NDArray[np.uint8]


def tree_columns(sample: Sample, base: Floats) -> Floats:
    """Columns of the trees, free of units, shape (n, f)."""
    h = sample.history
    spread = h.spread[:, None]
    lo, hi = sample.panel.scale
    place, start = (h.centre - lo)[:, None], (base - h.centre)[:, None]
    return np.hstack(
        [h.values / spread, h.context, place / spread, place / (hi - lo), spread / (hi - lo), start / spread]
    )


def edges_of(columns: Floats) -> tuple[Floats, ...]:
    """Where each column is cut into levels: between its values where they are few, else at quantiles."""
    cuts = []
    for values in columns.T:
        distinct = np.unique(values)
        if len(distinct) <= LEVELS:
            cuts.append((distinct[1:] + distinct[:-1]) / 2)
        else:
            shares = np.linspace(0, 1, LEVELS + 1)[1:-1]
            cuts.append(np.unique(np.quantile(values, shares, method="averaged_inverted_cdf")))
    return tuple(cuts)


def levels(columns: Floats, edges: Sequence[Floats]) -> Levels:
    """Level of each value of each column."""
    return np.column_stack([np.searchsorted(e, c) for e, c in zip(edges, columns.T, strict=True)]).astype(np.uint8)


@dataclass(frozen=True, eq=False)
class Table:
    """What trees are grown on, made once for all that correct the same base.

    `x` levels of the columns with their `edges`, `away` the answer's distance from the base, `spread` the person's and
    `share` the same in units of the study, `late` the later half of everybody's rows.
    """

    x: Levels
    edges: tuple[Floats, ...]
    away: Floats
    spread: Floats
    share: Floats
    late: Mask

    @classmethod
    def of(cls, samples: Sequence[Sample], base: Model | None) -> Table:
        """Rows of all studies that may be learnt from."""
        parts = []
        for sample in (s.thinned(MOST_ROWS) for s in samples):
            start, (rows, late) = base_of(base, sample), learnable(sample)
            spread = sample.history.spread[rows]
            columns = tree_columns(sample.take(rows), start[rows])
            parts.append((columns, sample.panel.y[rows] - start[rows], spread, spread / sample.unit, late))
        columns, away, spread, share, late = (np.concatenate(v) for v in zip(*parts, strict=True))
        edges = edges_of(columns)
        return cls(levels(columns, edges), edges, away, spread, share, late)


def threads(rows: int) -> AbstractContextManager[object]:
    """One thread for small work: more of them wait for each other longer than they compute."""
    return threadpool_limits(1, "openmp") if rows < SMALL else nullcontext()


@dataclass(frozen=True, eq=False)
class Trees:
    """Fitted boosting: forecast = base + spread x trees."""

    trees: HistGradientBoostingRegressor
    edges: tuple[Floats, ...]
    base: Model | None = None
    search: Search = ()

    def predict(self, sample: Sample) -> Floats:
        """Forecast of every row."""
        base = base_of(self.base, sample)
        with threads(len(base)):
            corrections = self.trees.predict(levels(tree_columns(sample, base), self.edges))
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
        table: Table = Sample.once(samples, (Table, self.base), lambda: Table.of(samples, base))
        y, weight = table.away / table.spread, table.share ** (2 if self.loss == "squared_error" else 1)
        with threads(len(y)):
            search = () if self.rounds else self._staged(table.x, y, weight, table.late)
            rounds = self.rounds or int(min(search, key=lambda t: t[1])[0]["trees"] if search else FEW_ROUNDS)
            trees = self._grown(rounds, table.x, y, weight)
        return Trees(trees, table.edges, base, search)

    def _grown(self, rounds: int, x: Levels, y: Floats, weight: Floats) -> HistGradientBoostingRegressor:
        trees = HistGradientBoostingRegressor(
            loss=self.loss, quantile=self.quantile, max_iter=rounds, learning_rate=0.05, max_leaf_nodes=8,
            min_samples_leaf=min(40, max(5, len(x) // 20)), l2_regularization=5.0, early_stopping=False,
            random_state=self.seed,
        )  # fmt: skip
        # a quantile of the standardised answer needs no weights, and without them its leaves are found far sooner
        return trees.fit(x, y, sample_weight=weight if self.loss == "squared_error" else None)

    def _staged(self, x: Levels, y: Floats, weight: Floats, late: Mask) -> Search:
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
