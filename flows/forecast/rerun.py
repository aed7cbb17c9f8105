"""A version of the registry on the test answers of today's backtest, so that versions meet on the same folds."""

from __future__ import annotations

from flows.analyse.panel import Floats, Panel
from flows.forecast.model import MoodModel
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
