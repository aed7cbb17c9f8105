"""Looks at the installation, records what it sees, and tells the operators what changed."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import math
import os
import shutil
import sqlite3
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
from prefect.events import emit_event

from clearml_utils import TrackingError, current_record, flow, reconcile, task
from clearml_utils.backlog import backlog
from clearml_utils.options import Options
from flows import settings as configuration
from flows.clients import alerts
from flows.clients.prefect_status import PrefectStatus, day_before
from flows.clock import SharedClock
from flows.forecast.outcome import Health
from flows.monitor.alerts import Alerting, Pace, decide, delivered
from flows.monitor.bookkeeping import LOOKED, Account
from flows.monitor.checks import Limits, Problem, problems
from flows.monitor.drift import assess
from flows.monitor.observation import ClearmlSeen, DeploymentSeen, Observation, PrefectSeen, StoreSeen
from flows.monitor.slots import Patience, Run, decided
from flows.settings import Settings
from flows.store import Store, StoreError
from flows.store.vitals import vitals

POOL = "moodflow"
STATE = "alerting"
DRIFT_EVENT = "moodflow.drift"
DRIFT, HEALTH = "drift", "forecast_health"
"""Facts in the store: names of the items that drift, kept by the analysis; how forecasts of the champion turned out,
kept by the forecast flow."""
SLOTS = "slots"
"""Fact in the store: deployment id -> its account of due slots."""
LOOK_BACK = timedelta(days=1)
"""How far back the first account of a deployment reaches."""
SETTLING = timedelta(minutes=1)
"""What Prefect's scheduler is given to take up a new or changed schedule."""
PATIENCE = Patience()


@flow(name="monitor", flow_run_name="monitor", capture="summary")
def monitor(limits: dict[str, float] | None = None, per_hour: int = 12) -> dict[str, Any]:
    """Look once; alert on what began and what ended since the last look.

    Parameters
    ----------
    limits
        Fields of `flows.monitor.checks.Limits` to change.
    per_hour
        Most alerts of new trouble an hour.

    Returns
    -------
    dict
        `problems`: keys of everything wrong now; `told`: notices delivered; `waiting`: notices a channel did not take.
    """
    settings = configuration.load()
    levels = Limits(**{**(limits or {}), "monitor_silent": math.inf})  # it looks now; others watch whether it does
    begun = time.time()
    seen: Any = look(settings, Patience(unended=timedelta(seconds=levels.slot_open)))
    found = problems(seen, levels)
    record = current_record()
    record.values({**seen.numbers(), "problems": len(found)})
    for problem in found:
        record.text(f"{problem.key}: {problem.what}", "warning")
    told: Any = tell(settings, seen, found, Pace(per_hour=per_hour), begun)
    return {"problems": [problem.key for problem in found], **told}


@task(name="look", capture="summary")
def look(settings: Settings, patience: Patience) -> Observation:
    """Ask everything there is to ask; what does not answer is part of what is seen."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    with contextlib.suppress(httpx.HTTPError, StoreError, sqlite3.Error, OSError):  # `observe` sees it too and says so
        account_for_slots(
            settings, os.environ.get("PREFECT_API_URL") or _prefect_address(), datetime.now(UTC), patience
        )
    return observe(settings, settle=True)


def account_for_slots(settings: Settings, address: str, now: datetime, patience: Patience = PATIENCE) -> None:
    """Write into the ledger what became of every slot that was due since the last look, deployment by deployment.

    A slot is written once its run has ended, or has kept the monitor waiting longer than `patience`.

    Raises
    ------
    httpx.HTTPError
        Where Prefect does not answer: nothing is written then, the next look goes on from the same slot.
    """
    if not address:
        return
    with contextlib.closing(PrefectStatus(address, POOL)) as asking, Store.open(settings.database) as store:
        kept = store.facts.get(SLOTS) or {}
        after: dict[str, Any] = {}
        entries = []
        for one in asking.scheduled():
            begun = datetime.fromisoformat(one["created"])
            known = kept.get(one["id"])
            account = Account.of_dict(known) if known else Account(one["name"], max(begun, now - LOOK_BACK))
            runs = [_run(found) for found in asking.runs_due(one["id"], account.until, now)]
            slots = decided(_due(one, account.until, now), runs, now, patience)
            entries += account.entries(slots)
            after[one["id"]] = account.next(slots).as_dict()
        with store.transaction():  # an entry and the mark behind it, or neither
            store.ledger.add_many(entries)
            store.facts.set(SLOTS, after)


def _run(found: Mapping[str, Any]) -> Run:
    state = found["state"]
    return Run(
        datetime.fromisoformat(found["expected_start_time"]), state["type"], state["name"], state["message"] or ""
    )


def _due(deployment: Mapping[str, Any], after: datetime, now: datetime) -> list[datetime]:
    """When a deployment's active schedules were due in (after, now], since they are what they are."""
    from prefect.server.schemas import schedules  # noqa: PLC0415 - half a second that `moodflow health` need not wait

    kinds: dict[str, Any] = {
        "interval": schedules.IntervalSchedule,
        "cron": schedules.CronSchedule,
        "rrule": schedules.RRuleSchedule,
    }
    due: set[datetime] = set()
    for one in [] if deployment["paused"] else deployment["schedules"]:
        if not one["active"]:
            continue
        schedule = next(kind for name, kind in kinds.items() if name in one["schedule"]).model_validate(one["schedule"])
        start = max(after, datetime.fromisoformat(one["updated"]) + SETTLING)
        while dates := [at for at in asyncio.run(schedule.get_dates(n=500, start=start, end=now)) if at > start]:
            due |= {datetime.fromtimestamp(at.timestamp(), UTC) for at in dates}  # plain ones: not Prefect's own class
            start = dates[-1]
    return sorted(due)


def observe(settings: Settings, *, settle: bool = False) -> Observation:
    """What is seen now; with `settle` runs that died silently are settled in ClearML on the way."""
    settings.home.mkdir(parents=True, exist_ok=True, mode=0o700)
    return Observation(
        at=SharedClock(settings.home).now(),
        prefect=_prefect(os.environ.get("PREFECT_API_URL") or _prefect_address(), _looked(settings)),
        store=_store(settings),
        clearml=_clearml(settle=settle),
        disk_free_mb=shutil.disk_usage(settings.home).free / 2**20,
        home_mode=settings.home.stat().st_mode & 0o777,
    )


def _prefect_address() -> str:
    from prefect.settings import PREFECT_API_URL  # noqa: PLC0415 - `moodflow status` need not wait for it

    return str(PREFECT_API_URL.value() or "")


def _looked(settings: Settings) -> datetime | None:
    """When the monitor looked last; None where it never did or the store cannot be read."""
    try:
        with Store.open(settings.database) as store:
            at = store.facts.get(LOOKED)
    except (StoreError, sqlite3.Error, OSError):
        return None
    return None if at is None else datetime.fromtimestamp(at, UTC)


def _prefect(address: str, looked: datetime | None) -> PrefectSeen | None:
    if not address:
        return None
    now = datetime.now(UTC)
    asking = PrefectStatus(address, POOL)
    try:
        late = asking.overdue(now)
        seen = []
        for number, name in sorted(asking.deployments().items(), key=lambda item: item[1]):
            last = asking.last_ended(number, looked) or (None, "")
            seen.append(DeploymentSeen(name, late.get(number, 0.0), last[0], last[1]))
        since = day_before(now)
        return PrefectSeen(
            tuple(seen),
            asking.worker_silence(now),
            asking.ended(["COMPLETED"], since),
            asking.ended(["FAILED", "CRASHED"], since),
        )
    except httpx.HTTPError:
        return None
    finally:
        asking.close()


def _store(settings: Settings) -> StoreSeen | None:
    try:
        with Store.open(settings.database) as store:
            heard: Mapping[str, Any] | None = store.facts.get("heard")
            seen = vitals(store.database, heard["real"] if heard else None, SharedClock(settings.home).now())
            looked = store.facts.get(LOOKED)
            turned_out = store.facts.get(HEALTH)
            drifted = (*(store.facts.get(DRIFT) or ()), *_badly(turned_out))
            slots = tuple(Account.of_dict(one).seen() for one in (store.facts.get(SLOTS) or {}).values())
    except (StoreError, sqlite3.Error, OSError):
        return None
    silent, unlooked = (None if at is None else time.time() - at for at in (seen.bot_heard, looked))
    return StoreSeen(
        silent,
        seen.sheet_lag_s,
        seen.outbox_age_s,
        seen.inbox_waiting,
        seen.responses_1d,
        seen.messages_1d,
        drifted,
        slots,
        unlooked,
    )


def _badly(turned_out: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Names of what is wrong with forecasts."""
    return () if turned_out is None else assess((), Health(**turned_out)).forecasts


def _clearml(*, settle: bool) -> ClearmlSeen | None:
    options = Options.load()
    if options.off:
        return None
    lost, error = 0, ""
    if settle:
        try:
            lost = sum("lost" in what for what in reconcile().settled.values())
        except (TrackingError, httpx.HTTPError) as failure:
            error = type(failure).__name__
    waits = backlog(options.spool)
    return ClearmlSeen(waits.waiting, waits.age_s, waits.refused, lost, error)


@task(name="tell", capture="none")
def tell(settings: Settings, seen: Observation, found: tuple[Problem, ...], pace: Pace, begun: float) -> dict[str, int]:
    """Decide what the operators are told, keep it, then deliver; what is not taken waits for the next look.

    Where the store cannot be read nothing can be kept: the trouble is told without a memory. Two looks at a time (one
    by its schedule, one by an event, on two workers) tell one after the other: nothing is told twice.
    """
    channels = alerts.channels(settings)
    if seen.store is None:
        state = decide(Alerting(), found, seen, channels, pace)
        return _deliver(state, channels, keep=lambda _: None)
    with (settings.home / "alerting.lock").open("a") as held, Store.open(settings.database) as store:
        fcntl.flock(held, fcntl.LOCK_EX)
        store.facts.set(LOOKED, begun)
        before = Alerting.of(store.facts.get(STATE))
        state = decide(before, found, seen, channels, pace)
        store.facts.set(STATE, state.as_dict())
        _say_drift(sorted(key.removeprefix("drift:") for key in {*state.open} - {*before.open} if "drift:" in key))
        return _deliver(state, channels, keep=lambda after: store.facts.set(STATE, after.as_dict()))


def _say_drift(targets: list[str]) -> None:
    """Let Prefect know of new drift: a trigger of the training deployment listens."""
    if targets:
        emit_event(DRIFT_EVENT, resource={"prefect.resource.id": "moodflow.monitor"}, payload={"targets": targets})


def _deliver(state: Alerting, channels: Mapping[str, alerts.Channel], keep: Any) -> dict[str, int]:
    told = 0
    for name, channel in channels.items():
        for notice in state.queue.get(name, ()):
            if not channel(notice.as_dict()):
                break  # in order: what comes later waits behind it
            state = delivered(state, name, notice)
            keep(state)
            told += 1
    return {"told": told, "waiting": sum(len(waiting) for waiting in state.queue.values())}
