"""The candidates, by the names under which their results are reported."""

from __future__ import annotations

from flows.forecast.candidates import Autoregression, Candidate, Ewma, LastValue, MeanSoFar
from flows.forecast.filter import SharedFilter
from flows.forecast.mixed import Mixed
from flows.forecast.pooled import Boosting, RidgeLags
from flows.forecast.statespace import StateSpace

COMBINED = ("state_space", "ridge", "ridge_items", "filter_ridge", "boosting", "median_boosting")
"""Candidates the online-weighted combination is made of: different in kind, each good by itself."""


def base(*, items: bool) -> RidgeLags:
    """What trees correct: Ridge on the shared filter's errors."""
    return RidgeLags("filter_ridge", items, SharedFilter())


def candidates(*, items: bool) -> tuple[Candidate, ...]:
    """All candidates; those that read items only where the studies share them."""
    start = base(items=items)
    plain: list[Candidate] = [
        MeanSoFar(),
        LastValue(),
        Ewma(),
        Autoregression("ar1"),
        Autoregression(),
        Mixed(),
        StateSpace(),
        SharedFilter(),
        RidgeLags(),
        start,
        Boosting(base=start),
        Boosting("median_boosting", "absolute_error", base=start),
    ]
    if items:
        plain.insert(9, RidgeLags("ridge_items", items=True))
    return tuple(plain)
