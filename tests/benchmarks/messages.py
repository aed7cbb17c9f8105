"""Decisions and texts for 10,000 people; charts a second.

Both keys time exactly what a cycle does for each person: `draft_each` (decide, write, describe the chart) and `Painter.png`.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import timedelta

import numpy as np

from flows.analyse.report import ChangePoint
from flows.forecast import Forecast
from flows.notify.chart import Painter
from flows.notify.context import Told
from flows.notify.deliver import Draft, Outcome, draft_each
from flows.notify.policy import Policy
from tests.benchmarks.figures import spread, write
from tests.golden.people import START, Constructed, person

PEOPLE = 10_000
RUNS = 5
CHARTS = 60


def crowd(people: int) -> list[Constructed]:
    """People of two weeks and four beeps a day, each with answers, history, prompts and forecast of their own."""
    rng = np.random.default_rng(5)
    found = []
    for k in range(people):
        one = person(f"p{k}", 14)
        series = tuple((at, float(v)) for (at, _), v in zip(one.report.series, rng.uniform(1, 7, 56), strict=True))
        change = ChangePoint(START + timedelta(days=10), 3.0, 4.5, 40, 16, 0.01) if k % 20 == 0 else None
        told = [
            Told("summary", "before", one.context.now - timedelta(days=2)),
            Told("missed", "before", one.context.now - timedelta(days=3)),
        ]
        ahead = Forecast(f"p{k}", "na", one.context.now + timedelta(hours=2), 3.2, 3.1, 2.4, 4.0, "m", 1)
        found.append(
            Constructed(
                replace(one.report, series=series, change=change, n_prompts=60, compliance=0.93),
                replace(one.context, language="ru" if k % 2 else "en", told=told if k % 3 else (), forecast=ahead),
            )
        )
    return found


def decided(people: list[Constructed]) -> tuple[float, tuple[Outcome, ...]]:
    """Seconds to decide about and write for everybody, and what came of it."""
    policy = Policy()
    begun = time.perf_counter()
    outcomes = draft_each((one.report, one.context, policy) for one in people)
    return time.perf_counter() - begun, outcomes


def drawn(made: list[Draft]) -> float:
    """Charts a second, described and drawn anew, on one painter."""
    painter = Painter()
    fresh = [replace(d) for d in made]
    begun = time.perf_counter()
    for one in fresh:
        assert one.chart is not None
        painter.png(one.chart)
    return len(fresh) / (time.perf_counter() - begun)


def main() -> None:
    people = crowd(PEOPLE)
    runs = [decided(people) for _ in range(RUNS)]
    made = [d for outcome in runs[0][1] for d in outcome.drafts]
    charts = [d for d in made if d.chart][:CHARTS]
    figures = {
        "people": PEOPLE,
        "messages_of_10k": len(made),
        **spread("decide_10k_s", [seconds for seconds, _ in runs]),
        **spread("charts_per_s", [drawn(charts) for _ in range(RUNS)]),
    }
    write("messages", figures)


if __name__ == "__main__":
    main()
