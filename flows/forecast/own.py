"""What the shared models cannot know: how one person's next answer hangs on that person's own past and items.

The combination's error is regressed, person by person and answer by answer, on the columns below. Weights begin at
zero with a narrow prior, so that a person of fifty answers is hardly moved and one of a thousand has a model of their
own, of items that no other study asked, too.
"""

from __future__ import annotations

import numpy as np

from flows.analyse.panel import Floats, Mask
from flows.forecast.candidates import Sample
from flows.forecast.stack import regress

PRIOR, PRIOR_ACROSS = 0.02, 0.03
"""Standard deviation of a weight before the first answer, for columns and errors of size 1: in the study the shared
models were fitted to, and in another, of which they know less."""

FAR = 3.0
"""Columns are cut here: what is far out says no more."""


def columns(sample: Sample, mean: Floats) -> Floats:
    """Columns of the correction, each of size about 1, shape (n, f)."""
    h = sample.history
    spread = h.spread[:, None]
    parts = [h.values / spread, (mean - h.centre)[:, None] / spread, h.context, h.own]
    return np.clip(np.hstack(parts), -FAR, FAR)


def correction(sample: Sample, mean: Floats, learn: Mask, prior: float) -> Floats:
    """What every person's own past adds to the combination, shape (n,).

    Parameters
    ----------
    mean
        Combined forecast of every row, shape (n,).
    learn
        Rows whose answer may move the person's weights for rows after it.
    prior
        Standard deviation of a weight before the first answer.
    """
    x = columns(sample, mean)
    spread, known = sample.history.spread, learn & np.isfinite(sample.panel.y)
    error = np.where(known, (sample.panel.y - mean) / spread, 0.0)
    nothing, narrow = np.zeros(x.shape[1]), prior**2 * np.eye(x.shape[1])
    added: Floats = spread * regress(sample.panel.code, x, error, known, nothing, narrow)
    return added
