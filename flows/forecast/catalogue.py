"""The candidates, by the names under which their results are reported."""

from __future__ import annotations

from flows.forecast.boosting import Boosting
from flows.forecast.candidates import Autoregression, Candidate, Ewma, LastValue, MeanSoFar
from flows.forecast.filter import NormalTail, SharedFilter
from flows.forecast.mixed import Mixed
from flows.forecast.pooled import RidgeLags
from flows.forecast.statespace import StateSpace

TAILS = (0.1, 0.9)
"""Quantiles at the ends of the interval before its correction."""

COMBINED = ("state_space", "ridge", "ridge_items", "filter_ridge", "boosting")
"""Candidates the online-weighted combination is made of: means, different in kind, each good by itself."""

ACROSS = ("state_space", "filter", "mixed", "boosting")
"""The same for a study that none of them was fitted to: lags weigh differently from study to study, so Ridge on them
comes in only as what the trees correct, and models of few parameters stand beside it."""


def base(*, items: bool) -> RidgeLags:
    """What trees correct: Ridge on the shared filter's errors."""
    return RidgeLags("filter_ridge", items, SharedFilter())


TAIL_ROUNDS = 50
"""Trees of a quantile; the online correction makes up for a wrong number of them."""


def candidates(*, items: bool, plenty: bool = True) -> tuple[Candidate, ...]:
    """All candidates; those that read items only where the studies share them, trees only with `plenty` of rows."""
    start = base(items=items)
    pool: list[Candidate] = [
        MeanSoFar(),
        LastValue(),
        Ewma(),
        Autoregression("ar1"),
        Autoregression(),
        Mixed(),
        StateSpace(),
        SharedFilter(),
        RidgeLags(),
    ]
    if items:
        pool.append(RidgeLags("ridge_items", items=True))
    pool.append(start)
    if plenty:
        pool += [Boosting(base=start), Boosting("median_boosting", "absolute_error", base=start)]
    return tuple(pool)


def tails(*, items: bool, plenty: bool = True) -> tuple[Candidate, Candidate]:
    """Lower and upper quantile: by trees, or a bell around the filter where there are too few rows for trees."""
    if not plenty:
        return NormalTail("low", TAILS[0]), NormalTail("high", TAILS[1])
    start = base(items=items)
    low, high = TAILS
    return Boosting("low", "quantile", low, start, TAIL_ROUNDS), Boosting("high", "quantile", high, start, TAIL_ROUNDS)
