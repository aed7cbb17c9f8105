"""What a decision may look at besides the report: the time, the person, what was said before, what is waiting."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, time
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from flows.forecast import Forecast
from flows.notify.errors import PersonError


@dataclass(frozen=True, slots=True)
class Send:
    """Say it.

    Attributes
    ----------
    kind
        One of `policy.KINDS`.
    subject
        What it is about (a change's time, a prompt): the same subject is not told twice.
    facts
        What was seen, JSON values; times ISO-8601 UTC.
    evidence
        How sure it is: n, intervals, probabilities. Never empty.
    """

    kind: str
    subject: str
    facts: dict[str, Any]
    evidence: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Skip:
    """Say nothing of this kind, and why."""

    kind: str
    reason: str


@dataclass(frozen=True, slots=True)
class Told:
    """An earlier message."""

    kind: str
    subject: str
    at: datetime
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A prompt as far as reminders care: `open` while it can still be answered."""

    prompt_id: str
    sent_at: datetime
    expires_at: datetime
    answered: bool
    open: bool


@dataclass(frozen=True, slots=True)
class Context:
    """Everything but the report.

    Attributes
    ----------
    now
        Aware, UTC.
    language, timezone
        The person's.
    told
        Earlier messages, oldest first, at least as far back as the policy's longest memory.
    prompts
        The person's last prompts, oldest first.
    forecast
        Of the next beep, where there is one.
    label
        The study's own words for the target in the person's language, where it has some.
    """

    now: datetime
    language: str
    timezone: str
    told: Sequence[Told] = ()
    prompts: Sequence[Waiting] = ()
    forecast: Forecast | None = None
    label: str | None = None


def zone(timezone: str | None, person: str) -> ZoneInfo:
    """The timezone of a person.

    Raises
    ------
    PersonError
        It is missing or unknown.
    """
    if not timezone:
        raise PersonError(f"person {person} has no timezone: they can set it with /timezone")
    try:
        return ZoneInfo(timezone)
    except (ZoneInfoNotFoundError, ValueError, OSError) as error:
        raise PersonError(f"person {person} has timezone {timezone!r}, which is none: use an IANA name") from error


def quiet(local: time, start: time, end: time) -> bool:
    """Whether a local time lies in the quiet hours [start, end), across midnight where start > end."""
    if start <= end:
        return start <= local < end
    return local >= start or local < end
