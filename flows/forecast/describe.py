"""What was chosen for a fitted candidate: its hyperparameters as numbers, for the record of its experiment."""

from __future__ import annotations

from flows.forecast.candidates import Autoregression, Ewma, Model
from flows.forecast.filter import FittedFilter
from flows.forecast.pooled import Linear, Trees
from flows.forecast.statespace import FittedStateSpace


def hyperparameters(model: Model) -> dict[str, float]:
    """Hyperparameters by name; none for a candidate without any."""
    match model:
        case Ewma():
            chosen = {"rate": model.rate}
        case Autoregression():
            chosen = {"slope_day": model.slopes[0], "slope_night": model.slopes[1]}
        case Linear():
            chosen = {"penalty": model.penalty, "columns": float(len(model.weights))}
        case Trees():
            chosen = {"trees": float(model.trees.n_iter_)}
        case FittedFilter():
            names = ("drift", "persistence", "night", "noise", "between")
            chosen = {n: float(getattr(model.params, n)[0]) for n in names}
        case FittedStateSpace():
            chosen = dict(zip(("level_variance", "variance", "persistence"), map(float, model.typical), strict=True))
        case _:
            chosen = {}
    return chosen
