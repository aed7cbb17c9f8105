"""`make bench-analysis`: indices against a plain loop and against bare sums, memory, growth, training, refresh."""

from __future__ import annotations

import math
import resource
import subprocess
import sys
import time
from collections.abc import Callable

import numpy as np
import pandas as pd

from flows.analyse.indices import FIRST, acute_cut, indices, relative_sd, six
from flows.analyse.panel import Panel, linked
from tests.benchmarks.figures import spread, write

SCALE = (1.0, 7.0)
BEEPS, DAYS = 10, 10
NAMES = FIRST[3:9]


def people(count: int, seed: int = 0) -> Panel:
    """Synthetic answers: `count` people, ten days of ten beeps, each carrying over to the next, on a 1-7 scale."""
    rng = np.random.default_rng(seed)
    each = BEEPS * DAYS
    level = rng.uniform(1.5, 4.5, count)
    mood = np.empty((each, count), dtype=np.float32)
    state = rng.normal(0, 0.8, count)
    for t in range(each):
        state = 0.4 * state + rng.normal(0, 0.8, count)
        mood[t] = state
    y = np.clip(np.round((level + mood).T * 3) / 3, *SCALE).astype(float).reshape(-1)
    row = np.arange(count * each)
    return Panel(
        persons=np.array([f"p{k}" for k in range(count)], dtype=object), code=row // each, day=row // BEEPS,
        beep=row % BEEPS + 1, hour=np.full(len(row), np.nan), late=np.full(len(row), np.nan), y=y,
        items=np.zeros((len(row), 0)), names=(), scale=SCALE, target="na",
    )  # fmt: skip


def ours(p: Panel) -> dict[str, np.ndarray]:
    """The product's six indices."""
    return six(p.code, p.day, p.beep, p.y, p.scale, len(p.persons))


def loop(p: Panel) -> pd.DataFrame:
    """The same six by a plain loop over people in pandas."""
    frame = pd.DataFrame({"person": p.code, "day": p.day, "beep": p.beep, "na": p.y})
    cut = acute_cut((p.y[1:] - p.y[:-1])[linked(p.day, p.beep)])
    rows = []
    for _, mine in frame.groupby("person"):
        before = mine.groupby("day")[["beep", "na"]].shift(1)
        step = (mine["na"] - before["na"])[mine["beep"] - before["beep"] == 1]
        mean, sd, n = mine["na"].mean(), mine["na"].std(), mine["na"].count()
        most = relative_sd(np.array([1.0]), np.array([mean]), np.array([n]), SCALE)[0]
        mssd = (step**2).mean()
        rows.append((mean, sd, sd * most, mssd, math.sqrt(mssd), (step >= cut).mean()))
    return pd.DataFrame(rows, columns=list(NAMES))


def bare(p: Panel) -> list[np.ndarray]:
    """Nothing but the sums that six indices cannot do without."""
    starts = np.flatnonzero(np.diff(p.code, prepend=-1))
    link = (p.day[1:] == p.day[:-1]) & (p.beep[1:] - p.beep[:-1] == 1)
    step, who, count = (p.y[1:] - p.y[:-1])[link], p.code[1:][link], len(p.persons)
    return [
        np.add.reduceat(p.y, starts),
        np.add.reduceat(p.y * p.y, starts),
        np.bincount(who, minlength=count),
        np.bincount(who, weights=step * step, minlength=count),
        np.bincount(who, weights=step >= 1.0, minlength=count),
    ]


def seconds(work: Callable[[], object], times: int) -> list[float]:
    """Durations of `times` runs, after one to warm up."""
    work()
    out = []
    for _ in range(times):
        began = time.perf_counter()
        work()
        out.append(time.perf_counter() - began)
    return out


def peak_mb(count: int) -> float:
    """Peak memory of a fresh process that makes and analyses `count` people."""
    code = f"from tests.benchmarks.analysis import people, ours, rss; ours(people({count})); print(rss())"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return float(done.stdout)


def rss() -> float:
    """Peak memory of this process in MB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def growth(times: int) -> dict[str, float]:
    """Slope of log time on log people from 5,000 to 80,000; 1 is linear."""
    sizes = [5_000, 10_000, 20_000, 40_000, 80_000]
    best = []
    for size in sizes:
        p = people(size)
        best.append(min(seconds(lambda p=p: ours(p), times)))
    slope = float(np.polyfit(np.log(sizes), np.log(best), 1)[0])
    return {"slope": slope, "people_80k_s": best[-1]}


def training() -> float:
    """Seconds to fit the forecaster on a million answers of ten thousand people."""
    from flows.forecast.model import fit_model

    p = people(10_000)
    began = time.perf_counter()
    fit_model(p, "bench", negative=True)
    return time.perf_counter() - began


def refresh() -> list[float]:
    """Milliseconds to bring one person's whole row of indices up to date after an answer, hundred before it."""
    p = people(1)
    return [1000 * s for s in seconds(lambda: indices(p), 200)]


def main() -> None:
    """Run all and write the figures."""
    p = people(10_000)
    began = time.perf_counter()
    slow = loop(p)
    loop_s = time.perf_counter() - began
    quick = ours(p)
    for name in NAMES:
        np.testing.assert_allclose(quick[name], slow[name], rtol=1e-9, err_msg=name)
    own, floor = seconds(lambda: ours(p), 15), seconds(lambda: bare(p), 15)
    figures: dict[str, float | int | str] = {
        **spread("speedup_over_loop_10k", [loop_s / s for s in own]),
        **spread("over_numpy_floor_10k", [s / f for s, f in zip(own, floor, strict=True)]),
        **spread("indices_10k_s", own),
        **spread("numpy_floor_10k_s", floor),
        "loop_10k_s": loop_s,
        "rss_100k_mb": peak_mb(100_000),
        **growth(7),
        **spread("refresh_ms", refresh()),
        "train_1m_s": training(),
    }
    write("analysis", figures)


if __name__ == "__main__":
    main()
