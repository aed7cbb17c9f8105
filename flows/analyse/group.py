"""What holds of the group: a mixed model of the target (statsmodels), with people as random."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pandas as pd
from statsmodels.regression.mixed_linear_model import MixedLM
from statsmodels.tools.sm_exceptions import ConvergenceWarning

from flows.analyse.panel import Floats, Panel, linked

MIN_PEOPLE = 5
MIN_PAIRS = 100
MOST_PAIRS = 20_000
"""Pairs the model is fitted to; a systematic sample of people beyond."""


def group_effects(panel: Panel) -> pd.DataFrame | None:
    """Level, inertia and their spread over people.

    The model is b = level + inertia (a - person mean) with a random intercept and a random slope per person, over
    pairs (a, b) of the target.

    Returns
    -------
    DataFrame or None
        Columns effect, estimate, low, high (95%, Wald; nan for spreads), people, pairs. None with fewer than five
        people or a hundred pairs.
    """
    a, b, who = _pairs(panel.answered())
    if len(np.unique(who)) < MIN_PEOPLE or len(a) < MIN_PAIRS:
        return None
    design = np.column_stack([np.ones(len(a)), a])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # a variance of zero is an answer: people do not differ
        warnings.simplefilter("ignore", UserWarning)
        fitted = MixedLM(b, design, who, exog_re=design).fit(reml=True)
    limits = np.asarray(fitted.conf_int())
    spread = np.sqrt(np.maximum(np.diag(np.asarray(fitted.cov_re)), 0))
    rows = [
        ("level", fitted.fe_params[0], *limits[0]),
        ("inertia", fitted.fe_params[1], *limits[1]),
        ("spread of levels over people", spread[0], np.nan, np.nan),
        ("spread of inertia over people", spread[1], np.nan, np.nan),
        ("spread within people", float(np.sqrt(fitted.scale)), np.nan, np.nan),
    ]
    table = pd.DataFrame(rows, columns=["effect", "estimate", "low", "high"])
    return table.assign(people=len(np.unique(who)), pairs=len(a))


def by_day(panel: Panel) -> pd.DataFrame:
    """Level of the group on each day: the mean over people of each one's own mean of that day.

    Returns
    -------
    DataFrame
        Columns date, mean, low, high (95%, from the spread over people), people. A day that fewer than five people
        answered on is left out: its mean would say something about each of them.
    """
    part = panel.answered()
    part = part.take(np.isfinite(part.hour))
    rows = pd.DataFrame({"day": part.hour // 24, "person": part.code, "y": part.y})
    own = rows.groupby(["day", "person"])["y"].mean()
    found = own.groupby("day").agg(["mean", "sem", "count"])
    found = found[found["count"] >= MIN_PEOPLE]
    dates = [str(pd.Timestamp(day, unit="D").date()) for day in found.index]
    half = 1.96 * found["sem"]
    return pd.DataFrame(
        {"date": dates, "mean": found["mean"].to_numpy(), "low": (found["mean"] - half).to_numpy(),
         "high": (found["mean"] + half).to_numpy(), "people": found["count"].to_numpy()}
    )  # fmt: skip


def over_people(indices: pd.DataFrame) -> pd.DataFrame:
    """Describe each index over people: none that fewer than five have, and no extremes, which are one person's."""
    described = indices.describe().T.drop(columns=["min", "max"]).reset_index(names="index")
    return described[described["count"] >= MIN_PEOPLE]


def day_figure(days: pd.DataFrame, target: str, scale: tuple[float, float]) -> dict[str, Any]:
    """Draw `by_day` in plotly's form."""
    half = (days["high"] - days["mean"]).tolist()
    line = {
        "type": "scatter", "mode": "lines+markers", "name": "mean over people, 95% interval",
        "x": days["date"].tolist(), "y": days["mean"].tolist(), "error_y": {"type": "data", "array": half},
    }  # fmt: skip
    axis = {"title": {"text": f"{target}, scale {scale[0]:g} to {scale[1]:g}"}}
    return {"data": [line], "layout": {"title": {"text": "Level of the group by day"}, "yaxis": axis}}


def _pairs(part: Panel) -> tuple[Floats, Floats, np.ndarray]:
    """Pairs with the first value centred on the person's mean."""
    n = np.maximum(np.bincount(part.code, minlength=len(part.persons)), 1)
    mean = np.bincount(part.code, weights=part.y, minlength=len(n)) / n
    link = linked(part.day, part.beep)
    who = part.code[1:][link]
    a, b = (part.y - mean[part.code])[:-1][link], part.y[1:][link]
    if len(a) > MOST_PAIRS:
        people = np.unique(who)
        keep = np.isin(who, people[:: -(-len(a) // MOST_PAIRS)])
        a, b, who = a[keep], b[keep], who[keep]
    return a, b, who
