"""Slots are decided in order, once, with a reason each."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from flows.monitor.bookkeeping import Account
from flows.monitor.checks import problems
from flows.monitor.observation import Observation, SlotsSeen, StoreSeen
from flows.monitor.slots import NEVER_MADE, Patience, Run, account, decided, due_slots

START = datetime(2026, 3, 2, tzinfo=UTC)
EVERY = timedelta(minutes=5)
DUE = [START + EVERY * n for n in range(6)]
HOUR = timedelta(hours=1)


def test_slots_are_counted_whatever_became_of_them():
    """The account has one entry per due slot: ran, failed with its message, or never made."""
    due = due_slots(START, EVERY, START + 1.5 * EVERY, START + 5.5 * EVERY)
    assert due == [START + EVERY * n for n in (2, 3, 4, 5)]
    runs = [
        Run(due[0], "FAILED", "Failed", "no"),
        Run(due[0], "COMPLETED", "Completed"),
        Run(due[1], "CRASHED", "Crashed", "gone"),
    ]
    assert [(s.ran, s.reason) for s in account(due, runs)] == [
        (True, ""), (False, "Crashed: gone"), *[(False, NEVER_MADE)] * 2,
    ]  # fmt: skip


def test_an_open_slot_holds_back_those_behind_it_until_patience_ends():
    """A run under way is no verdict; after an hour it is one, and the slots behind it follow in order."""
    runs = [
        Run(DUE[0], "COMPLETED", "Completed"),
        Run(DUE[1], "RUNNING", "Running"),
        Run(DUE[2], "COMPLETED", "Completed"),
    ]
    assert [s.due for s in decided(DUE[:3], runs, DUE[3])] == DUE[:1]
    late = decided(DUE[:3], runs, DUE[1] + HOUR)
    assert [(s.ran, s.reason) for s in late] == [
        (True, ""), (False, "Running: it began and nothing was heard of its end"), (True, ""),
    ]  # fmt: skip


def test_a_slot_without_a_run_and_a_cancelled_one_have_their_reasons():
    """Never made is trouble; cancelled by a limit or a person is told apart and alerts nobody."""
    cancelled = Run(DUE[1], "CANCELLED", "Cancelled", "limit of one run at a time")
    slots = decided(DUE[:2], [cancelled], DUE[5])
    assert [(s.ran, s.reason, s.wanted) for s in slots] == [
        (False, NEVER_MADE, False), (False, "Cancelled: limit of one run at a time", True),
    ]  # fmt: skip
    account = Account("cycle", START).next(slots)
    assert (account.of, account.missed, account.reason) == (2, 1, NEVER_MADE)
    assert account.next(()) == account
    assert Account.of_dict(account.as_dict()) == account
    assert [entry[1] for entry in account.entries(slots)] == ["slot missed", "slot missed"]
    again = account.next(decided(DUE[2:3], [Run(DUE[2], "COMPLETED", "Completed")], DUE[5]))
    assert (again.missed, again.reason) == (0, "")


def test_missed_slots_are_a_problem_of_their_deployment():
    """Key per deployment; count and last reason in the text; gone with the next account in which all ran."""

    def keys(*slots: SlotsSeen) -> list[str]:
        seen = Observation(START, None, StoreSeen(None, 0, 0, slots=slots), None, 9e9, 0o700)
        return [f"{p.key} | {p.what}" for p in problems(seen) if p.key.startswith("slots")]

    assert keys(SlotsSeen("cycle", 4, 2, NEVER_MADE), SlotsSeen("survey", 9, 0)) == [
        f"slots:cycle | 2 of 4 due runs of cycle did not run ({NEVER_MADE})"
    ]
    assert keys(SlotsSeen("cycle", 1, 0)) == []


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["COMPLETED", "FAILED", "CRASHED", "CANCELLED", "RUNNING", "PENDING", None]), max_size=6),
    st.lists(st.integers(0, 240), min_size=1, max_size=8),
)
def test_whatever_the_looks_every_slot_is_entered_once_and_in_order(states, minutes):
    """However often and whenever the monitor looks, in the end each due slot has exactly one entry."""
    due = DUE[: len(states)]
    runs = [Run(at, state, str(state).title()) for at, state in zip(due, states, strict=True) if state]
    account, entered = Account("x", START - EVERY), []
    for minute in [*sorted(minutes), 240]:
        now = START + timedelta(minutes=minute)
        open_runs = [run for run in runs if account.until < run.due <= now]
        slots = decided([at for at in due if account.until < at <= now], open_runs, now, Patience())
        entered += [entry[0] for entry in account.entries(slots)]
        account = account.next(slots)
    assert entered == [f"slot:x:{at.isoformat()}" for at in due]
