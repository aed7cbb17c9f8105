"""What a Prefect state is in ClearML. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Settled:
    """How a run ends in ClearML.

    Attributes
    ----------
    status
        `completed`, `failed` or `stopped`: ClearML's own.
    reason
        Why, in a word; also a tag. Empty for plain success and plain failure.
    shown
        Status of the step in the pipeline's graph.
    """

    status: str
    reason: str
    shown: str


LOST = Settled("failed", "lost", "failed")
NEVER = Settled("stopped", "skipped", "skipped")
UNKNOWN = Settled("stopped", "unknown to Prefect", "aborted")
_REASON_TAGS = {"cached", "skipped", "timed out", "crashed", "cancelled", "lost", "unknown to Prefect"}


def settled(state: Any) -> Settled | None:  # noqa: PLR0911 - one line per state
    """The end `state` stands for; None while the run may still go on.

    Parameters
    ----------
    state
        Prefect state, or None where Prefect knows no state.
    """
    if state is None:
        return None
    if state.name == "NotReady":
        return NEVER
    if state.is_completed():
        return (
            Settled("completed", "cached", "cached")
            if state.name == "Cached"
            else Settled("completed", "", "completed")
        )
    if state.is_cancelled() or state.is_cancelling():
        return Settled("stopped", "cancelled", "aborted")
    if state.is_crashed():
        return Settled("failed", "crashed", "failed")
    if state.is_failed():
        return Settled("failed", "timed out" if state.name == "TimedOut" else "", "failed")
    return None


def tags(reason: str) -> list[str]:
    """Tags by which runs of this end are found."""
    return [reason] if reason in _REASON_TAGS else []


def shown(state: Any) -> str:
    """Graph status of a run that may still go on."""
    end = settled(state)
    if end is not None:
        return end.shown
    if state is not None and state.is_running():
        return "running"
    return "pending"
