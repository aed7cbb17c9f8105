"""From what was seen to what is wrong: one rule per kind of trouble, each with the next step."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from flows.monitor.observation import COVERAGE, ERROR, ClearmlSeen, Observation, PrefectSeen, StoreSeen

_FORGOTTEN = 86400.0
"""After a day of silence a worker was taken away, and is no news."""
_DRAWN = re.compile(r"\w+ [0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
"""A name Prefect draws for a worker that is given none: the next start of the same service bears another."""
_FORECASTS = {
    ERROR: "forecasts since training miss by more than in the backtest",
    COVERAGE: "80% intervals since training do not hold 80% of answers",
}


@dataclass(frozen=True)
class Limits:
    """From where on something counts as trouble; seconds unless the name says otherwise."""

    late: float = 600
    worker_silent: float = 120
    bot_silent: float = 120
    monitor_silent: float = 1800
    sheet_lag: float = 1800
    outbox_age: float = 600
    inbox_waiting: float = 1000
    spool_age: float = 900
    disk_free_mb: float = 1024
    slot_open: float = 3600


@dataclass(frozen=True)
class Problem:
    """One thing that is wrong now.

    `key` names it for as long as it lasts: the same trouble seen again has the same key.
    """

    key: str
    what: str
    do: str


def problems(seen: Observation, limits: Limits = Limits()) -> tuple[Problem, ...]:
    """Everything that is wrong in what was seen, in a fixed order."""
    return tuple(_all(seen, limits))


def _all(seen: Observation, limits: Limits) -> Iterator[Problem]:
    if seen.prefect is None:
        yield Problem("prefect", "Prefect's API does not answer", "look at the server's log; `moodflow status`")
    else:
        yield from _prefect(seen.prefect, limits)
    if seen.store is None:
        yield Problem("store", "the private store cannot be read", "`moodflow doctor`; restore the last backup")
    else:
        yield from _store(seen.store, limits)
    if seen.clearml is not None:
        yield from _clearml(seen.clearml, limits)
    if seen.disk_free_mb < limits.disk_free_mb:
        yield Problem("disk", f"{seen.disk_free_mb:.0f} MB left on the disk", "make room; answers wait in Telegram")
    if seen.home_mode & 0o077:
        yield Problem(
            "permissions",
            f"the state directory is open to others (mode {seen.home_mode & 0o777:o})",
            "chmod 700 the state directory",
        )


def _prefect(seen: PrefectSeen, limits: Limits) -> Iterator[Problem]:
    for one in seen.deployments:
        if one.late_s > limits.late:
            yield Problem(f"late:{one.name}", f"{one.name} is {_ago(one.late_s)} late", "is a worker running?")
        if one.last_state in {"FAILED", "CRASHED"}:
            yield Problem(
                f"failing:{one.name}",
                f"the last run of {one.name} ended {one.last_state.lower()} ({one.last_run})",
                "its log is in the Prefect UI",
            )
    if seen.worker_silent_s is None:
        yield Problem("worker", "no worker has ever registered", "`moodflow up`, or start the worker's service")
    elif seen.worker_silent_s > limits.worker_silent:
        yield Problem(
            "worker", f"no worker was heard for {_ago(seen.worker_silent_s)}", "start the worker's service again"
        )
    else:  # others go on, at less than the strength that was planned
        for name, silent in seen.workers.items():
            if limits.worker_silent < silent < _FORGOTTEN and not _DRAWN.fullmatch(name):
                yield Problem(
                    f"worker:{name}",
                    f"worker {name} was not heard for {_ago(silent)}",
                    "start its service again; one taken away for good: delete it in the Prefect UI",
                )


def _store(seen: StoreSeen, limits: Limits) -> Iterator[Problem]:
    if seen.bot_silent_s is not None and seen.bot_silent_s > limits.bot_silent:
        yield Problem("bot", f"the bot has not heard Telegram for {_ago(seen.bot_silent_s)}", "look at the bot's log")
    if seen.monitor_silent_s is not None and seen.monitor_silent_s > limits.monitor_silent:
        yield Problem(
            "monitor",
            f"the monitor has not looked for {_ago(seen.monitor_silent_s)}",
            "is Prefect's server up, and a worker? `moodflow health`",
        )
    if seen.sheet_lag_s > limits.sheet_lag:
        yield Problem(
            "sheet", f"the Sheet is {_ago(seen.sheet_lag_s)} behind", "look at the last collect run; is the Sheet full?"
        )
    if seen.outbox_age_s > limits.outbox_age:
        yield Problem("outbox", f"a message waits for {_ago(seen.outbox_age_s)}", "is the bot running and not limited?")
    if seen.inbox_waiting > limits.inbox_waiting:
        yield Problem("inbox", f"{seen.inbox_waiting} updates wait", "look at the bot's log")
    for one in seen.slots:
        if one.missed:
            yield Problem(
                f"slots:{one.name}",
                f"{one.missed} of {one.of} due runs of {one.name} did not run ({one.reason})",
                "the ledger has each with its reason; is a worker running, did Prefect's scheduler stand still?",
            )
    for target in seen.drifted:
        what = _FORECASTS.get(target, f"answers on {target} drift from what the model learned")
        yield Problem(f"drift:{target}", what, "training is started; compare the versions: `moodflow models compare`")


def _clearml(seen: ClearmlSeen, limits: Limits) -> Iterator[Problem]:
    if seen.error:
        yield Problem("clearml", f"ClearML cannot be asked ({seen.error})", "check CLEARML_API_HOST and its keys")
    if seen.spool_waiting and seen.spool_age_s > limits.spool_age:
        yield Problem(
            "spool",
            f"{seen.spool_waiting} records wait for ClearML since {_ago(seen.spool_age_s)}",
            "`python -m clearml_utils flush` once ClearML answers",
        )
    if seen.refused:
        yield Problem("refused", f"ClearML refused {seen.refused} records for good", "read refused.jsonl in the spool")
    if seen.lost:
        yield Problem("lost", f"{seen.lost} runs died without a word and were settled", "was a machine restarted?")


def _ago(seconds: float) -> str:
    if seconds < 120:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 7200 else f"{seconds / 3600:.0f} h"
