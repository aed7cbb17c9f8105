"""A policy: which insight, when, in which words. One frozen, versioned object.

The wording is inside, so that a version reproduces its texts bit by bit whatever was reworded since.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import time
from typing import Any

from flows.notify.templates import shipped

NAME = "message-policy"
"""Name of policies in the registry."""

KINDS = (
    "change",
    "trend",
    "unusual_day",
    "recovery",
    "rhythm",
    "summary",
    "forecast",
    "streak",
    "compliance",
    "missed",
    "reminder",
)
"""Every kind of message, insights first."""

REMINDERS = frozenset({"missed", "reminder"})

_COOLDOWN_DAYS = {
    "change": 5.0,
    "trend": 7.0,
    "unusual_day": 3.0,
    "recovery": 3.0,
    "rhythm": 21.0,
    "summary": 7.0,
    "forecast": 3.0,
    "streak": 3.0,
    "compliance": 7.0,
    "missed": 3.0,
    "reminder": 0.12,
}


_LEAST = {
    "per_day": 0,
    "insights_per_day": 0,
    "repeat_days": 0,
    "min_answers": 1,
    "min_days": 2,
    "forecast_answers": 1,
    "unusual_p": 0,
    "rhythm_share": 0,
    "reminder_after": 0,
    "reminder_left": 0,
    "missed_in_a_row": 1,
    "missed_among": 1,
}
"""Lowest value of every number in a policy: an average's uncertainty takes two days."""


@dataclass(frozen=True)
class Policy:
    """Rules for one person's messages.

    Attributes
    ----------
    variant
        Name of the variant, for people who compare them.
    order
        Kinds in order of preference; a kind that is not listed is never sent.
    per_day
        Most messages a local day, insights and reminders together.
    insights_per_day
        Most insights a local day.
    quiet_from, quiet_until
        Local time between which nothing is sent ("HH:MM", across midnight where from > until).
    cooldown_days
        Days before the same kind is sent again.
    repeat_days
        Days before the same finding (same kind and subject) is told again.
    min_answers, min_days
        Below these nothing is said about a level; `min_pairs` for inertia.
    forecast_answers
        Answers before a forecast is told.
    unusual_p
        A day is unusual where so extreme a day has at most this two-sided probability.
    rhythm_share
        Least share of variance a rhythm must explain to be worth telling.
    reminder_after, reminder_left
        Minutes a prompt must have been open, and must still be open, for a reminder.
    missed_in_a_row, missed_among
        Unanswered prompts in a row, or half of so many, before a person is reminded that the schedule can be changed.
    charts
        Kinds that come with a chart.
    wording
        Language -> kind -> template.
    """

    variant: str = "steady"
    order: tuple[str, ...] = KINDS
    per_day: int = 2
    insights_per_day: int = 1
    quiet_from: str = "22:00"
    quiet_until: str = "08:30"
    cooldown_days: Mapping[str, float] = field(default_factory=lambda: dict(_COOLDOWN_DAYS))
    repeat_days: float = 90.0
    min_answers: int = 20
    min_days: int = 5
    forecast_answers: int = 30
    unusual_p: float = 0.02
    rhythm_share: float = 0.02
    reminder_after: int = 15
    reminder_left: int = 10
    missed_in_a_row: int = 4
    missed_among: int = 8
    charts: tuple[str, ...] = ("change", "trend", "unusual_day", "recovery", "summary", "forecast")
    wording: Mapping[str, Mapping[str, str]] = field(default_factory=shipped)

    def __post_init__(self) -> None:
        """Refuse quiet hours that are no times, limits that are none, and kinds nobody writes."""
        _ = self.quiet
        for name, least in _LEAST.items():
            if not getattr(self, name) >= least:
                raise ValueError(f"{name} of a policy is at least {least}, not {getattr(self, name)}")
        if unknown := [kind for kind in self.order if kind not in KINDS]:
            raise ValueError(f"a policy cannot order {unknown}: one of {', '.join(KINDS)}")

    @property
    def quiet(self) -> tuple[time, time]:
        """Start and end of the quiet hours, local time."""
        return time.fromisoformat(self.quiet_from), time.fromisoformat(self.quiet_until)

    @property
    def digest(self) -> str:
        """Hash of everything in it."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def limited(self, per_day: int) -> Policy:
        """The same policy under an installation's own daily limit, where that is lower."""
        return self if per_day >= self.per_day else replace(self, per_day=per_day)

    def to_json(self) -> str:
        """Canonical text: equal policies give equal text."""
        return json.dumps(asdict(self), ensure_ascii=False, sort_keys=True, indent=1)

    @classmethod
    def from_json(cls, text: str) -> Policy:
        """Read what `to_json` wrote.

        Raises
        ------
        ValueError
            A field or kind is unknown or a quiet hour is no time: written by a newer Moodflow, or by hand.
        """
        fields: Any = json.loads(text)
        if not isinstance(fields, dict):
            raise ValueError("a policy is a JSON object: `moodflow policy write` shows one")  # noqa: TRY004 - as said above
        if unknown := set(fields) - set(cls.__dataclass_fields__):
            raise ValueError(f"a policy has no field {sorted(unknown)}: written by a newer Moodflow? Update this one")
        known: dict[str, Any] = {k: tuple(v) if isinstance(v, list) else v for k, v in fields.items()}
        return cls(**known)
