"""What was chosen for a fitted candidate, and what was tried on the way, as numbers for the record of experiments."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from flows.forecast.boosting import Trees
from flows.forecast.candidates import Autoregression, Ewma, Model
from flows.forecast.filter import FittedFilter
from flows.forecast.pooled import Linear
from flows.forecast.statespace import FittedStateSpace

MOST_TRIALS = 10
"""Trials of one candidate that are shown: every so many of a longer search, the chosen one always."""


@dataclass(frozen=True)
class Trial:
    """One point of a search: the hyperparameters tried, their loss on rows learnt from, and whether they won."""

    candidate: str
    hyperparameters: Mapping[str, float]
    loss: float
    chosen: bool

    @property
    def name(self) -> str:
        """To tell it from others of its candidate."""
        return ", ".join(f"{k} {v:g}" for k, v in self.hyperparameters.items())


def trials(candidate: str, model: Model) -> tuple[Trial, ...]:
    """What the search of a candidate tried, in order; nothing for a candidate without one."""
    if not isinstance(model, Ewma | Linear | Trees | FittedFilter) or not model.search:
        return ()
    losses = [loss for _, loss in model.search]
    best = losses.index(min(losses))
    step = -(-len(losses) // MOST_TRIALS)
    shown = sorted({*range(step - 1, len(losses), step), best})
    return tuple(Trial(candidate, model.search[k][0], losses[k], chosen=k == best) for k in shown)


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
