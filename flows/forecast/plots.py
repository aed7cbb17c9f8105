"""The comparison of candidates as a picture: skill and error with their intervals, and how the interval covers."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from flows.forecast.backtest import Backtest
from flows.forecast.intervals import COVERAGE


def comparison(result: Backtest) -> Figure:
    """Skill and MAE of every method with their 95% intervals over people, and coverage person by person."""
    figure = Figure(figsize=(11, 5), layout="constrained")
    skill, mae, covered = figure.subplots(1, 3, width_ratios=[2, 2, 1.4])
    names = sorted(result.scores, key=lambda n: result.scores[n].skill)
    spreads = {n: result.spread(n) for n in names}
    for axes, what in ((skill, "skill"), (mae, "mae")):
        values = np.array([getattr(result.scores[n], what) for n in names])
        ends = [[spreads[n].get(f"{what}_{e}", v) for n, v in zip(names, values, strict=True)] for e in ("low", "high")]
        _bars(axes, names, values, np.array(ends), set(result.chosen.values()))
    skill.axvline(0, color="black", linewidth=0.8)
    skill.set_title("skill over the mean so far")
    mae.set_title("MAE")
    mae.set_yticklabels([])
    _coverage(covered, result)
    return figure


def _bars(axes: Axes, names: list[str], values: np.ndarray, ends: np.ndarray, chosen: set[str]) -> None:
    colours = ["tab:blue" if n in chosen else "lightsteelblue" for n in names]
    # resampling can put an end on the wrong side of the value where people are few
    reach = np.maximum(np.vstack([values - ends[0], ends[1] - values]), 0)
    axes.barh(range(len(names)), values, color=colours, xerr=reach, error_kw={"elinewidth": 1, "ecolor": "dimgrey"})
    axes.set_yticks(range(len(names)), names)


def _coverage(axes: Axes, result: Backtest) -> None:
    inside = (result.y >= result.forecasts["low"] - 1e-9) & (result.y <= result.forecasts["high"] + 1e-9)
    _, place = np.unique(result.code, return_inverse=True)
    share = np.sort(np.bincount(place, weights=inside) / np.bincount(place))
    axes.plot(share, np.linspace(0, 1, len(share) + 1)[1:], drawstyle="steps-post", color="tab:blue")
    axes.axvline(COVERAGE, color="black", linewidth=0.8)
    axes.set(xlim=(0, 1.02), ylim=(0, 1.02), title="80% interval", xlabel="share covered", ylabel="share of people")
