"""A median that settles on answers: people answer in steps, and the median of what comes in steps is one of them.

A forecast between two answers a person can give is wrong by absolute error whichever comes; so it moves to an answer
the person has given before, the nearer and the more frequent the better, if one is near enough.
"""

from __future__ import annotations

import numpy as np

from flows.analyse.panel import Floats, Ints, run_starts

NEAR = 0.5
"""Distance, in a person's spreads, up to which a forecast moves."""

PULL = 0.6
"""Spreads by which an answer the person always gives seems nearer than one never given."""

KEPT = 48
"""Different answers of a person that are remembered; beyond, the least frequent of them makes room."""

DIGITS = 6


def settle(code: Ints, y: Floats, forecast: Floats, spread: Floats) -> Floats:
    """Move each forecast to an answer its person gave before that row.

    Parameters
    ----------
    code, y
        Person and answer (nan where there is none) of each row, shape (n,), rows in order.
    forecast, spread
        Median forecast and the person's spread so far, shape (n,).
    """
    starts = run_starts(code)
    size = np.diff(starts, append=len(code))
    longest = np.argsort(-size, kind="stable")
    active = len(longest)
    values, counts = np.full((active, KEPT), np.inf), np.zeros((active, KEPT))
    out = forecast.copy()
    for step in range(int(size.max(initial=0))):
        while active and size[longest[active - 1]] <= step:
            active -= 1
        who = longest[:active]
        rows = starts[who] + step
        out[rows] = _moved(forecast[rows], spread[rows], values[who], counts[who])
        there = np.isfinite(y[rows])
        _remember(values, counts, who[there], np.round(y[rows][there], DIGITS))
    return out


def _moved(forecast: Floats, spread: Floats, values: Floats, counts: Floats) -> Floats:
    """Forecasts of one row per person, given their answers so far."""
    total = np.maximum(counts.sum(axis=1, keepdims=True), 1)
    away = np.abs(values - forecast[:, None])
    best = np.argmin(away - PULL * spread[:, None] * counts / total, axis=1)[:, None]
    found, distance = (np.take_along_axis(v, best, axis=1)[:, 0] for v in (values, away))
    moved: Floats = np.where(distance <= NEAR * spread, found, forecast)
    return moved


def _remember(values: Floats, counts: Floats, who: Ints, y: Floats) -> None:
    """Count the answers of these people, one each."""
    known = values[who] == y[:, None]
    place = np.where(known.any(axis=1), known.argmax(axis=1), counts[who].argmin(axis=1))
    fresh = values[who, place] != y
    counts[who, place] = np.where(fresh, 0, counts[who, place]) + 1
    values[who, place] = y
