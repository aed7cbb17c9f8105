"""Every due slot of a schedule ran, or there is a reason why not (pure)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

_ENDED = frozenset({"COMPLETED", "FAILED", "CRASHED", "CANCELLED"})
NEVER_MADE = "the scheduler made no run for it"


@dataclass(frozen=True)
class Run:
    """A flow run as the scheduler made it: when it was due, its state's type and name, the state's message."""

    due: datetime
    state: str
    name: str
    message: str = ""


@dataclass(frozen=True)
class Slot:
    """What became of a due slot.

    Attributes
    ----------
    reason
        Why it did not run; empty where it did.
    wanted
        Whether not running was somebody's will: a limit on runs at a time, or a person, cancelled it.
    """

    due: datetime
    ran: bool
    reason: str
    wanted: bool = False


@dataclass(frozen=True)
class Patience:
    """How long a slot may stay open: with a run that has not ended, and without any run at all."""

    unended: timedelta = timedelta(hours=1)
    unmade: timedelta = timedelta(minutes=2)


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
    by_slot = _by_slot(runs)
    return [_slot(at, by_slot.get(at, [])) for at in due]


def decided(
    due: Iterable[datetime], runs: Iterable[Run], now: datetime, patience: Patience = Patience()
) -> tuple[Slot, ...]:
    """The entries of the leading slots whose fate is known at `now`; the first open slot ends them.

    Slots that have a run count as due although the schedule does not name them (any more).
    """
    by_slot = _by_slot(runs)
    found = []
    for at in sorted({*due, *by_slot}):
        if _open(at, by_slot.get(at, []), now, patience):
            break
        found.append(_slot(at, by_slot.get(at, [])))
    return tuple(found)


def _by_slot(runs: Iterable[Run]) -> dict[datetime, list[Run]]:
    by_slot: dict[datetime, list[Run]] = {}
    for run in runs:
        by_slot.setdefault(run.due, []).append(run)
    return by_slot


def _open(at: datetime, runs: list[Run], now: datetime, patience: Patience) -> bool:
    if not runs:
        return now - at < patience.unmade
    return now - at < patience.unended and any(run.state not in _ENDED for run in runs)


def _slot(at: datetime, runs: list[Run]) -> Slot:
    if any(run.state == "COMPLETED" for run in runs):
        return Slot(at, ran=True, reason="")
    if not runs:
        return Slot(at, ran=False, reason=NEVER_MADE)
    reason = "; ".join(_why(run) for run in runs)
    return Slot(at, ran=False, reason=reason, wanted=all(run.state == "CANCELLED" for run in runs))


def _why(run: Run) -> str:
    if run.state in _ENDED:
        return f"{run.name}: {run.message}".rstrip(": ")
    return (
        f"{run.name}: it began and nothing was heard of its end" if run.state == "RUNNING" else f"{run.name}: not begun"
    )
