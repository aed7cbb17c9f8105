"""`python -m tests.benchmarks.forecast_design STUDY.csv ...`: how a design of the forecasts does on training rows only.

Designs (what is combined, how strongly weights hold, how intervals are corrected) are to be chosen by this and never by
the backtest itself: the last 30% of each person's answers, which the backtest judges by, are cut off first. What is left
is backtested twice, as it is and without its last quarter: two rolling origins. People with thirty answers left count.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np

from flows.analyse.panel import Panel, panel
from flows.analyse.study import read_frame
from flows.forecast.backtest import Backtest, TooFewAnswers, backtest
from flows.forecast.split import TRAIN, rank

ORIGINS = (1.0, 0.75)


def first(beeps: Panel, share: float) -> Panel:
    """The beeps up to this share of each person's answers."""
    before, n = rank(beeps)
    return beeps.take(before < np.floor(share * n))


def row(result: Backtest) -> str:
    """Skill of the mean, gain of the median over the best of EWMA and Ridge, and the interval."""
    mean, median = (result.scores[result.chosen[k]] for k in ("mean", "median"))
    best = min(result.scores[n].mae for n in ("ewma", "ridge"))
    i = result.intervals
    return (
        f"skill {mean.skill:.4f} (Ridge {result.scores['ridge'].skill:.4f})  median {1 - median.mae / best:+.1%}  "
        f"coverage {i.coverage:.3f}  Winkler {i.winkler:.4g} (constant {i.best_constant_winkler:.4g})"
    )


def main() -> None:
    """Judge the present design on every study and origin."""
    for path in map(Path, sys.argv[1:]):
        with path.open("rb") as source:
            learnt = first(panel(read_frame(source, path.name)), TRAIN)
        for origin in ORIGINS:
            try:
                print(f"{path.name} up to {origin * TRAIN:.0%}: {row(backtest(first(learnt, origin)))}", flush=True)
            except TooFewAnswers as error:
                print(f"{path.name} up to {origin * TRAIN:.0%}: {error}", flush=True)


if __name__ == "__main__":
    main()
