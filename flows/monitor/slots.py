"""Every due slot of a schedule ran, or there is a reason why not (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta


@dataclass(frozen=True)
class Run:
    """A flow run as the scheduler made it: when it was due, its state's type and name, the state's message."""

    due: datetime
    state: str
    name: str
    message: str = ""


@dataclass(frozen=True)
class Slot:
    """What became of a due slot; `reason` is empty where it ran."""

    due: datetime
    ran: bool
    reason: str


def due_slots(anchor: datetime, every: timedelta, start: datetime, end: datetime) -> list[datetime]:
    """Times a schedule with this interval is due in [start, end)."""
    first = -((anchor - start) // every)
    found = []
    at = anchor + max(first, 0) * every
    while at < end:
        if at >= start:
            found.append(at)
        at += every
    return found


def account(due: Sequence[datetime], runs: Iterable[Run]) -> list[Slot]:
    """One entry per due slot, in order. A slot with several runs ran if one of them completed."""
    by_slot: dict[datetime, list[Run]] = {}
    for run in runs:
        by_slot.setdefault(run.due, []).append(run)
    return [_slot(at, by_slot.get(at, [])) for at in due]


def _slot(at: datetime, runs: list[Run]) -> Slot:
    if any(run.state == "COMPLETED" for run in runs):
        return Slot(at, ran=True, reason="")
    if not runs:
        return Slot(at, ran=False, reason="the scheduler made no run for it")
    return Slot(at, ran=False, reason="; ".join(f"{run.name}: {run.message}".rstrip(": ") for run in runs))
