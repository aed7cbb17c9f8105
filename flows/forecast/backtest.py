"""Rolling-origin backtest: every test answer is forecast from what came before it, by models that never saw it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from flows.analyse.errors import AnalysisError
from flows.analyse.panel import Floats, Ints, Panel
from flows.analyse.spread import Spread, in_turn
from flows.forecast.candidates import Sample
from flows.forecast.ensemble import Ensemble, Predictions, fit
from flows.forecast.intervals import constant_width
from flows.forecast.score import IntervalScore, Score, over_people, score, score_intervals
from flows.forecast.split import MIN_ANSWERS, Split, eligible, split


class TooFewAnswers(AnalysisError):
    """Nobody has answered enough for a backtest."""


@dataclass(frozen=True, eq=False)
class Backtest:
    """What a backtest found.

    Attributes
    ----------
    persons, test_n
        People with thirty answers or more; their test answers.
    scores
        By method.
    intervals
        Of the interval.
    chosen
        Method for "mean" and for "median", chosen without the test answers.
    code, y, reference, forecasts
        Person, answer, mean so far and forecasts of every test answer, for comparisons on the same folds.
    ensemble
        What was fitted.
    """

    persons: int
    test_n: int
    scores: Mapping[str, Score]
    intervals: IntervalScore
    chosen: Mapping[str, str]
    code: Ints
    y: Floats
    reference: Floats
    forecasts: Mapping[str, Floats]
    ensemble: Ensemble

    def spread(self, method: str) -> dict[str, float]:
        """95% intervals of a method's MAE and skill over people (see `flows.forecast.score.over_people`)."""
        return over_people(self.code, self.y, self.forecasts[method], self.reference)

    def as_dict(self) -> dict[str, object]:
        """For JSON, with the names other programs read."""
        return {
            "persons": self.persons,
            "test_n": self.test_n,
            "methods": {name: s.as_dict() for name, s in self.scores.items()},
            "chosen": dict(self.chosen),
            "intervals": self.intervals.as_dict(),
        }


def backtest(panel: Panel, train: Sequence[Panel] = (), spread: Spread = in_turn) -> Backtest:
    """Backtest all candidates on one study.

    Parameters
    ----------
    panel
        The study; people with fewer than thirty answers are left out.
    train
        Other studies to fit the pooled models on, whole; without any they are fitted on the first 70% of each
        person's answers in `panel`.
    spread
        Where candidates are fitted (see `flows.forecast.ensemble.fit`).

    Raises
    ------
    TooFewAnswers
        Nobody has thirty answers.
    """
    panel = eligible(panel)
    if not len(panel.persons):
        raise TooFewAnswers(f"nobody has {MIN_ANSWERS} answers of {panel.target!r}: a backtest needs a longer study")
    parts = split(panel)
    if train:
        others = [eligible(p, 10) for p in train]
        done = fit([_itemless(p) for p in others], [_whole(p) for p in others], spread)
        sample = done.ensemble.sample(panel)
        learn, earlier = np.isfinite(panel.y), {}
    else:
        done = fit([panel], [parts], spread)
        sample, earlier = done.samples[0], dict(done.earlier[0])
        learn = parts.held | parts.test
    predictions, seconds = _timed(done.ensemble, sample, learn=learn, earlier=earlier)
    return _report(panel, parts, sample, predictions, done.ensemble, seconds)


def _itemless(panel: Panel) -> Panel:
    """Without items: other studies ask other things."""
    return Panel(
        panel.persons, panel.code, panel.day, panel.beep, panel.hour, panel.late, panel.y,
        np.zeros((len(panel), 0)), (), panel.scale, panel.target,
    )  # fmt: skip


def _whole(panel: Panel) -> Split:
    """All answers to learn from, the first two thirds of them by the inner fit."""
    parts = split(panel, 1.0)
    return Split(parts.train, parts.inner, np.zeros(len(panel), dtype=bool))


def _timed(
    ensemble: Ensemble, sample: Sample, *, learn: np.ndarray, earlier: Mapping[str, Floats]
) -> tuple[Predictions, dict[str, float]]:
    """Forecasts, and the seconds each method took to fit and forecast."""
    methods, seconds = {}, dict(ensemble.seconds)
    for name, model in ensemble.models.items():
        began = time.perf_counter()
        methods[name] = sample.forecast(model)
        seconds[name] = seconds.get(name, 0.0) + time.perf_counter() - began
    began = time.perf_counter()
    tails = {"low": sample.forecast(ensemble.tails[0]), "high": sample.forecast(ensemble.tails[1])}
    predictions = ensemble.combine(sample, methods, tails, learn=learn, earlier=earlier)
    spent = time.perf_counter() - began
    return predictions, seconds | {
        "stack": sum(seconds.values()) + spent,
        "median_stack": sum(seconds.values()) + spent,
    }


def _report(
    panel: Panel, parts: Split, sample: Sample, predictions: Predictions, ensemble: Ensemble, seconds: dict[str, float]
) -> Backtest:
    rows = parts.test
    y, reference = panel.y[rows], sample.history.plain[rows]
    forecasts = {name: values[rows] for name, values in predictions.methods.items()}
    scores = {name: score(y, values, reference, seconds.get(name, 0.0)) for name, values in forecasts.items()}
    centre = forecasts[ensemble.chosen["mean"]]
    intervals = score_intervals(
        panel.code[rows], y, predictions.low[rows], predictions.high[rows], constant_width(y, centre, panel.scale)
    )
    return Backtest(
        persons=len(panel.persons),
        test_n=int(rows.sum()),
        scores=scores,
        intervals=intervals,
        chosen=ensemble.chosen,
        code=panel.code[rows],
        y=y,
        reference=reference,
        forecasts=forecasts | {"low": predictions.low[rows], "high": predictions.high[rows]},
        ensemble=ensemble,
    )
