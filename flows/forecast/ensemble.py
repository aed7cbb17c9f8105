"""The product's forecaster: all candidates, their combination, a median and an interval, fitted together.

Everything that is learnt from forecasts (weights, corrections) is learnt from forecasts made out of sample: the
candidates are fitted on the earlier part of the rows that may be learnt from and forecast the later part.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from flows.analyse.panel import Floats, Ints, Mask, Panel
from flows.analyse.spread import Spread, in_turn
from flows.forecast.candidates import Candidate, Model, Sample
from flows.forecast.catalogue import ACROSS, COMBINED, candidates, tails
from flows.forecast.history import Prior, history, prior_of
from flows.forecast.intervals import Conformal, fit_conformal
from flows.forecast.mixed import FittedMixed
from flows.forecast.own import PRIOR, PRIOR_ACROSS, correction
from flows.forecast.settle import settle
from flows.forecast.split import Split
from flows.forecast.stack import EQUAL, EQUAL_ACROSS, Stack, fit_stack
from flows.forecast.statespace import FittedStateSpace

PLENTY = 150
"""Rows of the inner fit below which no trees are grown."""

BLENDS = (0.0, 0.25, 0.5, 0.75, 1.0)
"""Shares of the mean forecast in the median one."""

MOST_INNER = 150_000
"""Rows of a study that weights and corrections are learnt on: those of a systematic sample of people, beyond it."""

Personal = (FittedMixed, FittedStateSpace)

BLENDED = (0.25, 0.5)
"""Least and largest share of the mean forecast in the median one: some steadies it, more makes it a mean again."""

LEAST_HELD = 50
"""Rows forecast out of sample below which nothing is chosen by them."""


@dataclass(frozen=True, eq=False)
class Predictions:
    """Forecasts of every row of a panel.

    Attributes
    ----------
    methods
        By candidate, and "stack" and "median_stack", shape (n,) each.
    low, high
        Ends of the interval.
    """

    methods: Mapping[str, Floats]
    low: Floats
    high: Floats


@dataclass(frozen=True, eq=False)
class Ensemble:
    """Everything fitted.

    Attributes
    ----------
    models, tails
        Fitted candidates by name; lower and upper quantile.
    combined, stack
        What the combination is made of, and its weights.
    own
        How far a person's own correction may go (see `flows.forecast.own`).
    blend
        Share of the combination in the median forecast, the rest being `median_boosting`.
    conformal
        Correction of the interval.
    chosen
        Name of the method for the "mean" and for the "median".
    shares
        Prior of a typical person as shares of the scale's width: mean, sd.
    items
        Items the candidates read, none where they read none.
    seconds
        Time each candidate took to fit.
    """

    models: Mapping[str, Model]
    tails: tuple[Model, Model]
    combined: tuple[str, ...]
    stack: Stack
    own: float
    blend: float
    conformal: Conformal
    chosen: Mapping[str, str]
    shares: tuple[float, float]
    items: tuple[str, ...]
    seconds: Mapping[str, float] = field(default_factory=dict)

    def anonymous(self) -> Ensemble:
        """The same without what some candidates keep of the people they were fitted to."""
        models = {n: m.anonymous() if isinstance(m, Personal) else m for n, m in self.models.items()}
        return replace(self, models=models)

    def prior(self, scale: tuple[float, float]) -> Prior:
        """What is believed of a new person on a scale."""
        lo, hi = scale
        return Prior(lo + self.shares[0] * (hi - lo), self.shares[1] * (hi - lo))

    def sample(self, panel: Panel) -> Sample:
        """A panel with its features; nothing of it is learnt from but each person's own past."""
        prior = self.prior(panel.scale)
        known = history(panel, prior)
        columns = {name: known.items[:, j] for j, name in enumerate(panel.names)}
        nothing = np.zeros(len(panel))
        items = [columns.get(name, nothing) for name in self.items]
        read = np.column_stack(items) if items else np.zeros((len(panel), 0))
        return Sample(panel, replace(known, items=read), prior, np.zeros(len(panel), dtype=bool))

    def predict(self, sample: Sample, *, learn: Mask, earlier: Mapping[str, Floats] | None = None) -> Predictions:
        """Forecast every row from what came before it.

        Parameters
        ----------
        sample
            From `sample`, or with a prior of its own.
        learn
            Rows whose answers may move a person's weights and interval.
        earlier
            Forecasts to show the online learners in place of these models' own, nan where there are none: on rows
            the models were fitted to they would look too good.
        """
        methods = {name: sample.forecast(model) for name, model in self.models.items()}
        tails = {"low": sample.forecast(self.tails[0]), "high": sample.forecast(self.tails[1])}
        return self.combine(sample, methods, tails, learn=learn, earlier=earlier or {})

    def combine(
        self,
        sample: Sample,
        methods: Mapping[str, Floats],
        tails: Mapping[str, Floats],
        *,
        learn: Mask,
        earlier: Mapping[str, Floats],
    ) -> Predictions:
        """Stack, median and interval from the candidates' forecasts."""

        def shown(name: str, own: Floats) -> Floats:
            other = earlier.get(name)
            return own if other is None else np.where(np.isfinite(other), other, own)

        panel, centre = sample.panel, sample.history.centre
        lo, hi = panel.scale
        columns = np.column_stack([shown(n, methods[n]) for n in self.combined])
        shared = self.stack.predict(panel.code, panel.y, columns, centre, sample.unit, learn)
        own = correction(sample, shared, learn, self.own)
        mean = shared + own
        every = dict(methods) | {"stack": np.clip(mean, lo, hi)}
        trees = shown("median_boosting", methods["median_boosting"]) if "median_boosting" in methods else mean
        median = self.blend * mean + (1 - self.blend) * trees
        settled = settle(panel.code, panel.y, np.clip(median, lo, hi), sample.history.spread)
        every["median_stack"] = np.clip(settled, lo, hi)
        low, high = self.conformal.apply(
            panel.code, panel.y, shown("low", tails["low"]) + own, shown("high", tails["high"]) + own,
            sample.history.spread, panel.scale, learn,
        )  # fmt: skip
        return Predictions(every, low, high)


@dataclass(frozen=True, eq=False)
class Fit:
    """An ensemble with the forecasts it was made from: `earlier` are out of sample on the rows of `held`."""

    ensemble: Ensemble
    samples: tuple[Sample, ...]
    earlier: tuple[Mapping[str, Floats], ...]


def fit(panels: Sequence[Panel], splits: Sequence[Split], spread: Spread = in_turn) -> Fit:
    """Fit candidates, combination and interval on the rows of `train`.

    Parameters
    ----------
    panels
        One per study. Items are read where all studies have the same.
    splits
        Which of their rows may be learnt from.
    spread
        Where candidates are fitted: one after another here, or on workers (see `flows.clients.workers`).
    """
    items = panels[0].names if all(p.names == panels[0].names for p in panels) and panels[0].names else ()
    plenty = sum(int(s.inner.sum()) for s in splits) >= PLENTY
    pool, ends = candidates(items=bool(items), plenty=plenty), tails(items=bool(items), plenty=plenty)
    some = [_some_people(p) for p in panels]
    inner = [_sample(p.take(k), s.inner[k]) for p, s, k in zip(panels, splits, some, strict=True)]
    outer = [_sample(p, s.train) for p, s in zip(panels, splits, strict=True)]
    early, _ = _models((*pool, *ends), inner, spread)
    earlier = [_forecasts(early, s) for s in inner]
    held = [s.held[k] for s, k in zip(splits, some, strict=True)]
    models, seconds = _models((*pool, *ends), outer, spread)
    combined = tuple(n for n in (COMBINED if len(panels) == 1 else ACROSS) if n in models)
    stack = _stack(combined, inner, earlier, held)
    conformal = _conformal(inner, earlier, held)
    shares = _shares(panels, outer)
    low, high = models.pop("low"), models.pop("high")
    draft = Ensemble(
        models,
        (low, high),
        combined,
        stack,
        PRIOR if len(panels) == 1 else PRIOR_ACROSS,
        0.0,
        conformal,
        {},
        shares,
        items,
        seconds,
    )
    ensemble = _choose(draft, inner, earlier, held)
    masked = tuple(
        {name: _placed(len(p), k[h], v[h]) for name, v in e.items()}
        for p, k, e, h in zip(panels, some, earlier, held, strict=True)
    )
    return Fit(ensemble, tuple(outer), masked)


def _some_people(panel: Panel) -> Ints:
    """Rows of everybody, or of every so many people where there are more rows than are needed."""
    people = len(panel.persons)
    keep = max(1, people * MOST_INNER // max(len(panel), 1))
    if keep >= people:
        return np.arange(len(panel))
    return np.flatnonzero(np.isin(panel.code, np.linspace(0, people - 1, keep).astype(np.int64)))


def _placed(n: int, rows: Ints, values: Floats) -> Floats:
    """Values on their rows, nan on all others."""
    out = np.full(n, np.nan)
    out[rows] = values
    return out


def _sample(panel: Panel, rows: Mask) -> Sample:
    prior = prior_of(panel.take(rows))
    return Sample(panel, history(panel, prior), prior, rows)


def _models(
    pool: Sequence[Candidate], samples: Sequence[Sample], spread: Spread
) -> tuple[dict[str, Model], dict[str, float]]:
    """Fitted candidates by name, and the seconds each took."""
    done = spread(_fitted, pool, tuple(samples))
    names = [c.name for c in pool]
    return (
        {n: model for n, (model, _) in zip(names, done, strict=True)},
        {n: seconds for n, (_, seconds) in zip(names, done, strict=True)},
    )


def _fitted(candidate: Candidate, samples: Sequence[Sample]) -> tuple[Model, float]:
    began = time.perf_counter()
    return Sample.fitted(candidate, samples), time.perf_counter() - began


def _forecasts(models: Mapping[str, Model], sample: Sample) -> dict[str, Floats]:
    return {name: sample.forecast(model) for name, model in models.items()}


def _stack(
    names: Sequence[str], samples: Sequence[Sample], forecasts: Sequence[Mapping[str, Floats]], held: Sequence[Mask]
) -> Stack:
    """Shared weights over all studies, each in its own unit.

    Of several studies each counts the same, and equal weights for more: what was best in one need not be in the next.
    """
    away, columns = [], []
    mean_rows = sum(int(rows.sum()) for rows in held) / len(held)
    for sample, forecast, rows in zip(samples, forecasts, held, strict=True):
        centre = sample.history.centre[rows]
        weight = np.sqrt(mean_rows / max(int(rows.sum()), 1)) / sample.unit
        away.append(weight * (sample.panel.y[rows] - centre))
        columns.append(weight * (np.column_stack([forecast[n][rows] for n in names]) - centre[:, None]))
    d = np.concatenate(away)
    nothing, every = np.zeros(len(d)), np.ones(len(d), dtype=bool)
    return fit_stack(d, np.concatenate(columns), nothing, 1.0, every, EQUAL if len(held) == 1 else EQUAL_ACROSS)


def _conformal(samples: Sequence[Sample], forecasts: Sequence[Mapping[str, Floats]], held: Sequence[Mask]) -> Conformal:
    parts = [
        (s.panel.y[h] / s.unit, f["low"][h] / s.unit, f["high"][h] / s.unit, s.history.spread[h] / s.unit)
        for s, f, h in zip(samples, forecasts, held, strict=True)
    ]
    y, low, high, spread = (np.concatenate(v) for v in zip(*parts, strict=True))
    return fit_conformal(y, low, high, spread, np.ones(len(y), dtype=bool))


def _shares(panels: Sequence[Panel], samples: Sequence[Sample]) -> tuple[float, float]:
    """Prior of a typical person as shares of the scale, over the studies."""
    place, width = [], []
    for panel, sample in zip(panels, samples, strict=True):
        lo, hi = panel.scale
        place.append((sample.prior.mean - lo) / (hi - lo))
        width.append(sample.prior.sd / (hi - lo))
    return float(np.mean(place)), float(np.mean(width))


def _choose(
    draft: Ensemble, samples: Sequence[Sample], earlier: Sequence[Mapping[str, Floats]], held: Sequence[Mask]
) -> Ensemble:
    """The blend of the median, and the methods to use, by the forecasts made out of sample."""
    if sum(int(h.sum()) for h in held) < LEAST_HELD or "median_boosting" not in draft.models:
        return replace(draft, chosen={"mean": "stack", "median": "median_stack"})
    combined = [
        draft.combine(s, f, f, learn=h, earlier={}) for s, f, h in zip(samples, earlier, held, strict=True)
    ]  # fmt: skip
    blends = {}
    for share in BLENDS:
        blends[share] = sum(
            float(np.abs(s.panel.y - share * c.methods["stack"] - (1 - share) * f["median_boosting"])[h].sum()) / s.unit
            for s, f, c, h in zip(samples, earlier, combined, held, strict=True)
        )
    blend = min(blends, key=lambda b: blends[b])
    return replace(draft, blend=float(np.clip(blend, *BLENDED)), chosen={"mean": "stack", "median": "median_stack"})
