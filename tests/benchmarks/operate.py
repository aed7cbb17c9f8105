"""`make bench-operate`: a full cycle for 100, 1,000 and 10,000 people; Dask with one and two workers.

One local stack (Prefect on SQLite, embedded ClearML, local Telegram and Sheets) that grows. Its first cycle, of 100
people, trains the model (`first_cycle_s_100`); training for more people is the analysis benchmark's. Then, for every
size, people are enrolled and given 30 answers each straight through the store, not by taps, and a cycle runs in a
process of its own: it writes what the Sheet lacks, reads all of it, analyses, forecasts and decides about everybody.
`MOODFLOW_BENCH=short` runs it for 20 people; `MOODFLOW_BENCH_PEOPLE=100,1000` limits it; with `MOODFLOW_BENCH_HOME` the stack's state is kept there, and the next
size can be measured later, in a piece of its own. Sizes are run once: a run is long. It is noon for everybody, a day later
at each size: at night nobody would be told anything, and a cycle would seem to cost a third of what it does.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from datetime import timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np

from flows.clock import SharedClock
from flows.commands.stack import Ports, await_prefect, running
from flows.settings import Settings
from flows.store import Response, Store
from tests.benchmarks.figures import BUILD, SHORT, write

ANSWERS = 30
SIZES = (20,) if SHORT else (100, 1000, 10_000)
HERE = ZoneInfo("Europe/Amsterdam")


def main() -> None:
    """Measure every size, then the growth from one to the next."""
    sizes = [int(n) for n in os.environ.get("MOODFLOW_BENCH_PEOPLE", "").split(",") if n] or [*SIZES]
    kept = os.environ.get("MOODFLOW_BENCH_HOME")
    figures: dict[str, float | int | str] = {"answers_per_person": ANSWERS, "cores": os.cpu_count() or 0}
    if kept and (BUILD / "operate.json").exists():  # what earlier pieces measured
        figures |= json.loads((BUILD / "operate.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(kept or folder) / "home", _env_file=None)
        figures |= cycles(settings, sizes)
    known = [size for size in SIZES if f"cycle_s_{size}" in figures]
    for small, large in pairwise(known):
        ratio = float(figures[f"cycle_s_{large}"]) / float(figures[f"cycle_s_{small}"])
        figures[f"growth_{small}_{large}"] = float(np.log(ratio) / np.log(large / small))
    write("operate", figures | dask())


def cycles(settings: Settings, sizes: Sequence[int]) -> dict[str, float]:
    """One stack that grows to each size, and a cycle at each."""
    figures: dict[str, float] = {}
    there = enrolled(settings)
    if not there:
        next_noon(settings)
        fill(settings, 0, sizes[0])
    with running(settings, Ports(), strict_ports=False) as stack:
        await_prefect(stack)
        environment = stack.full_environment | {"MOODFLOW_SHEETS_PER_MINUTE": "100000"}
        if not there:
            figures[f"first_cycle_s_{sizes[0]}"] = one_cycle(environment, sizes[0])["wall"]
        for before, people in pairwise([there, *sizes]):
            next_noon(settings)
            if before in {0, people}:
                answer_again(settings)
            else:
                fill(settings, before, people)
            told = messages(settings)
            got = one_cycle(environment, people)
            got["messages"] = messages(settings) - told
            print(people, got, flush=True)
            figures[f"cycle_s_{people}"] = got.pop("wall")
            figures |= {f"{name}_{people}": value for name, value in got.items()}
    return figures


def next_noon(settings: Settings) -> None:
    """Noon of the day after the last cycle, or of today, where everybody lives."""
    clock = SharedClock(settings.home)
    day = clock.now().astimezone(HERE) + (timedelta(days=1) if clock.replayed() else timedelta(0))
    clock.set(day.replace(hour=12, minute=0, second=0, microsecond=0))


def messages(settings: Settings) -> int:
    """How many messages were decided so far."""
    with Store.open(settings.database) as store:
        return len(store.messages.all())


def enrolled(settings: Settings) -> int:
    """How many people an earlier piece of the measurement left."""
    if not settings.database.exists():
        return 0
    with Store.open(settings.database) as store:
        return len(store.people.list())


def one_cycle(environment: dict[str, str], people: int) -> dict[str, float]:
    """Run the cycle once."""
    command = [sys.executable, "-m", "tests.benchmarks.operate_cycle"]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(done.stderr[-3000:])
    lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
    got: dict[str, float] = json.loads(lines[-1])
    if got["persons"] != people:
        raise RuntimeError(f"{got['persons']} of {people} people were analysed")
    return got


def answer_again(settings: Settings) -> None:
    """One answer more of everybody, so that the next cycle of the same people has news."""
    now = SharedClock(settings.home).now()
    with Store.open(settings.database) as store, store.transaction():
        survey = store.surveys.open(settings.survey, now)
        for one in store.people.list():
            name = f"{one.person}-{now:%m%d}"
            answers = dict.fromkeys(survey.item_ids, 4)
            store.responses.add(
                Response(f"{name}-1", name, one.person, survey.name, survey.version, 1, "complete", ANSWERS // 4 + 1, 3,
                         now, now, now, now, "Europe/Amsterdam", answers)
            )  # fmt: skip


def fill(settings: Settings, before: int, people: int) -> None:
    """Enrol people up to that number and give each their answers, four a day up to now; seeded."""
    rng = np.random.default_rng(before)
    now = SharedClock(settings.home).now()
    with Store.open(settings.database) as store, store.transaction():
        survey = store.surveys.open(settings.survey, now)
        for number in range(before, people):
            person = store.people.enrol(
                number + 1, study=survey.name, language="en", timezone="Europe/Amsterdam", consent_version="bench", at=now,
                country="NL",
            ).person  # fmt: skip
            moods = dynamics(rng, len(survey.item_ids))
            for turn in range(ANSWERS):
                at = now - timedelta(hours=4 * (ANSWERS - turn))
                day, beep = turn // 4 + 1, turn % 4 + 1
                answers = dict(zip(survey.item_ids, map(int, moods[turn]), strict=True))
                name = f"{person}-{turn}"
                store.responses.add(
                    Response(f"{name}-1", name, person, survey.name, survey.version, 1, "complete", day, beep, at, at, at,
                             at + timedelta(minutes=3), "Europe/Amsterdam", answers)
                )  # fmt: skip


def dynamics(rng: np.random.Generator, items: int) -> np.ndarray:
    """Answers of one person, who has a level and an inertia of their own: people who do not differ are a corner of the
    group's model that takes its fit ten times as long and that no study is in.
    """
    level, inertia = rng.normal(4, 0.8, items), rng.normal(0.35, 0.1)
    moods = rng.normal(0, 1.2, (ANSWERS, items))
    for turn in range(1, ANSWERS):
        moods[turn] += inertia * moods[turn - 1]
    return (level + moods).round().clip(1, 7).astype(int)


def dask() -> dict[str, float]:
    """Wall time of a training (backtest of every candidate, then the fit) on 10,000 answers of 100 people here, and on one
    and on two Dask worker processes. Indices are no work for it: those of 1,000 people take a fifth of a second.
    """
    from distributed import Client, LocalCluster

    from flows.analyse.spread import Spread, in_turn
    from flows.clients.workers import workers
    from flows.forecast.backtest import backtest
    from flows.forecast.model import fit_model
    from tests.benchmarks.analysis import people

    panel = people(6 if SHORT else 100)

    def train(spread: Spread) -> None:
        backtest(panel, spread=spread)
        fit_model(panel, "bench", negative=True, spread=spread)

    found = {"dask_none_s": _timed(lambda: train(in_turn))}
    for count in (1, 2):
        with LocalCluster(
            n_workers=count, threads_per_worker=1, dashboard_address=None, host="127.0.0.1", scheduler_port=0
        ) as cluster:
            with Client(cluster) as client:
                client.run(_imported)
            with workers(cluster.scheduler_address) as spread:
                found[f"dask_{count}_s"] = _timed(lambda spread=spread: train(spread))
    return found


def _imported() -> None:
    import flows.forecast.backtest  # noqa: F401


def _timed(work: Callable[[], object]) -> float:
    begun = time.perf_counter()
    work()
    return time.perf_counter() - begun


if __name__ == "__main__":
    main()
