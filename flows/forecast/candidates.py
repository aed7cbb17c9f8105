"""Candidates that need no library: a person's own past, and what people share.

A candidate is fitted on rows that may be learnt from and then predicts every row from what came before that row.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np

from flows.analyse.panel import Floats, Ints, Mask, Panel
from flows.forecast.history import NAMES, RATES, History, Prior


@dataclass(frozen=True, eq=False)
class Sample:
    """One study as the candidates see it.

    `fit` marks the answered rows that pooled parameters may be learnt from; a candidate reads `panel.y` elsewhere
    only as the past of later rows. Candidates that build on others share what those were fitted to and forecast here.
    """

    panel: Panel
    history: History
    prior: Prior
    fit: Mask
    _forecasts: dict[int, tuple[Model, Floats]] = field(default_factory=dict, repr=False)
    fits: dict[tuple[object, ...], Any] = field(default_factory=dict, repr=False)

    def forecast(self, model: Model) -> Floats:
        """Forecasts of every row by a model, made once."""
        if id(model) not in self._forecasts:
            self._forecasts[id(model)] = (model, model.predict(self))  # the model is kept, so that its id stays its own
        return self._forecasts[id(model)][1]

    def __getstate__(self) -> dict[str, object]:
        """Without what can be made again."""
        return self.__dict__ | {"_forecasts": {}, "fits": {}}

    @staticmethod
    def fitted(candidate: Candidate, samples: Sequence[Sample]) -> Model:
        """A candidate fitted to samples, once."""
        model: Model = Sample.once(samples, (candidate,), lambda: candidate.fit(samples))
        return model

    @staticmethod
    def once(samples: Sequence[Sample], key: tuple[object, ...], make: Callable[[], Any]) -> Any:
        """What candidates share of samples, made by the first that needs it."""
        kept, key = samples[0].fits, (*key, *map(id, samples))
        if key not in kept:
            kept[key] = make()
        return kept[key]

    def take(self, rows: Mask | Ints) -> Sample:
        """Some of the rows."""
        return Sample(self.panel.take(rows), self.history.take(rows), self.prior, self.fit[rows])

    def thinned(self, most: int) -> Sample:
        """Every so many people, all of their rows, where there are more than `most`."""
        people = len(self.panel.persons)
        keep = max(1, int(people * most / max(len(self.panel), 1)))
        if keep >= people:
            return self
        some: Sample = Sample.once([self], (most,), lambda: self._of(np.linspace(0, people - 1, keep).astype(int)))
        return some

    def _of(self, codes: Ints) -> Sample:
        return self.take(np.isin(self.panel.code, codes))

    @property
    def unit(self) -> float:
        """Typical within-person SD; it makes studies on different scales weigh alike."""
        return self.prior.sd


Search = tuple[tuple[Mapping[str, float], float], ...]
"""What a search of hyperparameters tried, and the loss each point had on rows that may be learnt from."""


class Model(Protocol):
    """A fitted candidate."""

    def predict(self, sample: Sample) -> Floats:
        """Forecast of every row, shape (n,), from what came before it."""


class Candidate(Protocol):
    """A way to forecast."""

    @property
    def name(self) -> str:
        """What it is called in tables."""

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Learn pooled parameters from the rows that may be learnt from."""


@dataclass(frozen=True)
class MeanSoFar:
    """The person's mean so far: what skill is measured against."""

    name: str = "mean"

    def fit(self, samples: Sequence[Sample]) -> Model:  # noqa: ARG002 - nothing is shared
        """Nothing to learn."""
        return self

    def predict(self, sample: Sample) -> Floats:
        """Mean of the person's answers before each row."""
        return sample.history.plain


@dataclass(frozen=True)
class LastValue:
    """The last answer."""

    name: str = "last"

    def fit(self, samples: Sequence[Sample]) -> Model:  # noqa: ARG002 - nothing is shared
        """Nothing to learn."""
        return self

    def predict(self, sample: Sample) -> Floats:
        """The answer before each row."""
        return sample.history.centre + sample.history.values[:, NAMES.index("last")]


@dataclass(frozen=True)
class Ewma:
    """A moving average that forgets; its rate is the one of `RATES` that did best on the rows learnt from."""

    name: str = "ewma"
    rate: float = 0.3
    search: Search = ()

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Choose the rate."""
        rows = max(sum(int(s.fit.sum()) for s in samples), 1)
        loss = {r: sum(_loss(s, Ewma(rate=r).predict(s)) for s in samples) / rows for r in RATES}
        best = min(loss, key=lambda r: loss[r])
        return Ewma(rate=best, search=tuple(({"rate": r}, v) for r, v in loss.items()))

    def predict(self, sample: Sample) -> Floats:
        """The average before each row."""
        return sample.history.centre + sample.history.values[:, NAMES.index(f"ewma_{self.rate:g}")]


def _loss(sample: Sample, forecast: Floats) -> float:
    """Squared error on the rows learnt from, in units of the study."""
    return float(np.sum((sample.panel.y - forecast)[sample.fit] ** 2)) / sample.unit**2


@dataclass(frozen=True)
class Autoregression:
    """AR(1) of each person on the last answer, drawn towards what people share.

    The slope of the deviation from the mean so far on the last deviation, refitted after every answer. `strength` is
    how much the shared slope counts, in answers of typical variance: 0 is a person's own AR(1), the value learnt by
    `fit` is empirical Bayes (prior variance by the moments of people's slopes, Efron & Morris 1975). The slope
    differs within the day and over a gap.
    """

    name: str = "eb_ar"
    strength: tuple[float, float] | None = None
    slopes: tuple[float, float] = (0.0, 0.0)

    def fit(self, samples: Sequence[Sample]) -> Model:
        """Shared slopes and their spread over people, within the day and over gaps."""
        if self.name == "ar1":
            return Autoregression(self.name, (0.5, 0.5), (0.0, 0.0))
        slopes, strengths = [], []
        for night in (False, True):
            slope, strength = _shared(samples, night=night)
            slopes.append(slope)
            strengths.append(strength)
        return Autoregression(self.name, (strengths[0], strengths[1]), (slopes[0], slopes[1]))

    def predict(self, sample: Sample) -> Floats:
        """Mean so far plus slope times the last deviation."""
        history, strength = sample.history, self.strength or (0.0, 0.0)
        last, night, answered = _lag(sample)
        slope = np.empty(len(last))
        y = np.nan_to_num(sample.panel.y - history.centre)
        for kind in (0, 1):
            mine = answered & (night == kind) & (history.seen > 0)
            if self.name == "ar1":
                mine = answered & (history.seen > 0)
            xx, xy = (_before(sample.panel.code, np.where(mine, v, 0.0)) for v in (last * last, last * y))
            weight = strength[kind] * sample.unit**2
            estimate = (xy + weight * self.slopes[kind]) / np.maximum(xx + weight, 1e-12)
            slope = np.where(night == kind, estimate, slope)
        return history.centre + np.clip(slope, -1, 1) * last


def _lag(sample: Sample) -> tuple[Floats, Mask, Mask]:
    """Last deviation, whether a gap lies between, and which rows are answered."""
    last = sample.history.values[:, NAMES.index("last")]
    linked = sample.history.values[:, NAMES.index("last_linked")]
    return last, (linked != last), np.isfinite(sample.panel.y)


def _before(code: np.ndarray, values: Floats) -> Floats:
    """Sum of a person's values before each row."""
    total = np.cumsum(values) - values
    first = np.concatenate(([True], code[1:] != code[:-1]))
    start = np.maximum.accumulate(np.where(first, np.arange(len(code)), 0))
    return total - total[start]


def _shared(samples: Sequence[Sample], *, night: bool) -> tuple[float, float]:
    """Mean slope over people and the prior's weight in answers: error variance over the slopes' own variance."""
    xx: list[Floats] = []
    xy: list[Floats] = []
    yy: list[Floats] = []
    n: list[Floats] = []
    for sample in samples:
        last, gap, _ = _lag(sample)
        rows = sample.fit & (gap == night) & (sample.history.seen > 0)
        code, people = sample.panel.code[rows], len(sample.panel.persons)
        x, y = last[rows] / sample.unit, (sample.panel.y - sample.history.centre)[rows] / sample.unit
        for total, value in ((xx, x * x), (xy, x * y), (yy, y * y), (n, np.ones(len(x)))):
            total.append(np.bincount(code, weights=value, minlength=people).astype(float))
    a, b, c, m = (np.concatenate(v) for v in (xx, xy, yy, n))
    if a.sum() <= 0:
        return 0.0, 10.0
    shared = float(b.sum() / a.sum())
    noise = float((c - 2 * shared * b + shared**2 * a).sum() / max(m.sum() - 1, 1))
    own = (m >= 10) & (a > 0)
    if own.sum() < 5:
        return shared, 20.0
    spread = np.sum(a[own] * (b[own] / a[own] - shared) ** 2) - noise * own.sum()
    between = max(float(spread / a[own].sum()), 1e-4)
    return shared, float(np.clip(noise / between, 1.0, 1e4))
