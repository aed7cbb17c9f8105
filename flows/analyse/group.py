"""What holds of the group: a mixed model of the target (statsmodels), with people as random."""

from __future__ import annotations

import warnings

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
