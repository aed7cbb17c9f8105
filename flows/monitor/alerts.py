"""From what is wrong to what an operator is told: once when it begins, once when it ends, and a digest a day.

The state is plain data that the caller keeps; `decide` changes nothing. Nothing is forgotten while a channel is away:
what it must tell waits in the state, per channel, until delivery is confirmed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any, Literal

from flows.monitor.checks import Problem
from flows.monitor.observation import Observation

Kind = Literal["problem", "recovery", "digest"]
_HOUR = timedelta(hours=1)


@dataclass(frozen=True)
class Notice:
    """One thing to tell; `id` is the same however often delivery is tried."""

    id: str
    kind: Kind
    keys: tuple[str, ...]
    text: str
    at: datetime

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the webhook and for keeping."""
        return {
            "id": self.id, "kind": self.kind, "keys": list(self.keys), "text": self.text, "at": self.at.isoformat(),
        }  # fmt: skip

    @classmethod
    def of(cls, data: Mapping[str, Any]) -> Notice:
        """From plain data."""
        return cls(
            data["id"], data["kind"], tuple(data["keys"]), data["text"], datetime.fromisoformat(data["at"])
        )  # fmt: skip


@dataclass(frozen=True)
class Alerting:
    """What was wrong at the last look, what was told, and what still has to be told.

    Attributes
    ----------
    open
        Key -> (since, what was said); trouble the operator knows of.
    told_at
        When notices of the last hour were decided.
    digest_on
        Day (ISO) of the last digest, empty before the first look.
    queue
        Channel -> notices not yet delivered, oldest first.
    """

    open: Mapping[str, tuple[datetime, str]] = field(default_factory=dict)
    told_at: tuple[datetime, ...] = ()
    digest_on: str = ""
    queue: Mapping[str, tuple[Notice, ...]] = field(default_factory=dict)

    def as_dict(self) -> dict[str, Any]:
        """Plain data, for the store."""
        return {
            "open": {key: [since.isoformat(), what] for key, (since, what) in self.open.items()},
            "told_at": [at.isoformat() for at in self.told_at],
            "digest_on": self.digest_on,
            "queue": {channel: [n.as_dict() for n in notices] for channel, notices in self.queue.items()},
        }

    @classmethod
    def of(cls, data: Mapping[str, Any] | None) -> Alerting:
        """From plain data; None is the state before the first look."""
        if data is None:
            return cls()
        return cls(
            {key: (datetime.fromisoformat(since), what) for key, (since, what) in data["open"].items()},
            tuple(datetime.fromisoformat(at) for at in data["told_at"]),
            data["digest_on"],
            {channel: tuple(Notice.of(n) for n in notices) for channel, notices in data["queue"].items()},
        )


@dataclass(frozen=True)
class Pace:
    """How much an operator is told: notices an hour, the hour (UTC) of the digest, notices kept per channel."""

    per_hour: int = 12
    digest_hour: int = 8
    kept: int = 200


def decide(
    state: Alerting,
    found: Sequence[Problem],
    seen: Observation,
    channels: Iterable[str],
    pace: Pace = Pace(),
) -> Alerting:
    """The next state, with what is to be told now at the end of every channel's queue.

    Trouble beyond the hour's allowance is held back: it is told in a later look if it still lasts, and never if it has
    gone by then. Ends are told only of what was told, and always: they are as many.
    """
    now = seen.at
    recent = tuple(at for at in state.told_at if now - at < _HOUR)
    room = max(pace.per_hour - len(recent), 0)
    wrong = {problem.key: problem for problem in found}
    begun = [problem for key, problem in wrong.items() if key not in state.open][:room]
    ended = {key: value for key, value in state.open.items() if key not in wrong}
    notices = [_begins(problem, now) for problem in begun]
    notices += [_ends(key, since, what, now) for key, (since, what) in ended.items()]
    still = {key: value for key, value in state.open.items() if key in wrong}
    still |= {problem.key: (now, problem.what) for problem in begun}
    digest_on = state.digest_on or now.date().isoformat()
    if now.date().isoformat() > digest_on and now.hour >= pace.digest_hour:
        digest_on = now.date().isoformat()
        notices.append(_digest(seen, found, still, now))
    queue = {c: (*state.queue.get(c, ()), *notices)[-pace.kept :] for c in channels}
    return Alerting(still, recent + (now,) * len(begun), digest_on, queue)


def delivered(state: Alerting, channel: str, notice: Notice) -> Alerting:
    """The state after a channel has taken a notice."""
    left = tuple(waiting for waiting in state.queue.get(channel, ()) if waiting.id != notice.id)
    return Alerting(state.open, state.told_at, state.digest_on, {**state.queue, channel: left})


def _notice(kind: Kind, keys: tuple[str, ...], text: str, at: datetime) -> Notice:
    name = sha256("|".join((kind, *keys, at.isoformat())).encode()).hexdigest()[:16]
    return Notice(name, kind, keys, text, at)


def _begins(problem: Problem, at: datetime) -> Notice:
    return _notice("problem", (problem.key,), f"PROBLEM: {problem.what}.\nNext: {problem.do}.", at)


def _ends(key: str, since: datetime, what: str, at: datetime) -> Notice:
    minutes = (at - since).total_seconds() / 60
    return _notice("recovery", (key,), f"RECOVERED after {minutes:.0f} min: {what}.", at)


def _digest(
    seen: Observation, found: Sequence[Problem], told: Mapping[str, tuple[datetime, str]], at: datetime
) -> Notice:
    lines = [f"Digest of the day to {at:%Y-%m-%d %H:%M} UTC"]
    if seen.prefect is not None:
        lines.append(f"flow runs: {seen.prefect.completed} completed, {seen.prefect.failed} failed")
    if seen.store is not None:
        lines.append(f"answers: {seen.store.responses}; messages delivered: {seen.store.messages}")
    lines.append(f"disk: {seen.disk_free_mb / 1024:.1f} GB free")
    lines += [f"still wrong: {what} (since {since:%m-%d %H:%M})" for since, what in told.values()]
    lines += [f"also wrong: {problem.what}" for problem in found if problem.key not in told]
    lines += [] if found else ["nothing is wrong"]
    return _notice("digest", tuple(told), "\n".join(lines), at)
