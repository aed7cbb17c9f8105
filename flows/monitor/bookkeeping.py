"""What the store keeps between looks (pure): when the last one was, up to where slots are accounted for."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from flows.monitor.observation import SlotsSeen
from flows.monitor.slots import Slot

LOOKED = "looked"
"""Fact in the store: when the monitor looked last, in seconds of the machine's clock."""


@dataclass(frozen=True)
class Account:
    """One deployment's account: its name, the last slot accounted for, and the last look that found any."""

    name: str
    until: datetime
    of: int = 0
    missed: int = 0
    reason: str = ""

    def next(self, slots: Sequence[Slot]) -> Account:
        """The account after more slots; the same where there are none."""
        if not slots:
            return self
        missed = [slot for slot in slots if not slot.ran and not slot.wanted]
        return Account(self.name, slots[-1].due, len(slots), len(missed), missed[-1].reason if missed else "")

    def seen(self) -> SlotsSeen:
        """What the checks are told."""
        return SlotsSeen(self.name, self.of, self.missed, self.reason)

    def entries(self, slots: Sequence[Slot]) -> list[tuple[str, str, datetime, str]]:
        """Ledger entries (subject, event, at, reason), one per slot."""
        return [
            (
                f"slot:{self.name}:{slot.due.isoformat()}",
                "slot ran" if slot.ran else "slot missed",
                slot.due,
                slot.reason,
            )
            for slot in slots
        ]

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the store."""
        return {**vars(self), "until": self.until.isoformat()}

    @classmethod
    def of_dict(cls, data: Mapping[str, Any]) -> Account:
        """From plain data."""
        return cls(**{**data, "until": datetime.fromisoformat(data["until"])})
