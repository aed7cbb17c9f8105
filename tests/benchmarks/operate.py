"""`make bench-operate`: a full cycle for 100, 1,000 and 10,000 people; Dask with one and two workers.

One local stack (Prefect on SQLite, embedded ClearML, local Telegram and Sheets) that grows. Its first cycle, of 100
people, trains the model (`first_cycle_s_100`); training for more people is the analysis benchmark's. Then, for every
size, people are enrolled and given 30 answers each straight through the store, not by taps, and a cycle runs in a
process of its own: it writes what the Sheet lacks, reads all of it, analyses, forecasts and decides about everybody.
`MOODFLOW_BENCH_PEOPLE=100,1000` limits it. Sizes are run once: a run is long.
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
    with tempfile.TemporaryDirectory() as folder:
        settings = Settings(home=Path(folder) / "home", _env_file=None)
        fill(settings, 0, sizes[0])
        with running(settings, Ports(), strict_ports=False) as stack:
            environment = stack.full_environment | {"MOODFLOW_SHEETS_PER_MINUTE": "100000"}
            figures[f"first_cycle_s_{sizes[0]}"] = one_cycle(environment, sizes[0])["wall"]
            for before, people in pairwise([0, *sizes]):
                if before:
                    fill(settings, before, people)
                else:
                    answer_again(settings)
                got = one_cycle(environment, people)
                print(people, got, flush=True)
                figures[f"cycle_s_{people}"] = got.pop("wall")
                figures |= {f"{name}_{people}": value for name, value in got.items()}
    for small, large in pairwise(sizes):
        ratio = float(figures[f"cycle_s_{large}"]) / float(figures[f"cycle_s_{small}"])
        figures[f"growth_{small}_{large}"] = float(np.log(ratio) / np.log(large / small))
    figures |= dask()
    write("operate", figures)


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
    now = datetime.now(UTC).replace(microsecond=0)
    with Store.open(settings.database) as store, store.transaction():
        survey = store.surveys.open(settings.survey, now)
        for one in store.people.list():
            name = f"{one.person}-{ANSWERS}"
            answers = dict.fromkeys(survey.item_ids, 4)
            store.responses.add(
                Response(f"{name}-1", name, one.person, survey.name, survey.version, 1, "complete", ANSWERS // 4 + 1, 3,
                         now, now, now, now, "Europe/Amsterdam", answers)
            )  # fmt: skip


def fill(settings: Settings, before: int, people: int) -> None:
    """Enrol people up to that number and give each their answers, four a day up to now; seeded."""
    rng = np.random.default_rng(before)
    now = datetime.now(UTC).replace(minute=0, second=0, microsecond=0)
    with Store.open(settings.database) as store, store.transaction():
        survey = store.surveys.open(settings.survey, now)
        for number in range(before, people):
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
