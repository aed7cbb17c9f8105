"""`make bench-operate`: a full cycle for 100, 1,000 and 10,000 people; Dask with one and two workers.

Each cycle runs in a fresh process against a fresh local stack (Prefect on SQLite, embedded ClearML, local Telegram and
Sheets); each person has 30 answers, none of them in the Sheet yet, so a cycle writes, reads, analyses, trains, forecasts
and decides about all of them. `MOODFLOW_BENCH_PEOPLE=100,1000` limits it. Sizes are run once: a run is long.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import numpy as np

from flows.commands.stack import Ports, running
from flows.settings import Settings
from flows.store import Response, Store
from tests.benchmarks.figures import write

ANSWERS = 30
SIZES = (100, 1000, 10_000)


def main() -> None:
    """Measure every size, then the growth from one to the next."""
    sizes = [int(n) for n in os.environ.get("MOODFLOW_BENCH_PEOPLE", "").split(",") if n] or [*SIZES]
    figures: dict[str, float | int | str] = {"answers_per_person": ANSWERS, "cores": os.cpu_count() or 0}
    for people in sizes:
        got = one_cycle(people)
        figures[f"cycle_s_{people}"] = got.pop("wall")
        figures |= {f"{name}_{people}": value for name, value in got.items()}
    for small, large in pairwise(sizes):
        ratio = float(figures[f"cycle_s_{large}"]) / float(figures[f"cycle_s_{small}"])
        figures[f"growth_{small}_{large}"] = float(np.log(ratio) / np.log(large / small))
    figures |= dask()
    write("operate", figures)


def one_cycle(people: int) -> dict[str, float]:
    """Fill a store, start a stack around it, run the cycle once."""
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", _env_file=None)
        fill(settings, people)
        with running(settings, Ports(), strict_ports=False) as stack:
            environment = stack.full_environment | {"MOODFLOW_SHEETS_PER_MINUTE": "100000"}
            command = [sys.executable, "-m", "tests.benchmarks.operate_cycle"]
            done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
            if done.returncode:
                raise RuntimeError(done.stderr[-3000:])
            lines = [line for line in done.stdout.splitlines() if line.startswith("{")]
            got: dict[str, float] = json.loads(lines[-1])
        if got["persons"] != people:
            raise RuntimeError(f"{got['persons']} of {people} people were analysed")
        return got


def fill(settings: Settings, people: int) -> None:
    """Enrol people and give each their answers, four a day up to now; seeded."""
    rng = np.random.default_rng(1)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Store.open(settings.database) as store, store.transaction():
        survey = store.surveys.open(settings.survey, now)
        for number in range(people):
            person = store.people.enrol(
                number + 1, study=survey.name, language="en", timezone="Europe/Amsterdam", consent_version="bench", at=now,
                country="NL",
            ).person  # fmt: skip
            moods = rng.normal(4, 1.2, (ANSWERS, len(survey.item_ids))).round().clip(1, 7).astype(int)
            for turn in range(ANSWERS):
                at = now - timedelta(hours=4 * (ANSWERS - turn))
                day, beep = turn // 4 + 1, turn % 4 + 1
                answers = dict(zip(survey.item_ids, map(int, moods[turn]), strict=True))
                name = f"{person}-{turn}"
                store.responses.add(
                    Response(f"{name}-1", name, person, survey.name, survey.version, 1, "complete", day, beep, at, at, at,
                             at + timedelta(minutes=3), "Europe/Amsterdam", answers)
                )  # fmt: skip


def _many_means(seed: int) -> float:
    """One person's worth of work for Dask: a bootstrap of an inertia."""
    rng = np.random.default_rng(seed)
    values = rng.normal(size=60)
    picks = rng.integers(0, 59, (2000, 59))
    left, right = values[:-1][picks], values[1:][picks]
    return float(np.mean([np.corrcoef(a, b)[0, 1] for a, b in zip(left, right, strict=True)]))


def dask() -> dict[str, float]:
    """Wall time of 200 people's bootstraps on one and on two Dask worker processes."""
    from distributed import Client, LocalCluster

    found = {}
    for workers in (1, 2):
        with (
            LocalCluster(n_workers=workers, threads_per_worker=1, dashboard_address=None, host="127.0.0.1") as cluster,
            Client(cluster) as client,
        ):
            client.gather(client.map(_many_means, range(workers), pure=False))
            begun = time.perf_counter()
            client.gather(client.map(_many_means, range(200), pure=False))
            found[f"dask_{workers}_s"] = time.perf_counter() - begun
    return found


if __name__ == "__main__":
    main()
