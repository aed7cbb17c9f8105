"""A version of the registry run again: on the test answers of a backtest, and on what came in since it was fitted."""

from __future__ import annotations

import numpy as np

from flows.analyse.panel import Floats, Mask, Panel
from flows.forecast.model import MIN_ANSWERS, MoodModel
from flows.forecast.outcome import Outcome
from flows.forecast.split import eligible, split


def replayed(model: MoodModel, panel: Panel) -> Floats:
    """Mean forecasts of the test answers of a backtest of `panel`, in its order.

    The champion may have been fitted on some of these answers. That favours it: a challenger that wins all the same
    has won.
    """
    panel = eligible(panel)
    parts = split(panel)
    sample = model.ensemble.sample(panel)
    found = model.ensemble.predict(sample, learn=parts.held | parts.test)
    forecasts: Floats = found.methods[model.ensemble.chosen["mean"]][parts.test]
    return forecasts


def turned_out(model: MoodModel, panel: Panel, new: Mask) -> tuple[Outcome, ...]:
    """What became of the forecasts of the answers that came in since the model was fitted.

    They are made again, each from what came before its answer: the same numbers the product forecast, and nothing
    about a person has to be kept for it.

    Parameters
    ----------
    panel
        All beeps so far, in order.
    new
        Rows the model has not seen, shape (n,).
    """
    there = np.isfinite(panel.y)
    sample = model.ensemble.sample(panel)
    found = model.ensemble.predict(sample, learn=there)
    rows = np.flatnonzero(new & there & (sample.history.seen >= MIN_ANSWERS))
    error = np.abs(panel.y - found.methods[model.ensemble.chosen["median"]])
    inside = (panel.y >= found.low - 1e-9) & (panel.y <= found.high + 1e-9)
    return tuple(Outcome(str(panel.persons[panel.code[r]]), float(error[r]), bool(inside[r])) for r in rows)
